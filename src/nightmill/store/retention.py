"""Forgetting: the words of old entries go, their place in the chain stays.

An entry that is forgotten keeps number, time, run, name, key and hash; its body becomes `chain.FORGOTTEN`. The hash of the
next entry still follows its own, and an `EntriesForgotten` that comes later says exactly which were emptied and by whom: an
entry that was emptied without one breaks the chain, see `chain.verify`.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import sqlalchemy as sa

from nightmill.event import EntriesForgotten
from nightmill.store import chain, tables
from nightmill.store.database import Database

__all__ = ["Forgetting", "forget"]

table = tables.event


class Forgetting(NamedTuple):
    """How many entries up to number *upto* have no words any more."""

    upto: int
    entries: int


def forget(database: Database, *, before: float, by: str, at: float, pretend: bool = False) -> Forgetting:
    """Delete the words of entries that were told before *before* (Unix seconds), in the name of *by*.

    It goes up to the first entry that is younger, or of a run that is not over or whose pull request is open: what those
    tell is still needed. `chain.LASTING` are never forgotten. With *pretend*, only says what it would do.
    """
    with database.write() as connection:
        chain.lock(connection)
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete=ON")  # what was there is not left in free pages
        upto = _upto(connection, before)
        # What an earlier forgetting left is bound by what that says: none of it goes any more.
        here = (table.c.seq > _gone(connection), table.c.seq <= upto, table.c.body != chain.FORGOTTEN)
        old = chain.forgettable().where(*here)
        digest, count = chain.Digest(), 0
        for row in connection.execute(old.order_by(table.c.seq)).mappings():
            digest.add(row)
            count += 1
        if count and not pretend:
            words = table.update().where(*here, table.c.name.not_in(chain.LASTING))
            connection.execute(words.values(body=chain.FORGOTTEN))
            said = EntriesForgotten(run="", upto=upto, count=count, digest=digest.text(), before=before, by=by)
            chain.append(connection, [chain.fact(said, at=at)])
    if database.dialect == "sqlite" and count and not pretend:
        with database.read() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    elif (
        count and not pretend
    ):  # PostgreSQL keeps what rows held before in the table's file, until that is written anew
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM FULL event")
    return Forgetting(upto, count)


def _gone(connection: sa.Connection) -> int:
    """The number up to which the last forgetting went."""
    said = sa.select(table.c.body).where(table.c.name == EntriesForgotten.name).order_by(table.c.seq.desc()).limit(1)
    last = connection.execute(said).scalar()
    return int(json.loads(last)["upto"]) if last else 0


def _upto(connection: sa.Connection, before: float) -> int:
    """The number up to which entries may go."""
    run, request = tables.run, tables.pull_request
    needed = sa.select(run.c.id).where(run.c.state.not_in(("done", "stopped")))
    unmerged = sa.select(request.c.run).where(request.c.state == "open")
    first = sa.select(sa.func.min(table.c.seq)).where(
        sa.or_(table.c.at >= before, table.c.run.in_(needed), table.c.run.in_(unmerged))
    )
    last = sa.select(sa.func.max(table.c.seq))
    found, newest = connection.execute(first).scalar(), connection.execute(last).scalar()
    return (newest or 0) if found is None else found - 1
