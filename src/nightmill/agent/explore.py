"""Explorers: children of a turn that read, each with one question, a context and a bound of its own.

They run side by side and share nothing. What one reads stays with it; its report is all that comes back, and so does
its failure: a sentence in place of a report. They cannot send explorers themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from nightmill.agent.loop import Told, act, apply, send_back
from nightmill.agent.nouns import AgentState, Brief, TurnRecord
from nightmill.errors import LimitReached, ModelError
from nightmill.event import Event
from nightmill.model import ModelReply
from nightmill.prompt import part, render
from nightmill.tool import ToolContext, Toolset
from nightmill.tool.base import Explored, Question, cut

__all__ = ["COMPACT_AT", "MOST_TOKENS", "MOST_TURNS", "Ask", "Party", "child", "explore", "warned"]

MOST_TURNS = 12
MOST_TOKENS = 200_000
"""Tokens in and out that one explorer may use."""
MOST_REPORT = 4_000
COMPACT_AT = 40_000

Ask = Callable[[Brief, AgentState], Awaitable[ModelReply]]
"""Give a child's next reply.

Raises:
    ModelError: If the provider does not.
    LimitReached: If the run's budget holds no more.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """What all explorers of one call work with. *sent* is told of each before it goes, *kept* of each turn as it ends."""

    parent: Brief
    turn: int
    instructions: tuple[str, ...]
    model: str
    tools: Toolset
    context: ToolContext
    told: Told
    ask: Ask
    sent: Callable[[Brief], None]
    kept: Callable[[Brief, TurnRecord], None]
    compact_at: int = COMPACT_AT


async def explore(questions: Sequence[Question], *, party: Party) -> Explored:
    """The reports on *questions*, in their order.

    Raises:
        SandboxError: If the sandbox failed; the turn may run again.
    """
    briefs = [child(party, number, question) for number, question in enumerate(questions, 1)]
    for brief in briefs:
        party.sent(brief)
    ended = await asyncio.gather(*(_explore(brief, party) for brief in briefs), return_exceptions=True)
    failed = next((each for each in ended if isinstance(each, BaseException)), None)
    if failed is not None:
        raise failed
    found = [each for each in ended if isinstance(each, tuple)]
    reports = [
        f"## {number}. {question.text}\n\n{cut(report, most=MOST_REPORT)}"
        for number, (question, (report, _)) in enumerate(zip(questions, found, strict=True), 1)
    ]
    states = [state for _, state in found]
    return Explored(
        report="\n\n".join(reports),
        usage=sum((state.usage for state in states[1:]), states[0].usage),
        cost=sum(state.cost for state in states) if all(state.priced for state in states) else None,
        count=len(states),
    )


def child(party: Party, number: int, question: Question) -> Brief:
    """What explorer *number* of the turn is given."""
    where = f"\nBegin here: {question.where}\n" if question.where else ""
    prompt = render(
        "explorer/task", question=question.text, where=where, objective=party.parent.objective, turns=str(MOST_TURNS)
    )
    digest = sha256("\n".join(party.instructions).encode()).hexdigest()
    return Brief(
        role=f"explorer {party.turn}.{number}",
        model=party.model,
        system=party.instructions,
        anchor=prompt.text,
        prompts={prompt.name: prompt.digest, "crew/explorer": digest},
        conversation=f"{party.parent.conversation}-{party.turn}.{number}",
        max_tokens=party.parent.max_tokens,
        objective=cut(question.text, most=600),
        compact_at=party.compact_at,
        tag=party.parent.tag,
    )


def warned(state: AgentState) -> AgentState:
    """*state* of an explorer as its next turn begins: it is told which one is the last."""
    return send_back(state, part("explorer/last").text) if state.turn == MOST_TURNS - 1 else state


async def _explore(brief: Brief, party: Party) -> tuple[str, AgentState]:
    """(report or what came in its place, how far it got)."""
    state = AgentState()
    told = replace(party.told, emit=_nobody)
    while state.ending is None:
        used = state.usage.input + state.usage.output
        if state.turn >= MOST_TURNS or used >= MOST_TOKENS:
            return f"(no report: its {MOST_TURNS} turns or {MOST_TOKENS:,} tokens are used up)", state
        state = warned(state)
        try:
            reply = await party.ask(brief, state)
        except (ModelError, LimitReached) as error:
            return f"(no report: {error.message})", state
        context = replace(party.context, known=state.known, explore=None)
        record = await act(brief, state, reply, tools=party.tools, context=context, told=told)
        party.kept(brief, record)
        state = apply(brief, state, record)
    if state.ending.kind != "finished":
        return f"(no report: it is {state.ending.kind}: {state.ending.text})", state
    return state.ending.text, state


def _nobody(event: Event) -> None:
    """A child's tools are in its records; the ledger has a line for each of its turns."""
