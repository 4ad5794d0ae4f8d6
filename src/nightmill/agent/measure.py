"""How large a request is, before anybody has counted it."""

from __future__ import annotations

from collections.abc import Iterable

from nightmill.agent.nouns import AgentState, Brief
from nightmill.model import ModelReply, ToolCall
from nightmill.model.message import Part
from nightmill.tool import Toolset

__all__ = ["bytes_of", "dense", "density", "size"]

MOST_DENSE = 0.5
"""Tokens per byte at most: prose has a fifth to a quarter, code a third, digits and hashes a half."""
LEAST_DENSE = 0.2
CARE = 1.1


def bytes_of(parts: Iterable[Part]) -> int:
    """Bytes of all texts in *parts*."""
    return sum(_bytes(part.arguments if isinstance(part, ToolCall) else part.text) for part in parts)


def density(brief: Brief, state: AgentState, reply: ModelReply) -> float:
    """Tokens per byte of the conversation, learned from what the provider counted for *state*; rather too high."""
    sent = _fixed(brief, state) + sum(bytes_of(message.parts) for message in state.messages)
    if reply.usage.input <= 0 or sent <= 0:
        return state.density
    return min(MOST_DENSE, max(LEAST_DENSE, CARE * reply.usage.input / sent))


def dense(brief: Brief, state: AgentState) -> int:
    """The next request in tokens without its tools, by the conversation's own density."""
    if state.context:
        latest = state.messages[-1:]
        return state.context + int(
            state.density * sum(bytes_of(message.parts) for message in latest if message.role == "user")
        )
    shown = sum(bytes_of(message.parts) for message in state.messages)
    return int(state.density * (_fixed(brief, state) + shown))


def size(brief: Brief, state: AgentState, tools: Toolset) -> int:
    """The next request in tokens, never too low; what the provider counted last time is taken as it is."""
    if state.context:
        latest = state.messages[-1:]
        new = sum(bytes_of(message.parts) for message in latest if message.role == "user")
        return state.context + _most(new) + TAIL
    shown = sum(bytes_of(message.parts) for message in state.messages)
    return _most(_fixed(brief, state) + shown + _bytes(repr(tools.schemas))) + TAIL


TAIL = 800
"""Tokens that the words at the end of a request may have."""


def _fixed(brief: Brief, state: AgentState) -> int:
    return sum(map(_bytes, (*brief.system, brief.anchor, state.carried)))


def _most(count: int) -> int:
    return int(MOST_DENSE * count) + 1


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
