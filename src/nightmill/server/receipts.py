"""Writes with an `Idempotency-Key`: one that is sent again is answered again, and not done again.

What holds a secret is kept sealed, under what its sender showed to be let in and the key that came with it. The store has neither:
only who sends both again opens it, and nobody can try guesses at it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from fastapi import Request

from nightmill.server.problem import Refused
from nightmill.server.site import site_of
from nightmill.store.database import Database
from nightmill.store.tables import receipt

__all__ = ["once", "sealed"]

KEPT = 86_400.0
"""Seconds for which an answer is kept."""

Do = Callable[[], dict[str, Any]]


def once(database: Database, request: Request, body: Any, do: Do, *, who: str, now: float) -> dict[str, Any]:
    """What *do* gives; of a key that *who* has sent before with the same request, what it gave then.

    Raises:
        Refused: If the key came with another request, or what it asked for is still under way.
    """
    if not (key := _key(request)):
        return do()
    asked = hashlib.sha256(_whole(request, body)).hexdigest()
    return _once(database, do, _Sent(who=who, key=key, asked=asked, now=now))


def sealed(database: Database, request: Request, body: Any, do: Do, *, who: str, now: float) -> dict[str, Any]:
    """As `once`, where a secret is asked for or given: the store has nothing that it could be read or guessed from."""
    if not (key := _key(request)):
        return do()
    shown = request.headers.get("authorization") or request.cookies.get(site_of(request).cookie, "")
    under = hmac.digest(shown.encode(), f"a receipt of nightmill\0{key}".encode(), "sha256")
    asked = hmac.digest(under, _whole(request, body), "sha256").hex()
    name = f"sealed {hashlib.sha256(key.encode()).hexdigest()}"
    return _once(database, do, _Sent(who=who, key=name, asked=asked, now=now, under=under))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """A write that *who* sent, as the store knows it: by *key*, with *asked* as a digest of the rest; sealed *under* a key, if any."""

    who: str
    key: str
    asked: str
    now: float
    under: bytes = b""

    def close(self, given: dict[str, Any]) -> str:
        """What was *given*, as it is kept."""
        text = json.dumps(given)
        if not self.under:
            return text
        nonce = secrets.token_bytes(12)
        return base64.b64encode(nonce + _cipher(self.under).encrypt(nonce, text.encode(), self.key.encode())).decode()

    def open(self, kept: str) -> dict[str, Any]:
        """What was given, of what is *kept*."""
        if self.under:
            whole = base64.b64decode(kept)
            kept = _cipher(self.under).decrypt(whole[:12], whole[12:], self.key.encode()).decode()
        given: dict[str, Any] = json.loads(kept)
        return given


def _cipher(under: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - only where secrets are made

    return AESGCM(under)


def _key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "")
    if len(key) > 200 or not (key.isascii() and key.isprintable()):
        raise Refused(422, "an Idempotency-Key has at most 200 printable signs of ASCII", hint="a UUID is a good one")
    return key


def _whole(request: Request, body: Any) -> bytes:
    """What was asked for, wherever it came in."""
    where = f"{request.url.path}?{request.url.query}"
    return json.dumps([request.method, where, body], sort_keys=True).encode()


def _once(database: Database, do: Do, sent: _Sent) -> dict[str, Any]:
    if (kept := _begin(database, sent)) is not None:
        return sent.open(kept)
    same = (receipt.c.address == sent.who, receipt.c.key == sent.key)
    try:
        given = do()
    except BaseException:
        with database.write() as connection:  # nothing was done: the key may be used again
            connection.execute(receipt.delete().where(*same))
        raise
    with database.write() as connection:
        connection.execute(receipt.update().where(*same).values(status=200, body=sent.close(given)))
    return given


def _begin(database: Database, sent: _Sent) -> str | None:
    """Note that it is under way; what is kept of its answer, if it was answered before."""
    with database.write() as connection:
        connection.execute(receipt.delete().where(receipt.c.at < sent.now - KEPT))
        row = {"address": sent.who, "key": sent.key, "request": sent.asked, "status": 0, "body": "", "at": sent.now}
        # Of two that come at once one waits here for the other, on PostgreSQL too.
        put = database.insert(receipt).values(row).on_conflict_do_nothing().returning(receipt.c.key)
        if connection.execute(put).first():
            return None
        query = sa.select(receipt).where(receipt.c.address == sent.who, receipt.c.key == sent.key)
        found = connection.execute(query).mappings().one_or_none()
    if found is None:  # it failed meanwhile
        return _begin(database, sent)
    if found["request"] != sent.asked:
        raise Refused(422, "this Idempotency-Key came with another request before", hint="use a new key for it")
    if not found["status"]:
        raise Refused(409, "what this Idempotency-Key asked for is under way", hint="ask again in a moment")
    return str(found["body"])
