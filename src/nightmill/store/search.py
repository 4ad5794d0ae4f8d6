"""Looking through the ledger: by run, by the name of what happened, by time; newest first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from nightmill.store import tables
from nightmill.store.database import Database
from nightmill.store.ledger import Entry

__all__ = ["Wanted", "search"]

table, runs = tables.event, tables.run


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is looked for.

    Attributes:
        projects: Those of whose runs; None: of all, and what is about no run, too.
        run: The beginning of a run's id, "" for any.
        name: Of an event, "" for any.
        since: Unix seconds; *until*, too, 0: without end.
        before: Only entries with a smaller number, 0: from the newest.
    """

    projects: Collection[str] | None = None
    run: str = ""
    name: str = ""
    since: float = 0.0
    until: float = 0.0
    before: int = 0


def search(database: Database, wanted: Wanted, *, limit: int) -> list[Entry]:
    """At most *limit* entries, the newest first."""
    columns = (table.c.seq, table.c.at, table.c.run, table.c.name, table.c.key, table.c.body, table.c.hash)
    query = sa.select(*columns).order_by(table.c.seq.desc()).limit(limit)
    if wanted.projects is not None or wanted.run:
        query = query.where(table.c.run.in_(_runs(wanted)))
    if wanted.name:
        query = query.where(table.c.name == wanted.name)
    if wanted.since:
        query = query.where(table.c.at >= wanted.since)
    if wanted.until:
        query = query.where(table.c.at < wanted.until)
    if wanted.before:
        query = query.where(table.c.seq < wanted.before)
    with database.read() as connection:
        return [Entry(**row) for row in connection.execute(query).mappings()]


def _runs(wanted: Wanted) -> sa.Select[tuple[str]]:
    query = sa.select(runs.c.id)
    if wanted.projects is not None:
        query = query.where(runs.c.project.in_(wanted.projects))
    if wanted.run:  # LIKE knows no case on SQLite
        query = query.where(sa.func.substr(runs.c.id, 1, len(wanted.run)) == wanted.run)
    return query
