"""What runs write just now, from their workers to whoever watches; nothing is written unless somebody does.

Whoever watches says so again and again, and is soon forgotten. A worker sees it with what else people want of its runs.
What it writes counts for some seconds, so that nothing is left of a worker that died.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import suppress
from typing import NamedTuple

import sqlalchemy as sa

from nightmill.kept import OVER, Draft, Piece
from nightmill.store.database import Database
from nightmill.store.projection import storable
from nightmill.store.tables import draft, run, watch

__all__ = ["STAYS", "Drafts", "Mark"]

STAYS = 5.0
"""Seconds for which what was written counts, unless its worker says so again."""


class Mark(NamedTuple):
    """What tells one state of a draft from another."""

    attempt: str
    number: int


class Drafts:
    """Drafts by run. Times are the database's own, so machines need not agree on theirs."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # Whoever watches

    def watch(self, runs: Collection[str], *, seconds: float) -> frozenset[str]:
        """Say that what *runs* write, and what those that they started write, is watched for *seconds* more.

        Gives those of them that have not ended.
        """
        now = self.database.now
        family = sa.select(run.c.id).where(run.c.id.in_(runs)).cte("family", recursive=True)
        family = family.union(sa.select(run.c.id).join(family, run.c.parent == family.c.id))
        open_ = sa.select(run.c.id).join(family, family.c.id == run.c.id).where(run.c.state.not_in(OVER))
        with self.database.read() as connection:
            found = frozenset(connection.execute(open_).scalars())
        # Said by two at once, one of them is as good as the other.
        with suppress(sa.exc.IntegrityError), self.database.write() as connection:
            known = connection.execute(sa.select(watch.c.run).where(watch.c.run.in_(found))).scalars().all()
            connection.execute(watch.delete().where(watch.c.until <= now, watch.c.run.not_in(found)))
            connection.execute(draft.delete().where(draft.c.until <= now))
            connection.execute(watch.update().where(watch.c.run.in_(known)).values(until=now + seconds))
            for each in found.difference(known):
                connection.execute(watch.insert().values(run=each, until=now + seconds))
        return found

    def marks(self) -> dict[str, Mark]:
        """Of each run that writes: which state its draft is in."""
        query = sa.select(draft.c.run, draft.c.attempt, draft.c.number).where(draft.c.until > self.database.now)
        with self.database.read() as connection:
            return {row.run: Mark(row.attempt, row.number) for row in connection.execute(query)}

    def read(self, runs: Collection[str]) -> dict[str, tuple[Mark, Draft]]:
        """The drafts of *runs*, of those that write."""
        query = sa.select(draft).where(draft.c.run.in_(runs), draft.c.until > self.database.now)
        with self.database.read() as connection:
            return {row.run: (Mark(row.attempt, row.number), _draft(row)) for row in connection.execute(query)}

    # A worker

    def put(
        self, written: Collection[tuple[int, Draft]], *, begun: Collection[str] = (), gone: Collection[Draft] = ()
    ) -> set[str]:
        """Keep what is *written*, each with a number that says how much that is, and drop what is *gone*.

        Of the attempts in *begun* it is the first: they take the place of any other. The same number is the same text, of
        which it is said again that it counts. Gives the runs of which another attempt was taken up elsewhere.
        """
        until, lost = self.database.now + STAYS, set[str]()
        with self.database.write() as connection:
            for each in gone:
                connection.execute(draft.delete().where(*_same(each)))
            for number, each in written:
                row = {"attempt": each.attempt, "number": number, "body": _body(each), "until": until}
                first = each.attempt in begun
                mine = (draft.c.run == each.run,) if first else _same(each)
                if connection.execute(draft.update().where(*mine).values(row)).rowcount:
                    continue
                if not first and connection.execute(sa.select(draft.c.run).where(draft.c.run == each.run)).first():
                    lost.add(each.run)
                else:  # also of a worker that was silent for so long that others took it for dead
                    connection.execute(draft.insert().values(run=each.run, **row))
        return lost


def _same(each: Draft) -> tuple[sa.ColumnElement[bool], ...]:
    return draft.c.run == each.run, draft.c.attempt == each.attempt


def _body(each: Draft) -> str:
    pieces = [[piece.kind, piece.name, piece.text, piece.cut, piece.by] for piece in each.pieces]
    return storable(json.dumps({"role": each.role, "turn": each.turn, "pieces": pieces}, ensure_ascii=False))


def _draft(row: sa.Row[tuple[str, str, int, str, float]]) -> Draft:
    body = json.loads(row.body)
    pieces = tuple(
        Piece(kind=kind, name=name, text=text, cut=cut, by=by) for kind, name, text, cut, by in body["pieces"]
    )
    return Draft(run=row.run, role=body["role"], turn=body["turn"], attempt=row.attempt, pieces=pieces)
