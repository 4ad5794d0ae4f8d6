"""Mistakes that roles made of late, as the ledger tells them."""

from __future__ import annotations

import json

import sqlalchemy as sa

from nightmill import event
from nightmill.store import tables
from nightmill.store.database import Database

__all__ = ["recent"]

table, run = tables.event, tables.run
FIRST, BEYOND = "mistake/", "mistake0"
"""Their keys lie between these two."""


def recent(database: Database, project: str, *, runs: int) -> list[event.MistakeMade]:
    """Those of the last so many *runs* of tasks in *project*, oldest first: found by their keys, run by run."""
    last = sa.select(run.c.id).where(run.c.project == project, run.c.kind == "task")
    last = last.order_by(run.c.created.desc(), run.c.id.desc()).limit(runs)
    with database.read() as connection:
        ids = connection.execute(last).scalars().all()
        key = sa.collate(table.c.key, "C") if connection.dialect.name == "postgresql" else table.c.key
        found = sa.select(table.c.name, table.c.run, table.c.body).where(
            table.c.run.in_(ids), key >= FIRST, key < BEYOND, table.c.name == event.MistakeMade.name
        )
        rows = connection.execute(found.order_by(table.c.seq)).all()
    told = (event.from_plain(name=row.name, run=row.run, body=json.loads(row.body)) for row in rows)
    return [each for each in told if isinstance(each, event.MistakeMade)]
