"""Looking through the ledger: by words, who, what, run and time; newest first, and through so many entries at once."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from nightmill.event import EVENTS
from nightmill.store import chain, tables
from nightmill.store.database import Database
from nightmill.store.ledger import Entry

__all__ = ["LOOKED_THROUGH", "WHO", "Found", "Wanted", "named", "search"]

table, runs = tables.event, tables.run

LOOKED_THROUGH = 200_000
"""Entries that are gone through for one answer, however seldom is what is looked for: nobody waits longer than for those."""
PIECE = 10_000
FEW = 50
"""Runs whose entries are looked up, however old they are."""
SKEW = 3600.0
"""Seconds by which an entry may be earlier than one before it: clocks of workers differ, and some tell late."""
WHO = ("by", "author", "role", "worker", "address", "owner", "person")
"""Fields of events that name who acted, or with whom it was done."""

COLUMNS = (table.c.seq, table.c.at, table.c.run, table.c.name, table.c.key, table.c.body, table.c.hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is looked for.

    Attributes:
        projects: Those of whose runs; None: of all, and what is about no run, too.
        words: Each of them is in the entry, whichever case it has.
        who: Part of a name, of an address or of a role of somebody in it, "" for anybody.
        names: Of events, empty for any.
        run: The beginning of a run's id, "" for any.
        since: Unix seconds; *until*, too, 0: without end.
        before: Only entries with a smaller number, 0: from the newest.
    """

    projects: Collection[str] | None = None
    words: Collection[str] = ()
    who: str = ""
    names: Collection[str] = ()
    run: str = ""
    since: float = 0.0
    until: float = 0.0
    before: int = 0


class Found(NamedTuple):
    """The *entries*, newest first; *further*: before which number others may be, 0: there are no others."""

    entries: list[Entry]
    further: int


def search(database: Database, wanted: Wanted, *, limit: int) -> Found:
    """At most *limit* entries of the newest `LOOKED_THROUGH` in question."""
    with database.moment() as connection:
        low, high = _bounds(connection, wanted)
        few = _few(connection, wanted)
        floor = low if few is not None else max(low, high - LOOKED_THROUGH)
        query = _query(wanted, few)
        query = query if wanted.who else query.limit(limit + 1)
        who = _who(wanted.who)
        found = list[Entry]()
        for bottom, top in _pieces(floor, high, size=PIECE if few is None else high):
            rows = connection.execute(query.where(table.c.seq > bottom, table.c.seq <= top)).mappings()
            found += [Entry(**row) for row in rows if who.search(row["body"])]
            if len(found) > limit:
                return Found(found[:limit], found[limit - 1].seq)
    return Found(found, floor + 1 if floor > low else 0)


def named(said: str) -> list[str]:
    """The events whose names begin with *said*, whether it has spaces or underscores; itself, if none does."""
    name = "_".join(said.casefold().split())
    return [each for each in EVENTS if name and each.startswith(name)] or ([name] if name else [])


def _bounds(connection: sa.Connection, wanted: Wanted) -> tuple[int, int]:
    """Between the number after which and the one up to which everything is that may be wanted."""
    high = connection.execute(sa.select(sa.func.max(table.c.seq))).scalar() or 0
    if wanted.until:
        high = min(high, chain.before(connection, wanted.until + SKEW))
    if wanted.before:
        high = min(high, wanted.before - 1)
    return (chain.before(connection, wanted.since - SKEW) if wanted.since else 0), high


def _few(connection: sa.Connection, wanted: Wanted) -> list[str] | None:
    """The runs that may be wanted, if they are few."""
    conditions = _of_runs(wanted)
    if not conditions:
        return None
    ids = sa.select(runs.c.id).where(*conditions).limit(FEW + 1)
    found = list(connection.execute(ids).scalars())
    return found if len(found) <= FEW else None


def _pieces(floor: int, high: int, *, size: int) -> Iterator[tuple[int, int]]:
    """The numbers above *floor* up to *high* in pieces, (what is below it, its last), the newest first."""
    while high > floor:
        yield max(floor, high - size), high
        high -= size


def _query(wanted: Wanted, few: list[str] | None) -> sa.Select[Any]:
    query = sa.select(*COLUMNS).where(*_like(wanted)).order_by(table.c.seq.desc())
    if few is not None:
        return query.where(table.c.run.in_(few))
    conditions = _of_runs(wanted)
    return query.where(sa.exists().where(runs.c.id == table.c.run, *conditions)) if conditions else query


def _who(said: str) -> re.Pattern[str]:
    """What finds *said* in a body, where it names somebody."""
    if not said:
        return re.compile("")
    cases = "|".join(re.escape(each) for each in _written(said))
    return re.compile(rf'"(?:{"|".join(WHO)})":"(?:[^"\\]|\\.)*(?:{cases})', re.IGNORECASE)


def _of_runs(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    found = list[sa.ColumnElement[bool]]()
    if wanted.projects is not None:
        found.append(runs.c.project.in_(wanted.projects))
    if wanted.run:  # LIKE knows no case on SQLite
        found.append(sa.func.substr(runs.c.id, 1, len(wanted.run)) == wanted.run)
    return found


def _like(wanted: Wanted) -> Iterator[sa.ColumnElement[bool]]:
    if wanted.names:
        yield table.c.name.in_(wanted.names)
    if wanted.since:
        yield table.c.at >= wanted.since
    if wanted.until:
        yield table.c.at < wanted.until
    for word in wanted.words:
        yield sa.or_(*_has(table.c.body, *_written(word)), *_has(table.c.run, word), *_has(table.c.name, word))
    if wanted.who:
        yield sa.or_(*_has(table.c.body, *_written(wanted.who)))


def _has(column: sa.ColumnElement[str], *texts: str) -> Iterator[sa.ColumnElement[bool]]:
    """That *column* has one of *texts* in it, whichever case it has; a database is asked for no text with NUL."""
    return (column.icontains(each, autoescape=True) for each in texts if "\0" not in each)


def _written(text: str) -> list[str]:
    """*text* as it may stand in a body, where what is not ASCII is escaped, so that case is part of it."""
    cases = (text, text.lower(), text.upper(), text.title())
    return [json.dumps(each)[1:-1] for each in (dict.fromkeys(cases) if not text.isascii() else (text,))]
