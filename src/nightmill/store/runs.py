"""Runs as people see them: asked for, listed, paused and cancelled."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import sqlalchemy as sa

from nightmill.errors import SettingsError
from nightmill.event import Event, RunQueued, WordSaid
from nightmill.kept import OVER, Run, Wanted, Wish
from nightmill.store import chain, tables
from nightmill.store.database import Database
from nightmill.store.projection import storable
from nightmill.store.redaction import Redaction

__all__ = ["Run", "Runs", "Took", "Wanted", "Wish", "create"]

WAITING = ("parked", "paused")
MOST_SAID = 20_000
"""Characters of one word of a person."""

# What workers ask many times a second is put together once.
_asked: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
NAMED = sa.select(tables.run).where(tables.run.c.id == sa.bindparam("id"))
QUEUED = sa.select(tables.run).where(tables.run.c.state == "queued").order_by(tables.run.c.created, tables.run.c.id)
WISHES = sa.select(
    tables.run.c.id,
    tables.run.c.wanted,
    tables.run.c.wanted_by,
    tables.run.c.wishes,
    tables.run.c.words,
).outerjoin(tables.watch, tables.watch.c.run == tables.run.c.id)
OF = tables.run.c.id.in_(_asked)
OF_OR_WAITING = sa.or_(OF, tables.run.c.state.in_(WAITING))


class Took(NamedTuple):
    """What a run took with all that it started; *priced*: the price of each turn is known."""

    turns: int
    cost: float
    priced: bool


class Runs:
    """The runs of the store. Ids are made by the caller."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self.clock = clock
        wishes = WISHES.add_columns((tables.watch.c.until > database.now).label("watched"))
        self._wishes, self._wishes_waiting = wishes.where(OF), wishes.where(OF_OR_WAITING)

    def create(
        self, asked: RunQueued, *, assignment: str, said: str = "", by: str = "", also: Sequence[Event] = ()
    ) -> Run:
        """Put the run `asked.run` in the table and *asked* in the ledger, with what *by* *said* to it and *also*: all or nothing.

        Asked again with the same id, it returns the run that there is: a step that is run twice asks twice.
        """
        word = _word(asked.run, 1, text=said, by=by) if said else None
        with self.database.write() as connection:
            return create(
                connection, asked, assignment=assignment, at=self.clock(), also=(*also, *([word] if word else ()))
            )

    def get(self, name: str) -> Run:
        """The run whose id is or begins with *name*.

        Raises:
            SettingsError: If there is none, or more than one.
        """
        if not name:
            raise SettingsError("no run was named", hint="`nightmill runs` lists them")
        with self.database.read() as connection:
            if whole := connection.execute(NAMED, {"id": name}).mappings().one_or_none():
                return Run(**whole)
            column = tables.run.c.id
            query = sa.select(tables.run).where(column.startswith(name, autoescape=True)).order_by(column).limit(6)
            # LIKE knows no case on SQLite.
            found = [Run(**row) for row in connection.execute(query).mappings() if row["id"].startswith(name)]
        # A spec's run and the runs of its tasks begin alike: the beginning names the whole.
        first = found[:1] if all(run.id.startswith(f"{found[0].id}-") for run in found[1:]) else found
        if not first:
            raise SettingsError(f"there is no run {name!r}", hint="`nightmill runs` lists them")
        if len(first) > 1:
            ids = ", ".join(run.id for run in first[:5])
            raise SettingsError(f"{name!r} is the beginning of several runs: {ids}", hint="give more of the id")
        return first[0]

    def list(
        self,
        *,
        projects: Collection[str] | None = None,
        parent: str | None = None,
        states: Collection[str] = (),
        before: tuple[float, str] | None = None,
        limit: int | None = None,
    ) -> Sequence[Run]:
        """Runs, newest first, of *projects* and started by *parent*, "" for no run's; None, and () for *states*, mean any.

        *before*: the time and the id of the run after which to go on; None: from the newest on.
        """
        run = tables.run
        query = sa.select(run).order_by(run.c.created.desc(), run.c.id.desc()).limit(limit)
        if projects is not None:
            query = query.where(run.c.project.in_(projects))
        if parent is not None:
            query = query.where(run.c.parent == parent)
        if states:
            query = query.where(run.c.state.in_(states))
        if before is not None:
            query = query.where(sa.tuple_(run.c.created, run.c.id) < sa.tuple_(*map(sa.literal, before)))
        with self.database.read() as connection:
            return [Run(**row) for row in connection.execute(query).mappings()]

    def counts(self, *, projects: Collection[str] | None = None) -> dict[tuple[str, str], int]:
        """How many runs that no other started there are by state and why, of *projects* (None: all)."""
        run = tables.run
        query = (
            sa.select(run.c.state, run.c.why, sa.func.count())
            .where(run.c.parent == "")
            .group_by(run.c.state, run.c.why)
        )
        if projects is not None:
            query = query.where(run.c.project.in_(projects))
        with self.database.read() as connection:
            return {(state, why): number for state, why, number in connection.execute(query)}

    def families(self, ids: Collection[str]) -> dict[str, Took]:
        """What each of the runs *ids* took, together with all that it started."""
        run = tables.run
        first = sa.select(run.c.id, run.c.id.label("head")).where(run.c.id.in_(ids)).cte("family", recursive=True)
        family = first.union_all(sa.select(run.c.id, first.c.head).join(first, run.c.parent == first.c.id))
        query = (
            sa.select(
                family.c.head,
                sa.func.sum(run.c.turns),
                sa.func.sum(run.c.cost),
                sa.func.min(sa.cast(run.c.priced, sa.Integer)),
            )
            .join(run, run.c.id == family.c.id)
            .group_by(family.c.head)
        )
        with self.database.read() as connection:
            return {head: Took(turns, cost, bool(priced)) for head, turns, cost, priced in connection.execute(query)}

    def some(self, ids: Collection[str]) -> Sequence[Run]:
        """The runs with these *ids*, in no order; those that there are not are left out."""
        if not ids:
            return []
        with self.database.read() as connection:
            query = sa.select(tables.run).where(tables.run.c.id.in_(ids))
            return [Run(**row) for row in connection.execute(query).mappings()]

    def queued(self) -> Sequence[Run]:
        """Runs that no worker has taken up yet, oldest first; people may have cancelled or paused them by now."""
        with self.database.read() as connection:
            return [Run(**row) for row in connection.execute(QUEUED).mappings()]

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
            run.c.state.not_in(OVER),
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

    def say(self, name: str, text: str, *, by: str, once: Event | None = None) -> Run:
        """Put *text*, the next word of *by* to the run *name*, in the ledger and count it, both or neither.

        *once* is told with it; if that was told before, nothing is said.

        Raises:
            SettingsError: If there is no such run, it has ended or was cancelled, or nothing or too much is said.
        """
        found, run = self.get(name), tables.run
        word = _word(found.id, 0, text=text, by=by)
        may = (run.c.id == found.id, run.c.state.not_in(OVER), run.c.wanted != "cancel")
        with self.database.write() as connection:
            chain.lock(connection)
            if once is not None and not chain.append(connection, [chain.fact(once, at=self.clock())]):
                return found
            if not connection.execute(run.update().where(*may).values(words=run.c.words + 1)).rowcount:
                state = f"is {found.state}" if found.over else "was cancelled"
                raise SettingsError(f"run {found.id} {state} and hears nothing any more", hint="start a new one")
            number = connection.execute(sa.select(run.c.words).where(run.c.id == found.id)).scalar_one()
            chain.append(connection, [chain.fact(replace(word, number=number), at=self.clock())])
        return self.get(found.id)

    def said(self, run: str, *, after: int = 0) -> Sequence[WordSaid]:
        """The words that people said to *run* after number *after*, in order; *run* is a whole id."""
        event = tables.event
        still = (event.c.run == run, event.c.name == WordSaid.name, event.c.body != chain.FORGOTTEN)
        query = sa.select(event.c.body).where(*still).order_by(event.c.seq)
        with self.database.read() as connection:
            words = [WordSaid(run=run, **json.loads(row.body)) for row in connection.execute(query)]
        return [word for word in words if word.number > after]

    def wanted(self, ids: Collection[str], *, waiting: bool = False) -> dict[str, Wish]:
        """What is wanted of each of *ids*, in one query: a worker asks this for all its runs at once.

        Args:
            ids: Of runs.
            waiting: Also of all that are parked or paused, which may be in no worker.
        """
        if not ids and not waiting:
            return {}
        query = self._wishes_waiting if waiting else self._wishes
        with self.database.read() as connection:
            return {
                row.id: Wish(
                    wanted=row.wanted,
                    by=row.wanted_by,
                    count=row.wishes,
                    words=row.words,
                    watched=bool(row.watched),
                )
                for row in connection.execute(query, {"ids": list(ids)})
            }


