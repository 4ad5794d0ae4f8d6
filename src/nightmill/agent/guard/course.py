"""Faults of the course that the work takes: nothing new for many turns, or away from the task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nightmill.agent import drift
from nightmill.agent.guard import loops
from nightmill.agent.guard.ladder import Fault
from nightmill.agent.nouns import AgentState, Brief, Made, TurnRecord

__all__ = ["faults"]

STANDSTILL = 8
"""Turns in a row that did nothing new and gained nothing."""


def faults(brief: Brief, state: AgentState, record: TurnRecord, now: Sequence[Made]) -> tuple[Fault, ...]:
    """What is wrong with where the turn of *record*, with its calls *now*, leads."""
    if not record.messages:
        return ()
    signal = drift.signal(state, record)
    turns = record.turn - state.newest
    if turns >= STANDSTILL and not (signal.progress or loops.new(state, now)):
        return (Fault(guard="standstill", evidence=f"nothing new in {turns} turns"),)
    after = replace(state, turn=record.turn, signals=(*state.signals, signal), made=loops.looked_at(state.made, now))
    found = drift.score(brief, after)
    if found.score >= drift.FAR > drift.score(brief, state).score:
        return (Fault(guard="adrift", evidence=f"the latest turns lead away from the task: {found.why}"),)
    return ()
