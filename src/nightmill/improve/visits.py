"""The visits of a run: each time that an agent was at work in a step, from which snapshot to which, as the ledger has it.

A turn is told once, however often its run crashed, waited or was built again meanwhile; so a visit is what counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from nightmill import event

__all__ = ["TOLD", "Visit", "spans", "visits"]

TOLD = (
    event.WorkspacePrepared.name,
    event.AgentStarted.name,
    event.SentBack.name,
    event.PhaseStarted.name,
    event.TurnFinished.name,
    event.VerdictGiven.name,
    event.StepFinished.name,
)
"""Names of the events that say it."""
ROUND = re.compile(r"\.(\d+)(?=/)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One time that *role*, as its conversation calls itself, was at work in the step *path*.

    Attributes:
        start: The snapshot that it began at; "" in a run that did not tell it.
        tools: Names of those that it had, None for all.
        state: How the step ended, "" if it did not.
        value: The blob with what the step gave.
        kind: Of the step: "agent" or "review".
    """

    path: str
    role: str
    start: str
    tools: tuple[str, ...] | None = None
    turns: tuple[event.TurnFinished, ...] = ()
    state: str = ""
    value: str = ""
    reason: str = ""
    kind: str = ""

    @property
    def end(self) -> str:
        """The snapshot that it left."""
        return self.turns[-1].snapshot if self.turns else self.start

    @property
    def step(self) -> str:
        """The way to the step without the rounds of its loops."""
        return ROUND.sub("", self.path)

    @property
    def round(self) -> int:
        """Of the loop that the step is in; 0: it is in none."""
        found = re.search(r"\.(\d+)/[^/]*$", self.path)
        return int(found[1]) if found else 0


def visits(told: Iterable[event.Event]) -> tuple[Visit, ...]:
    """All of a run's, in order, from what it *told*."""
    found: list[Visit] = []
    tools: dict[str, tuple[str, ...] | None] = {}
    for each in told:
        match each:
            case event.AgentStarted() | event.SentBack() if each.step:
                tools[each.role] = None if each.tools is None else tuple(each.tools)
            case event.PhaseStarted(phase="work"):
                found.append(Visit(path=each.step, role=each.role, start=each.snapshot, tools=tools.get(each.role)))
            case event.TurnFinished() if found and each.role == found[-1].role:  # an explorer's are its own
                found[-1] = replace(found[-1], turns=(*found[-1].turns, each))
            case event.StepFinished(kind="agent" | "review"):
                found = [_ended(one, each) for one in found]
    return tuple(found)


def spans(some: Sequence[Visit]) -> tuple[tuple[Visit, ...], ...]:
    """*some* by their steps: rounds of one loop together, where nobody else changed anything between them."""
    found: list[tuple[Visit, ...]] = []
    for _, group in groupby(sorted(some, key=lambda each: (_loop(each), each.round)), key=_loop):
        rounds = tuple(group)
        whole = all(one.end == other.start != "" for one, other in pairwise(rounds))
        found += [rounds] if whole else [(each,) for each in rounds]
    order = {each.path: at for at, each in enumerate(some)}
    return tuple(sorted(found, key=lambda span: order[span[0].path]))


def _loop(visit: Visit) -> str:
    """The way to the step without the round of the loop that it is in: those of loops around that one stay."""
    return re.sub(r"\.\d+(?=/[^/]*$)", "", visit.path)


def _ended(visit: Visit, told: event.StepFinished) -> Visit:
    if visit.path != told.step:
        return visit
    return replace(visit, state=told.state, value=told.value, reason=told.reason, kind=told.kind)
