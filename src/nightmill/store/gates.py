"""What all workers know of the rates of a provider's key: one small row per key, changed in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa

from nightmill.store import tables
from nightmill.store.database import Database

__all__ = ["Gates"]

LOCK = 0x67617465
"""Key of the PostgreSQL advisory lock that whoever changes a row holds. A SQLite write holds its lock anyway."""

EMPTY = "{}"

T = TypeVar("T")


class Gates:
    """The rows of the store, each JSON data with times by the clock *now*, the database's own."""

    def __init__(self, database: Database, *, now: sa.ColumnElement[float] | None = None) -> None:
        self.database = database
        self.now = database.now if now is None else now

    def look(self, key: str) -> tuple[dict[str, Any], float]:
        """The row of *key*, {} if there is none, and the time."""
        with self.database.read() as connection:
            return self._read(connection, key)

    def change(self, key: str, *, name: str, by: Callable[[dict[str, Any], float], T]) -> T:
        """Let *by* change the row of *key* in place, given the time, and return what it gives."""
        table = tables.gate
        with self.database.write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
            body, now = self._read(connection, key)
            before = json.dumps(body, separators=(",", ":"))
            given = by(body, now)
            row = {"name": name, "body": json.dumps(body, separators=(",", ":"))}
            if row["body"] == before:
                return given
            if before != EMPTY:
                connection.execute(table.update().where(table.c.key == key).values(**row))
            else:
                connection.execute(table.insert().values(key=key, **row))
            return given

    def all(self) -> list[tuple[str, dict[str, Any], float]]:
        """Each key's name and row, with the time."""
        query = sa.select(tables.gate.c.name, tables.gate.c.body, self.now).order_by(tables.gate.c.name)
        with self.database.read() as connection:
            return [(name, json.loads(body), float(now)) for name, body, now in connection.execute(query)]

    def dead(self) -> set[str]:
        """Workers that are known to be dead: what they have open is not open."""
        worker = tables.worker
        gone = sa.or_(worker.c.ended.is_(True), worker.c.beat == 0)
        with self.database.read() as connection:
            return set(connection.execute(sa.select(worker.c.id).where(gone)).scalars())

    def _read(self, connection: sa.Connection, key: str) -> tuple[dict[str, Any], float]:
        body = sa.select(tables.gate.c.body).where(tables.gate.c.key == key).scalar_subquery()
        found, now = connection.execute(sa.select(body, self.now)).one()
        return (json.loads(found) if found else {}), float(now)