def create(
    connection: sa.Connection, asked: RunQueued, *, assignment: str, at: float, also: Sequence[Event] = ()
) -> Run:
    """`Runs.create`, in the caller's write transaction; told with what happened to it *also*."""
    hidden: Redaction = connection.get_execution_options()["hidden"]
    row = {
        "id": asked.run,
        "kind": asked.kind,
        "parent": asked.parent,
        "project": asked.project,
        "title": storable(hidden.text(asked.title)),
        "assignment": assignment,
        "created": at,
        "updated": at,
        "words": sum(isinstance(each, WordSaid) for each in also),
    }
    one = sa.select(tables.run).where(tables.run.c.id == asked.run)
    # The ledger's lock comes first in every transaction that appends, so that two never wait for each other.
    chain.lock(connection)
    found = connection.execute(one).mappings().one_or_none()
    if found is None:
        # What people want of the parent they want of its children, also of one that they could not see yet.
        wish = sa.select(tables.run.c.wanted, tables.run.c.wanted_by, tables.run.c.wishes)
        above = connection.execute(wish.where(tables.run.c.id == asked.parent)).mappings().one_or_none()
        connection.execute(sa.insert(tables.run).values(row | dict(above or {})))
        chain.append(connection, [chain.fact(told, at=at) for told in (asked, *also)])
        found = connection.execute(one).mappings().one()
    return Run(**found)


def _word(run: str, number: int, *, text: str, by: str) -> WordSaid:
    if not text.strip() or len(text) > MOST_SAID:
        said = f"{len(text):,} characters are more than the {MOST_SAID:,} that" if text.strip() else "nothing is what"
        raise SettingsError(f"{said} can be said to a run at once", hint="say in a few sentences what is to change")
    return WordSaid(run=run, number=number, by=storable(by), text=storable(text))
