"""The hash chain over all events: how one is appended, how a broken one is found.

Each row's hash covers the row before it, so a row that is changed, dropped or put in between breaks the chain from
there on. Rows dropped at the very end are not seen by the chain alone: whoever must notice that keeps the last hash
elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nightmill.event import Event
from nightmill.store import projection
from nightmill.store.tables import event as table

__all__ = ["Broken", "Fact", "append", "fact", "lock", "verify"]

FIRST = "0" * 64
"""What the first row names as its previous hash."""

LOCK = 0x6C6564676572
"""Key of the PostgreSQL advisory lock that whoever appends holds."""

KEY = 200
"""Longest key that the table holds; the tail of a longer one becomes its hash."""

PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """An event as it will be stored; taken when it was told, so later changes of its lists are not in it."""

    at: float
    event: Event
    key: str | None
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The first row that does not hold, and what is wrong with it."""

    seq: int
    reason: str


def fact(event: Event, *, at: float) -> Fact:
    """*event* ready to be stored.

    Raises:
        ValueError: If its fields are not plain JSON data.
        TypeError: Likewise.
    """
    return Fact(at=at, event=event, key=_key(event.key), body=canonical(event.to_plain()))


def canonical(plain: Any) -> str:
    """One text for one value: sorted names, no spaces, ASCII only."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def lock(connection: sa.Connection) -> None:
    """Let no other process append until the caller's transaction ends. A SQLite write holds its lock from the start."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))


def append(connection: sa.Connection, facts: Sequence[Fact]) -> int:
    """Store *facts* and what they change in the caller's write transaction; return how many were new."""
    lock(connection)
    fresh = _unknown(connection, facts)
    if not fresh:
        return 0
    last = connection.execute(sa.select(table.c.seq, table.c.hash).order_by(table.c.seq.desc()).limit(1)).one_or_none()
    seq, previous = (last.seq, last.hash) if last else (0, FIRST)
    rows = []
    for each in fresh:
        seq += 1
        row = {
            "seq": seq,
            "at": each.at,
            "run": each.event.run,
            "name": each.event.name,
            "key": each.key,
            "body": each.body,
        }
        row |= {"previous": previous, "hash": _hash(previous, row)}
        previous = row["hash"]
        rows.append(row)
    connection.execute(sa.insert(table), rows)
    projection.apply(connection, [each.event for each in fresh], at=fresh[-1].at)
    return len(rows)


def verify(connection: sa.Connection, *, after: int = 0) -> Broken | None:
    """The first row after *after* that does not hold; None: all do. Row *after* itself is taken as it is."""
    anchor = connection.execute(sa.select(table.c.hash).where(table.c.seq == after)).scalar_one_or_none()
    if after and anchor is None:
        return Broken(seq=after, reason="the row is missing")
    seq, previous = after, anchor or FIRST
    while True:
        page = (
            connection.execute(sa.select(table).where(table.c.seq > seq).order_by(table.c.seq).limit(PAGE))
            .mappings()
            .all()
        )
        for row in page:
            broken = _check(row, seq=seq + 1, previous=previous)
            if broken:
                return broken
            seq, previous = row["seq"], row["hash"]
        if len(page) < PAGE:
            return None


def _check(row: Any, *, seq: int, previous: str) -> Broken | None:
    if row["seq"] != seq:
        return Broken(seq=seq, reason="the row is missing")
    if row["previous"] != previous:
        return Broken(seq=seq, reason="the row does not follow the one before it")
    if row["hash"] != _hash(previous, row):
        return Broken(seq=seq, reason="the row was changed after it was written")
    return None


def _hash(previous: str, row: Any) -> str:
    covered = canonical([row["seq"], row["at"], row["run"], row["name"], row["key"], row["body"]])
    return hashlib.sha256((previous + covered).encode()).hexdigest()


def _key(key: str | None) -> str | None:
    if key is None:
        return None
    key = projection.storable(key)
    if len(key) <= KEY:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()
    return key[: KEY - len(digest)] + digest


def _unknown(connection: sa.Connection, facts: Iterable[Fact]) -> list[Fact]:
    facts = list(facts)
    keys = {each.key for each in facts if each.key is not None}
    seen: set[tuple[str, str | None]] = set()
    if keys:
        runs = {each.event.run for each in facts if each.key is not None}
        found = sa.select(table.c.run, table.c.key).where(table.c.run.in_(runs), table.c.key.in_(keys))
        seen = {(row.run, row.key) for row in connection.execute(found)}
    fresh = []
    for each in facts:
        name = (each.event.run, each.key)
        if each.key is None or name not in seen:
            fresh.append(each)
            seen.add(name)
    return fresh
