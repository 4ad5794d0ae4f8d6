"""Compaction: what is left out of the next request when the context fills, in layers, by code alone.

1. *results*: stale tool results become a line that says how to get them back.
2. *turns*: the agent is asked to write down what it must not lose, then whole old turns become one line each in the
   working state, which is carried from there on.
3. *state*: nothing is left but the task, the working state, and the latest turn in short.
4. *fresh*: not even that turn. Only a guard asks for it, to whom the latest turn is the fault.

A call is never parted from its result, and neither the anchor, the todo list nor a note is ever lost: they are no part
of what is cut. It happens from `Brief.compact_at` on, long before a window is full, because models lose the thread
between 80,000 and 100,000 tokens whatever their window (notes on peers: docs/concepts/agent.md).
"""

from __future__ import annotations

from dataclasses import replace

from nightmill.agent import shown, working
from nightmill.agent.measure import bytes_of, dense
from nightmill.agent.nouns import AgentState, Brief, Layer
from nightmill.model import Message, ToolResult
from nightmill.model.message import Part
from nightmill.prompt import render

__all__ = ["compact", "fit"]

STALE = 0.3
"""Share of `compact_at` from which stale results go: they are most of a long conversation, and cheap to get back."""
KEPT = 0.12
"""Share of `compact_at` that the latest turns keep as they are."""
WORTH, LEAST = 0.12, 4_000
"""A cut costs the provider's cache once: it must take away this share of `compact_at`, and as many tokens, to be worth that."""
ENOUGH = 0.6
"""A layer is enough if it leaves less than this share."""
SHORT = 400
"""Characters of a result that are not worth leaving out."""
WINDOW = 1.3
"""Above this share of `compact_at` nobody is asked to write anything down any more."""
READS = frozenset({"read_file"})
"""Tools whose results go last: what an agent has read it works on, what a command said it has seen."""


def fit(brief: Brief, state: AgentState, *, forced: Layer = "") -> AgentState:
    """*state* as the next request shall show it; *forced* asks for a layer however small it is."""
    if forced:
        return compact(brief, state, forced)
    size, most = dense(brief, state), brief.compact_at
    if size < STALE * most:
        return replace(state, trim=False) if state.trim else state
    pruned = _stale(brief, state, size=size)
    if pruned is not None and (size < most or dense(brief, pruned) <= ENOUGH * most):
        return pruned
    if size < most:
        return state
    if not state.trim and size < WINDOW * most:
        return replace(state, trim=True)
    folded = compact(brief, state, "turns")
    return folded if dense(brief, folded) <= ENOUGH * most else compact(brief, state, "state")


def _stale(brief: Brief, state: AgentState, *, size: int) -> AgentState | None:
    """*state* without stale results, of commands first and of files only if need be; None if that is not worth it."""
    worth = max(LEAST, WORTH * brief.compact_at)
    start = _tail(state, KEPT * brief.compact_at)
    for spared in (READS, frozenset[str]()):
        long = [part for message in state.messages[:start] for part in message.parts if _goes(part, spared)]
        if bytes_of(long) * state.density < worth:
            continue
        pruned = _without(brief, state, spared)
        if size - dense(brief, pruned) >= worth:
            return pruned
    return None


def compact(brief: Brief, state: AgentState, layer: Layer) -> AgentState:
    """*state* after the compaction *layer*, even if that is less than what it was."""
    if layer == "results":
        return _without(brief, state, frozenset())
    start = _tail(state, KEPT * brief.compact_at)
    gone, kept = state.messages[:start], state.messages[start:]
    if layer in {"state", "fresh"}:
        gone, kept = state.messages, _latest(state, brief.compact_at) if layer == "state" else ()
    turns = sum(message.role == "assistant" for message in state.messages)
    folded = working.fold(state.working, gone, first=state.turn - turns + 1)
    after = replace(state, working=folded, trim=False)
    last = state.turn - sum(message.role == "assistant" for message in kept)
    text = render("agent/carried", turn=str(last), state=working.words(brief, after)).text
    return _cut(replace(after, carried=text), kept, layer)


def _without(brief: Brief, state: AgentState, spared: frozenset[str]) -> AgentState:
    """*state* with a line in place of each long result of its older turns, but those of the tools *spared*."""
    start = _tail(state, KEPT * brief.compact_at)
    messages = (*(_pruned(message, spared) for message in state.messages[:start]), *state.messages[start:])
    return _cut(state, messages, "results") if messages != state.messages else state


def _latest(state: AgentState, bound: int) -> tuple[Message, ...]:
    """The latest turn with long results left out; nothing, if what it said is itself too long."""
    start = _tail(state, 0)
    short = tuple(_pruned(message, frozenset()) for message in state.messages[start:])
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


def _pruned(message: Message, spared: frozenset[str]) -> Message:
    parts = tuple(_short(part, spared) for part in message.parts)
    return message if parts == message.parts else replace(message, parts=parts)


def _short(part: Part, spared: frozenset[str]) -> Part:
    if not isinstance(part, ToolResult) or not _goes(part, spared):
        return part
    back = f'read_output has them: reference "{part.ref}"' if part.ref else "call it again if they are needed"
    return replace(part, text=f"[left out to save room: {len(part.text):,} characters; {back}]")


def _goes(part: Part, spared: frozenset[str]) -> bool:
    return isinstance(part, ToolResult) and part.name not in spared and len(part.text) > SHORT
