"""What a project's days come to is the same sum in both databases, with midnight in UTC between them."""

from __future__ import annotations

import sqlalchemy as sa

from nightmill import event as e
from nightmill.store import Database, Ledger, Runs, records, tables
from nightmill.store.records import DAY, DayRecord

TODAY = 20_786


def ran(database: Database, name: str, at: float, *events: e.Event, kind: str = "task", project: str = "shop") -> None:
    queued = e.RunQueued(run=name, kind=kind, title="t", project=project, spec="s", model="m")
    Runs(database, lambda: at).create(queued, assignment="a")
    Ledger(database, lambda: at).append(events)
    with database.write() as connection:
        connection.execute(tables.run.update().where(tables.run.c.id == name).values(created=at))


def turn(run: str, cost: float | None) -> e.Event:
    usage = {"input": 100, "output": 20}
    return e.TurnFinished(
        run=run, turn=1, role="developer", model="m", record="x", snapshot="y", usage=usage, cost=cost, calls=1, seconds=1.0
    )  # fmt: skip


def test_a_day_is_what_was_asked_for_from_midnight_to_midnight(database: Database) -> None:
    midnight = float(TODAY * DAY)
    ran(database, "r1", midnight, turn("r1", 0.25), e.RunDone(run="r1"))
    ran(database, "r2", midnight + DAY - 0.01, turn("r2", None), e.RunStopped(run="r2", why="failed", reason="no"))
    ran(database, "r3", midnight - 0.01, e.RunStopped(run="r3", why="cancelled", reason="no"))
    ran(database, "r4", midnight - DAY / 2, e.RunStarted(run="r4", worker="w"))
    ran(database, "r5", midnight, turn("r5", 1.0), e.RunDone(run="r5"), kind="spec")
    ran(database, "r6", midnight, turn("r6", 9.0), project="barn")
    ran(database, "r7", midnight - 2 * DAY, turn("r7", 9.0))

    assert records.days(database, "shop", first=TODAY - 1) == {
        TODAY: DayRecord(cost=1.25, tokens=360, unpriced=1, done=1, stopped=1),
        TODAY - 1: DayRecord(cancelled=1, open=1),
    }, "a spec costs, and is no task; a run that a person cancelled says nothing of how tasks end"


def test_the_latest_runs_of_a_project_are_found_by_an_index(database: Database) -> None:
    ran(database, "r1", 1.0)
    query = sa.select(tables.run).where(tables.run.c.project == "shop").order_by(tables.run.c.created.desc()).limit(1)
    with database.read() as connection:
        names = {each["name"] for each in sa.inspect(connection).get_indexes("run")}
        assert connection.execute(query).one().id == "r1"

    assert "run_project_created" in names
