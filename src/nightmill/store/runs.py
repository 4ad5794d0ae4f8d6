"""Runs as people see them: asked for, listed, paused and cancelled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from nightmill.errors import SettingsError
from nightmill.event import RunQueued
from nightmill.store import chain, tables
from nightmill.store.database import Database
from nightmill.store.projection import storable

__all__ = ["Run", "Runs", "Wanted", "Wish"]

Wanted = Literal["run", "pause", "cancel"]

over = ("done", "stopped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What people want of a run, who said so last ("": nobody yet), and how often anybody did."""

    wanted: Wanted
    by: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One row: what was asked for, what is wanted of it, and what the ledger adds up to.

    Attributes:
        kind: "spec" (plans and starts tasks) or "task".
        parent: The run that started this one, "" for none.
        assignment: Blob with what the worker needs to know.
        state: queued, running, parked, paused, done or stopped.
        why: Of a stop: limit, failed, refused or cancelled; of a parked run, what it needs: time or person.
        priced: Whether every turn had a known price, so that *cost* is the whole cost in US dollars.
        worker: The worker that has or had it.
    """

    id: str
    kind: str
    parent: str
    project: str
    title: str
    assignment: str
    created: float
    updated: float
    wanted: Wanted = "run"
    wanted_by: str = ""
    wishes: int = 0
    state: str = "queued"
    phase: str = ""
    reason: str = ""
    why: str = ""
    model: str = ""
    turns: int = 0
    tokens: int = 0
    cost: float = 0.0
    priced: bool = True
    pull_request: int = 0
    worker: str = ""

    @property
    def over(self) -> bool:
        """Whether it ended."""
        return self.state in over


class Runs:
    """The runs of the store. Ids are made by the caller."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self.clock = clock

    def create(self, asked: RunQueued, *, assignment: str) -> Run:
        """Put the run `asked.run` in the table and *asked* in the ledger, both or neither.

        Asked again with the same id, it returns the run that there is: a step that is run twice asks twice.
        """
        now = self.clock()
        row = {
            "id": asked.run,
            "kind": asked.kind,
            "parent": asked.parent,
            "project": asked.project,
            "title": storable(asked.title),
            "assignment": assignment,
            "created": now,
            "updated": now,
        }
        with self.database.write() as connection:
            # The ledger's lock comes first in every transaction that appends, so that two never wait for each other.
            chain.lock(connection)
            found = (
                connection.execute(sa.select(tables.run).where(tables.run.c.id == asked.run)).mappings().one_or_none()
            )
            if found is None:
                # What people want of the parent they want of its children, also of one that they could not see yet.
                wish = sa.select(tables.run.c.wanted, tables.run.c.wanted_by, tables.run.c.wishes)
                above = connection.execute(wish.where(tables.run.c.id == asked.parent)).mappings().one_or_none()
                connection.execute(sa.insert(tables.run).values(row | dict(above or {})))
                chain.append(connection, [chain.fact(asked, at=now)])
                found = connection.execute(sa.select(tables.run).where(tables.run.c.id == asked.run)).mappings().one()
        return Run(**found)

    def get(self, name: str) -> Run:
        """The run whose id is or begins with *name*.

        Raises:
            SettingsError: If there is none, or more than one.
        """
        if not name:
            raise SettingsError("no run was named", hint="`nightmill runs` lists them")
        column = tables.run.c.id
        query = sa.select(tables.run).where(column.startswith(name, autoescape=True)).order_by(column).limit(6)
        with self.database.read() as connection:
            # LIKE knows no case on SQLite.
            found = [Run(**row) for row in connection.execute(query).mappings() if row["id"].startswith(name)]
        # A spec's run and the runs of its tasks begin alike: the beginning names the whole.
        first = found[:1] if all(run.id.startswith(f"{found[0].id}-") for run in found[1:]) else found
        exact = [run for run in found if run.id == name] or first
        if not exact:
            raise SettingsError(f"there is no run {name!r}", hint="`nightmill runs` lists them")
        if len(exact) > 1:
            ids = ", ".join(run.id for run in exact[:5])
            raise SettingsError(f"{name!r} is the beginning of several runs: {ids}", hint="give more of the id")
        return exact[0]

    def list(
        self, *, project: str = "", parent: str = "", states: Collection[str] = (), limit: int | None = None
    ) -> Sequence[Run]:
        """Runs, newest first; "" and () mean any."""
        query = sa.select(tables.run).order_by(tables.run.c.created.desc(), tables.run.c.id.desc()).limit(limit)
        if project:
            query = query.where(tables.run.c.project == project)
        if parent:
            query = query.where(tables.run.c.parent == parent)
        if states:
            query = query.where(tables.run.c.state.in_(states))
        with self.database.read() as connection:
            return [Run(**row) for row in connection.execute(query).mappings()]

    def queued(self) -> Sequence[Run]:
        """Runs that no worker has taken up yet and that nobody has cancelled or paused, oldest first."""
        waits = (tables.run.c.state == "queued", tables.run.c.wanted == "run")
        query = sa.select(tables.run).where(*waits).order_by(tables.run.c.created, tables.run.c.id)
        with self.database.read() as connection:
            return [Run(**row) for row in connection.execute(query).mappings()]

    def want(self, name: str, wanted: Wanted, *, by: str) -> Run:
        """Note what *by* wants of the run *name*; its worker sees it within its next look.

        Raises:
            SettingsError: If there is no such run, it has ended, or it was cancelled before.
        """
        found = self.get(name)
        run = tables.run
        # A cancel is final: work may already be torn down.
        may = (
            run.c.id == found.id,
            run.c.state.not_in(over),
            sa.or_(run.c.wanted != "cancel", sa.literal(wanted) == "cancel"),
        )
        with self.database.write() as connection:
            changed = connection.execute(
                run.update().where(*may).values(wanted=wanted, wanted_by=storable(by), wishes=run.c.wishes + 1)
            )
            if not changed.rowcount:
                state = "was cancelled" if not found.over else f"is {found.state}"
                done = {"run": "resumed", "pause": "paused", "cancel": "cancelled"}[wanted]
                raise SettingsError(f"run {found.id} {state} and cannot be {done}", hint="start a new one")
        return self.get(found.id)

    def wanted(self, ids: Collection[str]) -> dict[str, Wish]:
        """What is wanted of each of *ids*, in one query: a worker asks this for all its runs at once."""
        if not ids:
            return {}
        run = tables.run
        query = sa.select(run.c.id, run.c.wanted, run.c.wanted_by, run.c.wishes).where(run.c.id.in_(ids))
        with self.database.read() as connection:
            return {
                row.id: Wish(wanted=row.wanted, by=row.wanted_by, count=row.wishes) for row in connection.execute(query)
            }
