"""What follows when a guard sees a fault: one ladder for all guards, so that every run ends, and none at once.

A nudge, a firmer one, a fresh context in which small steps are asked for, another model if there is one, a stop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from nightmill.agent.nouns import AgentState, Brief
from nightmill.prompt import render

__all__ = ["CAREFUL", "MEASURES", "Fault", "Measure", "Spoken", "climb", "struck"]

Measure = Literal["note", "nudge", "firmer", "fresh", "model", "stop"]
MEASURES: tuple[Measure, ...] = ("note", "nudge", "firmer", "fresh", "model", "stop")
"""From the mildest on. A note is for people only."""
RUNGS: tuple[Measure, ...] = ("nudge", "firmer", "fresh")
TOPS = {
    "growing_replies": 2,
    "large_results": 2,
    "outside_footprint": 1,
    "premature_finish": 0,
    "false_claim": 0,
    "weakened_tests": 2,
}
"""Guards that go up so many rungs only: what they see may be right, or somebody else has the last word."""
TOGETHER = 2
"""So many faults of different kinds weigh as one of the same kind."""
FORGIVEN = 8
"""Clean turns in a row for which each guard forgives one fault; one with a gain is enough alone.

More than any cycle of calls that is seen as one: a loop is never forgiven while it goes round for the first time.
"""
CAREFUL = 4
"""Turns for which small steps are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What a guard saw: *evidence* in one line; *values* fill its prompt part."""

    guard: str
    evidence: str
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A guard that spoke: the measure that it took, and what the agent is told."""

    guard: str
    measure: Measure
    message: str
    evidence: str


def climb(brief: Brief, state: AgentState, fault: Fault) -> Spoken:
    """What follows of *fault* after the faults that *state* remembers."""
    measure = _measure(brief, state, fault.guard)
    return Spoken(
        guard=fault.guard, measure=measure, message=_words(state, fault, measure), evidence=fault.evidence[:600]
    )


def struck(state: AgentState, *, guards: tuple[str, ...], clean: bool, gained: bool) -> AgentState:
    """*state* after a turn in which *guards* spoke, or which was *clean*: it did something new, or *gained* something."""
    if guards:
        strikes = {**state.strikes, **{guard: state.strikes.get(guard, 0) + 1 for guard in guards}}
        return replace(state, strikes=strikes, clean=0)
    if not clean or not state.strikes:
        return state
    if not gained and state.clean + 1 < FORGIVEN:
        return replace(state, clean=state.clean + 1)
    left = {guard: count - (guard not in TOPS) for guard, count in state.strikes.items()}
    return replace(state, strikes={guard: count for guard, count in left.items() if count}, clean=0)


def _measure(brief: Brief, state: AgentState, guard: str) -> Measure:
    own = state.strikes.get(guard, 0)
    if guard in TOPS:
        return RUNGS[own] if own < TOPS[guard] else "note"
    rung = max(own, sum(count for name, count in state.strikes.items() if name not in TOPS) // TOGETHER)
    if rung < len(RUNGS):
        return RUNGS[rung]
    return "model" if state.model < brief.others else "stop"


def _words(state: AgentState, fault: Fault, measure: Measure) -> str:
    if measure in {"note", "stop"}:
        return ""
    if measure in {"fresh", "model"}:
        return render("guard/failed", evidence=fault.evidence[:300]).text
    message = render(f"guard/{fault.guard}", evidence=fault.evidence[:600], **dict(fault.values)).text
    if measure == "nudge":
        return message
    return render("guard/firmer", count=str(state.strikes.get(fault.guard, 0) + 1), message=message).text
