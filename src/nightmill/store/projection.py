"""What each event changes in the row of its run: a table of event class → function.

The columns below are nothing but the ledger added up; `fold` adds up a batch, so that fifty turns cost one update.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from nightmill import event as events
from nightmill.kept import OVER
from nightmill.store import tables

__all__ = ["Change", "apply", "fold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """New values, sums to add, and values of an ended run that nothing told later may take back."""

    state: dict[str, Any] = field(default_factory=dict)
    put: dict[str, Any] = field(default_factory=dict)
    add: dict[str, float] = field(default_factory=dict)

    def then(self, later: Change) -> Change:
        """Both changes as one; once a state ends the run it stays."""
        ended = self.state.get("state") in OVER
        add = {name: self.add.get(name, 0) + later.add.get(name, 0) for name in {*self.add, *later.add}}
        return Change(
            state=self.state if ended else {**self.state, **later.state},
            put={**self.put, **later.put},
            add=add,
        )


def fold(told: Iterable[events.Event]) -> dict[str, Change]:
    """The changes that *told* makes, by run."""
    changes: dict[str, Change] = {}
    for each in told:
        change = changed_by.get(type(each), _nothing)(each)
        changes[each.run] = changes.get(each.run, Change()).then(change)
    return changes


def apply(connection: sa.Connection, told: Iterable[events.Event], *, at: float) -> None:
    """Bring the rows of the runs of *told*, and of the tasks that they left, up to it, in the caller's transaction."""
    run, told = tables.run, list(told)
    for each in told:
        if (write := tasks_by.get(type(each))) is not None:
            connection.execute(write(each, at))
    for name, change in fold(told).items():
        sums = {column: run.c[column] + amount for column, amount in change.add.items()}
        connection.execute(run.update().where(run.c.id == name).values(**change.put, **sums, updated=at))
        if change.state:
            lives = run.c.state.not_in(OVER)
            connection.execute(run.update().where(run.c.id == name, lives).values(**change.state))


def storable(text: str) -> str:
    """*text* as both databases can hold it: no NUL, no lone surrogate."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def _nothing(_event: Any) -> Change:
    return Change()


def _running(event: events.RunStarted | events.RunRecovered) -> Change:
    return Change(state={"state": "running", "worker": event.worker, "why": "", "reason": ""})


def _parked(event: events.RunParked) -> Change:
    return Change(state={"state": "parked", "why": event.needs, "reason": storable(event.reason)})


def _paused(event: events.RunPaused) -> Change:
    return Change(state={"state": "paused", "why": "", "reason": storable(f"paused by {event.by}")})


def _stopped(event: events.RunStopped) -> Change:
    return Change(state={"state": "stopped", "why": event.why, "reason": storable(event.reason)})


def _turn(event: events.TurnFinished) -> Change:
    tokens = event.usage.get("input", 0) + event.usage.get("output", 0)
    put = {} if event.cost is not None else {"priced": False}
    return Change(put=put, add={"turns": 1, "tokens": tokens, "cost": event.cost or 0.0})


changed_by: dict[type[events.Event], Callable[[Any], Change]] = {
    events.RunQueued: lambda event: Change(put={"model": storable(event.model)}),
    events.RunStarted: _running,
    events.RunRecovered: _running,
    events.RunParked: _parked,
    events.RunPaused: _paused,
    events.RunResumed: lambda _: Change(state={"state": "running", "why": "", "reason": ""}),
    events.RunDone: lambda _: Change(state={"state": "done", "why": "", "reason": ""}),
    events.RunStopped: _stopped,
    events.PhaseStarted: lambda event: Change(put={"phase": event.phase}),
    events.PlanMade: lambda _: Change(put={"phase": "tasks"}),
    events.TurnFinished: _turn,
    events.PullRequestOpened: lambda event: Change(put={"pull_request": event.number}),
}


def _filed(event: events.TaskFiled, at: float) -> sa.Executable:
    return sa.insert(tables.task).values(
        id=event.task,
        run=event.run,
        project=event.project,
        title=storable(event.title),
        findings=event.findings,
        tree=event.tree,
        head=event.commit,
        body=event.body,
        filed=at,
        child="",
        by="",
        because="",
        dropped=0.0,
    )


def _task(id: str, **values: Any) -> sa.Executable:
    return tables.task.update().where(tables.task.c.id == id).values(**values)


tasks_by: dict[type[events.Event], Callable[[Any, float], sa.Executable]] = {
    events.TaskFiled: _filed,
    events.TaskStarted: lambda event, _: _task(event.task, child=event.child, by=storable(event.by)),
    events.TaskDropped: lambda event, at: _task(
        event.task, by=storable(event.by), because=storable(event.because), dropped=at
    ),
}
