"""Faults of a reply itself: cut off, refused, empty, words without a call, the same words over and over."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import pairwise

from nightmill.agent.guard.ladder import Fault
from nightmill.agent.nouns import AgentState, Brief
from nightmill.model import ModelReply, Text, Thinking, ToolCall

__all__ = ["NOT_RUN", "chant", "faults", "usable"]

NOT_RUN = {
    "length": "not run: the reply was cut off at its token limit, so this call may be incomplete",
    "refused": "not run: the reply ended as a refusal, so this call may be incomplete",
    "chant": "not run: the reply said the same over and over and was cut off, so this call may be incomplete",
}
"""What the calls of a reply get that ended so: the last may be cut off anywhere and still be JSON."""
MOST_PAUSES = 4
"""So many pauses of the provider in a row are a fault."""
CHUNK, CHUNKS, APART = 50, 10, 250
"""A text of so many characters, so often, so near on average, is a chant (method: gemini-cli, loop detection)."""
LOOKED_AT = 20_000
"""Characters at the end of a reply that are looked at for a chant."""
PLAIN = 4
"""Different characters that a chunk has at most when it is a line, a rule or a table's edge."""
NO_PROSE = re.compile(r"(?s:```.*?(?:```|\Z))|^[ \t]*(?:\||[-*+] |\d+[.)] |>|#).*$", re.MULTILINE)
"""Code, tables, lists, quotes and headings repeat themselves by nature."""
GROWING, GROWTH, NEAR = 3, 1.2, 0.5
"""So many replies in a row, each so much longer, the last so near to the limit."""


def usable(reply: ModelReply) -> bool:
    """Whether *reply* has calls that may be run."""
    return bool(reply.calls) and reply.stop not in NOT_RUN


def faults(brief: Brief, state: AgentState, reply: ModelReply) -> tuple[Fault, ...]:
    """What is wrong with *reply*."""
    found = (_silence(state, reply), _chant(reply), _growth(brief, state, reply))
    return tuple(fault for fault in found if fault)


def chant(text: str) -> str:
    """What *text* says over and over towards its end; "" if it does not."""
    if len(text) < CHUNK * CHUNKS:
        return ""
    prose = NO_PROSE.sub("", text[-LOOKED_AT:])
    places: dict[str, list[int]] = defaultdict(list)
    for at in range(len(prose) - CHUNK + 1):
        found = places[prose[at : at + CHUNK]]
        found.append(at)
        latest = found[-CHUNKS:]
        if len(latest) == CHUNKS and latest[-1] - latest[0] <= APART * (CHUNKS - 1) and _says(prose, latest):
            return prose[at : at + CHUNK]
    return ""


def _says(prose: str, places: list[int]) -> bool:
    """Whether what stands at *places* are words, and came in few rhythms."""
    chunk = prose[places[0] : places[0] + CHUNK]
    rhythms = {right - left for left, right in pairwise(places)}
    return len(set(chunk)) > PLAIN and len(rhythms) <= CHUNKS // 2


def _silence(state: AgentState, reply: ModelReply) -> Fault | None:
    if usable(reply) or reply.stop == "chant":
        return None
    if reply.stop == "again":  # the provider paused: asked again, it goes on
        again = state.idle + 1
        return Fault(guard="paused", evidence=f"{again} pauses in a row") if again >= MOST_PAUSES else None
    name = {"length": "cut_off", "refused": "refusal"}.get(reply.stop, "monologue" if reply.text.strip() else "empty")
    said = " ".join(reply.text.split())[:300]
    return Fault(guard=name, evidence=f"a reply without a usable tool call{f': {said!r}' if said else ''}")


def _chant(reply: ModelReply) -> Fault | None:
    found = next(filter(None, (chant(part.text) for part in reply.parts if isinstance(part, Text | Thinking))), "")
    if reply.stop == "chant" and not found:  # in the arguments of a call, or in no prose
        last = reply.parts[-1] if reply.parts else Text(text="")
        found = (last.arguments if isinstance(last, ToolCall) else last.text)[-CHUNK:]
    elif not found:
        return None
    return Fault(guard="chant", evidence=f"the same words over and over: {' '.join(found.split())!r}")


def _growth(brief: Brief, state: AgentState, reply: ModelReply) -> Fault | None:
    sizes = (*state.outputs, reply.usage.output)[-GROWING:]
    grows = len(sizes) == GROWING and all(right >= GROWTH * left > 0 for left, right in pairwise(sizes))
    if not grows or sizes[-1] < NEAR * brief.max_tokens or not usable(reply):
        return None
    told = ", ".join(f"{size:,}" for size in sizes)
    return Fault(guard="growing_replies", evidence=f"replies of {told} tokens, of at most {brief.max_tokens:,}")
