"""Looking through the ledger: by words, who, what, run and time; newest first, and through so many entries at once."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
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
FIRST, WIDER = 625, 4
"""How many numbers the first step goes back; how many times further the next one, where there was little, or less far."""
FEW = 50
"""Runs that are named one by one to the database."""
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
    """The *entries*, newest first; *further*: before which number others may be, 0: there are no others.

    That number is of an entry that is in question itself: of what is not, nothing is said.
    """

    entries: list[Entry]
    further: int


class Piece(NamedTuple):
    """The numbers above *bottom* up to *top*; *size* is how many entries in question have one of them."""

    bottom: int
    top: int
    size: int


def search(database: Database, wanted: Wanted, *, limit: int) -> Found:
    """At most *limit* entries of the newest `LOOKED_THROUGH` in question: those of the runs that may be wanted, or all."""
    with database.moment() as connection:
        ground = _Ground(connection, _of_runs(wanted))
        who, found, left = _who(wanted.who), list[Entry](), LOOKED_THROUGH
        for piece in ground.pieces(*_bounds(connection, wanted)):
            bottom = piece.bottom if piece.size < left else ground.nth(left, piece) - 1
            rows = connection.execute(_query(wanted, ground.entries(bottom, piece.top), limit=limit)).mappings()
            found += islice((Entry(**row) for row in rows if who.search(row["body"])), limit + 1 - len(found))
            if len(found) > limit:
                return Found(found[:limit], found[limit - 1].seq)
            left -= piece.size
            if left <= 0:
                return Found(found, bottom + 1)
    return Found(found, 0)


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


class _Ground:
    """The entries in question: those of the runs that *conditions* name, or all that there are.

    They are counted from the index alone. What is not in question is passed over in ever longer steps: what it says is not
    looked at, and however much it is, hardly any time goes by.
    """

    def __init__(self, connection: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]]) -> None:
        self.connection = connection
        self.of: sa.ColumnElement[bool] | None = None
        if conditions:
            ids = sa.select(runs.c.id).where(*conditions)
            few = list(connection.execute(ids.limit(FEW + 1)).scalars())
            self.of = table.c.run.in_(few if len(few) <= FEW else ids)

    def pieces(self, low: int, high: int) -> Iterator[Piece]:
        """The numbers above *low* up to *high* in pieces with at most `PIECE` entries in question, the newest first."""
        width = FIRST
        while high > low:
            piece = self._counted(max(low, high - width), high)
            if piece.size > PIECE:
                width //= WIDER
                continue
            yield piece
            high, width = piece.bottom, width * WIDER if piece.size * WIDER <= PIECE else width

    def nth(self, number: int, piece: Piece) -> int:
        """What number the entry has that is the *number*-th in question from the top of *piece*."""
        query = self._some(piece.bottom, piece.top).order_by(table.c.seq.desc())
        found: int = self.connection.execute(query.offset(number - 1).limit(1)).scalar_one()
        return found

    def entries(self, bottom: int, top: int) -> sa.Subquery:
        """Those above *bottom* up to *top*, bounded so that a database finds them first, and looks for words in no others."""
        query = sa.select(*COLUMNS).where(table.c.seq > bottom, table.c.seq <= top)
        if self.of is not None:  # read in their order, so that no page of the table is read twice
            query = query.where(table.c.seq.in_(self._some(bottom, top).limit(PIECE + 1)))
        return query.limit(PIECE + 1).subquery()

    def _counted(self, bottom: int, top: int) -> Piece:
        """The piece, with no more of its entries counted than `PIECE` and one."""
        if self.of is None:
            return Piece(bottom, top, top - bottom)
        some = self._some(bottom, top).limit(PIECE + 1).subquery()
        return Piece(bottom, top, self.connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one())

    def _some(self, bottom: int, top: int) -> sa.Select[Any]:
        """Their numbers."""
        query = sa.select(table.c.seq).where(table.c.seq > bottom, table.c.seq <= top)
        return query if self.of is None else query.where(self.of)


def _query(wanted: Wanted, some: sa.Subquery, *, limit: int) -> sa.Select[Any]:
    """Those of *some* that are looked for; whether somebody is named who is looked for is seen afterwards."""
    query = sa.select(some).where(*_like(wanted, some.c)).order_by(some.c.seq.desc())
    return query if wanted.who else query.limit(limit + 1)


def _of_runs(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    """What the runs have that may be wanted, if not every run may."""
    found = list[sa.ColumnElement[bool]]()
    if wanted.projects is not None:
        found.append(runs.c.project.in_(wanted.projects))
    if wanted.run:  # LIKE knows no case on SQLite
        found.append(sa.func.substr(runs.c.id, 1, len(wanted.run)) == wanted.run)
    return found


def _who(said: str) -> re.Pattern[str]:
    """What finds *said* in a body, where it names somebody."""
    if not said:
        return re.compile("")
    cases = "|".join(re.escape(each) for each in _written(said))
    return re.compile(rf'"(?:{"|".join(WHO)})":"(?:[^"\\]|\\.)*(?:{cases})', re.IGNORECASE)


def _like(wanted: Wanted, some: sa.ColumnCollection[str, Any]) -> Iterator[sa.ColumnElement[bool]]:
    if wanted.names:
        yield some.name.in_(wanted.names)
    if wanted.since:
        yield some.at >= wanted.since
    if wanted.until:
        yield some.at < wanted.until
    for word in wanted.words:
        yield sa.or_(*_has(some.body, *_written(word)), *_has(some.run, word), *_has(some.name, word))
    if wanted.who:
        yield sa.or_(*_has(some.body, *_written(wanted.who)))


def _has(column: sa.ColumnElement[str], *texts: str) -> Iterator[sa.ColumnElement[bool]]:
    """That *column* has one of *texts* in it, whichever case it has; a database is asked for no text with NUL."""
    return (column.icontains(each, autoescape=True) for each in texts if "\0" not in each)


def _written(text: str) -> list[str]:
    """*text* as it may stand in a body, where what is not ASCII is escaped, so that case is part of it."""
    cases = (text, text.lower(), text.upper(), text.title())
    return [json.dumps(each)[1:-1] for each in (dict.fromkeys(cases) if not text.isascii() else (text,))]
