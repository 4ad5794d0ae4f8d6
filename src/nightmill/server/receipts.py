"""Writes with an `Idempotency-Key`: one that is sent again is answered again, and not done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from fastapi import Request

from nightmill.server.problem import Refused
from nightmill.store.database import Database
from nightmill.store.tables import receipt

__all__ = ["once"]

KEPT = 86_400.0
"""Seconds for which an answer is kept."""


def once(
    database: Database, request: Request, body: Any, do: Callable[[], dict[str, Any]], *, who: str, now: float
) -> dict[str, Any]:
    """What *do* gives; of a key that *who* has sent before with the same request, what it gave then.

    Raises:
        Refused: If the key came with another request, or what it asked for is still under way.
    """
    key = request.headers.get("idempotency-key", "")
    if not key:
        return do()
    if len(key) > 200 or not (key.isascii() and key.isprintable()):
        raise Refused(422, "an Idempotency-Key has at most 200 printable signs of ASCII", hint="a UUID is a good one")
    asked = hashlib.sha256(json.dumps([request.method, request.url.path, body], sort_keys=True).encode()).hexdigest()
    if (kept := _begin(database, who=who, key=key, asked=asked, now=now)) is not None:
        return kept
    same = (receipt.c.address == who, receipt.c.key == key)
    try:
        given = do()
    except BaseException:
        with database.write() as connection:  # nothing was done: the key may be used again
            connection.execute(receipt.delete().where(*same))
        raise
    with database.write() as connection:
        connection.execute(receipt.update().where(*same).values(status=200, body=json.dumps(given)))
    return given


def _begin(database: Database, *, who: str, key: str, asked: str, now: float) -> dict[str, Any] | None:
    """Note that it is under way; what was answered before, if it was."""
    with database.write() as connection:
        connection.execute(receipt.delete().where(receipt.c.at < now - KEPT))
        row = {"address": who, "key": key, "request": asked, "status": 0, "body": "", "at": now}
        # Of two that come at once one waits here for the other, on PostgreSQL too.
        put = database.insert(receipt).values(row).on_conflict_do_nothing().returning(receipt.c.key)
        if connection.execute(put).first():
            return None
        query = sa.select(receipt).where(receipt.c.address == who, receipt.c.key == key)
        found = connection.execute(query).mappings().one_or_none()
    if found is None:  # it failed meanwhile
        return _begin(database, who=who, key=key, asked=asked, now=now)
    if found["request"] != asked:
        raise Refused(422, "this Idempotency-Key came with another request before", hint="use a new key for it")
    if not found["status"]:
        raise Refused(409, "what this Idempotency-Key asked for is under way", hint="ask again in a moment")
    kept: dict[str, Any] = json.loads(found["body"])
    return kept
