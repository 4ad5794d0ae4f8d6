"""What runs left for somebody to start: the ledger says what was left, started and dropped, and runs say the rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import sqlalchemy as sa

from nightmill.errors import SettingsError
from nightmill.event import RunQueued, TaskDropped, TaskStarted
from nightmill.kept import OVER, Filed, Run, Started, Task
from nightmill.store import chain, tables
from nightmill.store.database import Database
from nightmill.store.projection import storable
from nightmill.store.runs import create

__all__ = ["Tasks"]

table = tables.task
filer, child, later = tables.run.alias("filer"), tables.run.alias("child"), tables.task.alias("later")

STATE: sa.ColumnElement[str] = sa.case(
    (table.c.dropped > 0, "dropped"),
    (sa.exists().where(later.c.run == table.c.child), "followed"),
    (child.c.state.not_in(OVER), "started"),
    (sa.and_(child.c.state == "done", child.c.pull_request > 0), "landed"),
    (sa.or_(filer.c.state == "done", sa.and_(filer.c.state == "stopped", filer.c.why == "cancelled")), "settled"),
    else_="open",
)


class Tasks:
    """The tasks of the store."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self.clock = clock

    def list(
        self,
        *,
        projects: Collection[str] | None = None,
        run: str = "",
        states: Sequence[Task] = (),
        after: tuple[float, str] | None = None,
        limit: int | None = None,
    ) -> Sequence[Filed]:
        """Tasks, oldest first, of *projects* (None: of any) and left by *run*; "" and () mean any.

        *after*: the time and the id of the one after which to go on; None: from the first on.
        """
        query = _all().limit(limit)
        query = query if projects is None else query.where(table.c.project.in_(projects))
        query = query.where(table.c.run == run) if run else query
        if after is not None:
            query = query.where(sa.tuple_(table.c.filed, table.c.id) > sa.tuple_(*map(sa.literal, after)))
        query = query.where(STATE.in_(states)) if states else query
        with self.database.read() as connection:
            return [Filed(**row) for row in connection.execute(query).mappings()]

    def get(self, name: str) -> Filed:
        """The task whose id is or begins with *name*, as the id of the run does that left it.

        Raises:
            SettingsError: If there is none, or more than one.
        """
        query = _all().where(table.c.id.startswith(name, autoescape=True)).limit(6)
        with self.database.read() as connection:
            # LIKE knows no case on SQLite.
            found = [Filed(**row) for row in connection.execute(query).mappings() if row["id"].startswith(name)]
        exact = [each for each in found if name in {each.id, each.run}] or found
        if not exact or not name:
            raise SettingsError(f"there is no task {name!r}", hint="`nightmill task list` lists them")
        if len(exact) > 1:
            ids = ", ".join(each.id for each in exact[:5])
            raise SettingsError(f"{name!r} is the beginning of several tasks: {ids}", hint="give more of the id")
        return exact[0]

    def start(self, id: str, asked: RunQueued, *, assignment: str, by: str) -> Started:
        """Put the run `asked.run` in the queue, which goes on with the task *id*, in the name of *by*.

        Of several who start it at once the first has done it, and the others are given that run.

        Raises:
            SettingsError: If it is no longer open.
        """
        now = self.clock()
        with self.database.write() as connection:
            chain.lock(connection)
            found = self._find(connection, id)
            if found.state == "started":
                row = connection.execute(sa.select(tables.run).where(tables.run.c.id == found.child)).mappings().one()
                return Started(Run(**row), new=False)
            _must_be_open(found)
            made = create(connection, asked, assignment=assignment, at=now)
            told = TaskStarted(run=found.run, task=id, child=made.id, by=storable(by))
            chain.append(connection, [chain.fact(told, at=now)])
        return Started(made, new=True)

    def drop(self, id: str, *, by: str, because: str) -> Filed:
        """Let nobody go on with the task *id*, in the name of *by*, and why.

        Raises:
            SettingsError: If it is no longer open, or no reason is given.
        """
        if not because.strip():
            raise SettingsError("what is dropped is dropped with a reason", hint="--because TEXT")
        with self.database.write() as connection:
            chain.lock(connection)
            found = self._find(connection, id)
            _must_be_open(found)
            told = TaskDropped(run=found.run, task=id, by=storable(by), because=storable(because.strip()))
            chain.append(connection, [chain.fact(told, at=self.clock())])
            return self._find(connection, id)

    def _find(self, connection: sa.Connection, id: str) -> Filed:
        row = connection.execute(_all().where(table.c.id == id)).mappings().one_or_none()
        if row is None:
            raise SettingsError(f"there is no task {id!r}", hint="`nightmill task list` lists them")
        return Filed(**row)


def _must_be_open(found: Filed) -> None:
    if found.state == "open":
        return
    said = {
        "started": f"{found.by} started it: run {found.child} goes on with it",
        "landed": f"run {found.child} has landed it",
        "followed": f"run {found.child} went on with it, and left a task of its own",
        "settled": f"run {found.run} went on without it, or was cancelled",
        "dropped": f"{found.by} dropped it: {found.because}",
    }[found.state]
    raise SettingsError(f"the task {found.id} is {found.state}: {said}", hint=f"nightmill task show {found.id}")


def _all() -> sa.Select[Any]:
    runs = table.outerjoin(filer, filer.c.id == table.c.run).outerjoin(child, child.c.id == table.c.child)
    return sa.select(table, STATE.label("state")).select_from(runs).order_by(table.c.filed, table.c.id)
