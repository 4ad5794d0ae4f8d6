"""Compaction: what is left out of the next request when the context fills, in layers, by code alone.

1. *results*: stale tool results become a line that says how to get them back.
2. *turns*: the agent is asked to write down what it must not lose, then whole old turns become one line each in the
   working state, which is carried from there on.
3. *state*: nothing is left but the task, the working state, and the latest turn in short.

A call is never parted from its result, and neither the anchor, the todo list nor a note is ever lost: they are no part
of what is cut. It happens from `Brief.compact_at` on, long before a window is full, because models lose the thread
between 80,000 and 100,000 tokens whatever their window (notes on peers: docs/concepts/agent.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nightmill.agent import shown, working
from nightmill.agent.measure import bytes_of, dense
from nightmill.agent.nouns import AgentState, Brief, Layer
from nightmill.agent.past import called
from nightmill.model import Message, ToolCall, ToolResult
from nightmill.model.message import Part
from nightmill.prompt import render

__all__ = ["compact", "fit"]

KEPT = 0.2
"""Share of `compact_at` that the latest turns keep as they are."""
STALE = 0.5
"""Share of `compact_at` from which stale results go: they are most of a long conversation, and cheap to get back."""
ENOUGH = 0.4
"""A layer is enough if it leaves less than this share."""
SHORT = 400
"""Characters of a result that are not worth leaving out."""
WINDOW = 1.3
"""Above this share of `compact_at` nobody is asked to write anything down any more."""


def fit(brief: Brief, state: AgentState, *, forced: Layer = "") -> AgentState:
    """*state* as the next request shall show it; *forced* asks for a layer however small it is."""
    if forced:
        return compact(brief, state, forced)
    size = dense(brief, state)
    if size < STALE * brief.compact_at:
        return replace(state, trim=False) if state.trim else state
    pruned = compact(brief, state, "results")
    small = dense(brief, pruned)
    if size < brief.compact_at:
        # A cut costs the provider's cache once: it must take away enough to be worth that.
        return pruned if small <= ENOUGH * brief.compact_at else state
    if small <= ENOUGH * brief.compact_at:
        return pruned
    if not state.trim and size < WINDOW * brief.compact_at:
        return replace(state, trim=True)
    folded = compact(brief, state, "turns")
    return folded if dense(brief, folded) <= brief.compact_at * (ENOUGH + KEPT) else compact(brief, state, "state")


def compact(brief: Brief, state: AgentState, layer: Layer) -> AgentState:
    """*state* after the compaction *layer*, even if that is less than what it was."""
    start = _tail(state, KEPT * brief.compact_at)
    if layer == "results":
        messages = (*map(_pruned, _with_calls(state.messages[:start])), *state.messages[start:])
        return _cut(state, messages, layer) if messages != state.messages else state
    gone, kept = state.messages[:start], state.messages[start:]
    if layer == "state":
        gone, kept = state.messages, _latest(state, brief.compact_at)
    turns = sum(message.role == "assistant" for message in state.messages)
    folded = working.fold(state.working, gone, first=state.turn - turns + 1)
    after = replace(state, working=folded, trim=False)
    last = state.turn - sum(message.role == "assistant" for message in kept)
    text = render("agent/carried", turn=str(last), state=working.words(brief, after)).text
    return _cut(replace(after, carried=text), kept, layer)


def _latest(state: AgentState, bound: int) -> tuple[Message, ...]:
    """The latest turn with long results left out; nothing, if what it said is itself too long."""
    start = _tail(state, 0)
    short = tuple(map(_pruned, _with_calls(state.messages[start:])))
    size = sum(bytes_of(message.parts) for message in short) * state.density
    return short if size <= KEPT * bound else ()


def _cut(state: AgentState, messages: tuple[Message, ...], layer: Layer) -> AgentState:
    messages = shown.mend(state, messages)
    return replace(state, messages=messages, context=0, layer=layer, compactions=state.compactions + 1)


def _tail(state: AgentState, most: float) -> int:
    """Where the latest whole turns begin that have at most *most* tokens together; the very latest is always there."""
    start = at = len(state.messages)
    size = 0.0
    while at > 0:
        at -= 1
        size += bytes_of(state.messages[at].parts) * state.density
        if start < len(state.messages) and size > most:
            break
        if state.messages[at].role == "assistant":
            start = at
    return start


def _with_calls(messages: Sequence[Message]) -> list[tuple[Message, dict[str, ToolCall]]]:
    made: list[tuple[Message, dict[str, ToolCall]]] = []
    calls: dict[str, ToolCall] = {}
    for message in messages:
        if message.role == "assistant":
            calls = {part.id: part for part in message.parts if isinstance(part, ToolCall)}
        made.append((message, calls))
    return made


def _pruned(pair: tuple[Message, dict[str, ToolCall]]) -> Message:
    message, calls = pair
    parts = tuple(_short(part, calls) for part in message.parts)
    return message if parts == message.parts else replace(message, parts=parts)


def _short(part: Part, calls: dict[str, ToolCall]) -> Part:
    if not isinstance(part, ToolResult) or len(part.text) <= SHORT:
        return part
    call = calls.get(part.call)
    what = called(call) if call else part.name
    back = f'read_output shows it: reference "{part.ref}"' if part.ref else "call it again if it is needed"
    return replace(part, text=f"[left out to save room: {len(part.text):,} characters of {what}; {back}]")
