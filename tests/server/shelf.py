"""Ledgers of runs, as `tests.report.telling` writes them, put into the store of a house."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from nightmill import event as e
from nightmill.desk.door import Door
from nightmill.store import chain, tables
from nightmill.store.projection import storable
from tests.report.telling import Telling

__all__ = ["shelve"]


def shelve(door: Door, told: Telling, *, later: float = 0.0, run: str = "") -> str:
    """Put *told* in the store of *door* as *run* ("": the id that it has), *later* by so many seconds. Gives the id."""
    name = run or told.run
    for body in told.blobs.values():
        door.blobs.put(body)
    queued = next(each.event for each in told.entries if isinstance(each.event, e.RunQueued))
    row = {name: storable(getattr(queued, name)) for name in ("kind", "parent", "project", "title")}
    times = {"created": told.entries[0].at + later, "updated": told.entries[-1].at + later}
    facts = [chain.fact(replace(each.event, run=name), at=each.at + later) for each in told.entries]
    with door.database.write() as connection:
        connection.execute(sa.insert(tables.run).values(id=name, assignment="a", **row, **times))
        chain.append(connection, facts)
        connection.execute(tables.run.update().where(tables.run.c.id == name).values(**times))
    return name
