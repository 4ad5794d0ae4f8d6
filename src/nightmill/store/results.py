"""How declared checks ended on trees, to be shown to agents again. Nothing here proves anything."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from hashlib import sha256

import sqlalchemy as sa

from nightmill.store import tables
from nightmill.store.database import Database
from nightmill.store.projection import storable

__all__ = ["DAYS", "KEPT", "Key", "Result", "find", "keep", "prune"]

KEPT, DAYS = 200, 30
"""Of one project, at any time; and how old one may become before `sandbox gc` deletes it."""
table = tables.result


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What a result is of: *environment* is the hash of the environment record, *tree* a git tree."""

    project: str
    environment: str
    tree: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a command ended in *run*, at *turn* (0: in the system's own proof of its work), at Unix seconds *at*."""

    run: str
    turn: int
    exit: int
    output: str
    seconds: float
    at: float


def keep(database: Database, key: Key, result: Result) -> None:
    """Keep *result* in place of the one before; the oldest of a project go when it has too many."""
    row = {**asdict(result), "output": storable(database.hidden.text(result.output))}
    oldest = sa.select(table.c.at).where(table.c.project == key.project).order_by(table.c.at.desc()).offset(KEPT - 1)
    with database.write() as connection:
        put = database.insert(table).values(**_row(key), **row)
        connection.execute(put.on_conflict_do_update(index_elements=list(_row(key)), set_=row))
        if (bound := connection.execute(oldest.limit(1)).scalar()) is not None:
            connection.execute(table.delete().where(table.c.project == key.project, table.c.at < bound))


def find(database: Database, key: Key) -> Result | None:
    """What was kept last under *key*."""
    query = sa.select(*(table.c[name] for name in Result.__slots__)).where(*_is(key))
    with database.read() as connection:
        row = connection.execute(query).mappings().one_or_none()
        return None if row is None else Result(**row)


def prune(database: Database, *, now: float) -> int:
    """Delete what is older than `DAYS`; how many went."""
    with database.write() as connection:
        return connection.execute(table.delete().where(table.c.at < now - DAYS * 86400.0)).rowcount


def _row(key: Key) -> dict[str, str]:
    return {**asdict(key), "command": sha256(key.command.encode("utf-8", "surrogatepass")).hexdigest()}


def _is(key: Key) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in _row(key).items()]
