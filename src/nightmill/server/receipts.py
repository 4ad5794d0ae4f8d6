"""Writes with an `Idempotency-Key`: one that is sent again is answered again, and not done again.

Who does it holds the key for as long as they say that they are alive. What is written of it to the store bears a mark, in
the same transaction: so after a crash it is known whether anything was, and one that was only slow and lost the key
meanwhile cannot write any more.

What holds a secret is kept sealed, under what its sender showed to be let in and the key that came with it. The store has neither:
only who sends both again opens it, and nobody can try guesses at it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from fastapi import Request

from nightmill.errors import NightmillError
from nightmill.server.problem import Refused
from nightmill.server.site import site_of
from nightmill.store import AWAY
from nightmill.store.database import Database
from nightmill.store.tables import receipt

__all__ = ["named", "once", "repeat", "sealed"]

KEPT = 86_400.0
"""Seconds for which an answer is kept."""

LEASE = 30.0
"""Seconds after which one that does not say that it is alive has lost the key."""
BEGUN, WRITTEN, DONE = 0, 1, 200
"""What is known of a write, as its `status`: nothing of it is in the store, something is, all of it and the answer."""

Do = Callable[[], dict[str, Any]]
Found = Callable[[], dict[str, Any] | None]


def once(  # noqa: PLR0913 - a write is all of it
    database: Database, request: Request, body: Any, do: Do, *, who: str, now: float, found: Found
) -> dict[str, Any]:
    """What *do* gives; of a key that *who* has sent before with the same request, what it gave then.

    If it was cut off and something of it is written, *found* gives what stands: its answer, if all of it is. None: the rest is to be
    done, by doing it again, which makes the same things by their name, see `named`.

    Raises:
        Refused: If the key came with another request, or what it asked for is still under way.
    """
    if not (key := _key(request)):
        return do()
    asked = hashlib.sha256(_whole(request, body)).hexdigest()
    return _once(database, request, do, _Sent(who=who, key=key, asked=asked, now=now), found)


def sealed(  # noqa: PLR0913 - as above
    database: Database, request: Request, body: Any, do: Do, *, who: str, now: float, found: Found
) -> dict[str, Any]:
    """As `once`, where a secret is asked for or given: the store has nothing that it could be read or guessed from."""
    if not (key := _key(request)):
        return do()
    shown = request.headers.get("authorization") or request.cookies.get(site_of(request).cookie, "")
    under = hmac.digest(shown.encode(), f"a receipt of nightmill\0{key}".encode(), "sha256")
    asked = hmac.digest(under, _whole(request, body), "sha256").hex()
    name = f"sealed {hashlib.sha256(key.encode()).hexdigest()}"
    return _once(database, request, do, _Sent(who=who, key=name, asked=asked, now=now, under=under), found)


def repeat() -> None:
    """A `Found` of what comes to the same however often it is done."""


def named(request: Request) -> str:
    """A text that is the same when the write that *request* asks for is done again; "" if it came with no key."""
    return str(getattr(request.state, "write", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """A write that *who* sent, as the store knows it: by *key*, with *asked* as a digest of the rest; sealed *under* a key, if any.

    *holder* is new each time that somebody takes the key, *name* is not. *written*: something of it is in the store.
    """

    who: str
    key: str
    asked: str
    now: float
    under: bytes = b""
    holder: str = field(default_factory=lambda: secrets.token_hex(8))
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    written: bool = False

    @property
    def held(self) -> str:
        """What stands in place of the answer."""
        return f"{self.holder} {self.name}"

    @property
    def row(self) -> tuple[sa.ColumnElement[bool], ...]:
        """Where the store has it."""
        return (receipt.c.address == self.who, receipt.c.key == self.key)

    @property
    def mine(self) -> tuple[sa.ColumnElement[bool], ...]:
        """The same, as long as it is held by this one."""
        return (*self.row, receipt.c.body == self.held)

    def mark(self, connection: sa.Connection) -> None:
        """Note in a transaction that something of it is written.

        Raises:
            Refused: If somebody else has the key by now: then nothing is.
        """
        if not connection.execute(receipt.update().where(*self.mine).values(status=WRITTEN)).rowcount:
            raise _under_way()

    @contextmanager
    def alive(self, database: Database) -> Iterator[None]:
        """Say so again and again."""
        over, began = threading.Event(), time.monotonic()

        def say() -> None:
            while not over.wait(LEASE / 3):
                at = self.now + time.monotonic() - began
                with suppress(*AWAY), database.write() as connection:
                    connection.execute(receipt.update().where(*self.mine).values(at=at))

        saying = threading.Thread(target=say, name="receipt", daemon=True)
        saying.start()
        try:
            yield
        finally:
            over.set()
            saying.join()

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


def _once(database: Database, request: Request, do: Do, sent: _Sent, found: Found) -> dict[str, Any]:
    held = _begin(database, sent)
    if isinstance(held, str):
        return sent.open(held)
    request.state.write = held.name
    try:
        with held.alive(database), database.also(held.mark):
            stands = found() if held.written else None
            given = do() if stands is None else stands
    except BaseException as error:
        with database.write() as connection:  # nothing more will be done: the key may be used again
            connection.execute(receipt.delete().where(*held.mine))
        if held.written and isinstance(error, NightmillError):
            said = f"it was begun before the server ended, and now: {error.message}"
            raise Refused(409, said, hint=error.hint) from error
        raise
    with database.write() as connection:
        connection.execute(receipt.update().where(*held.mine).values(status=DONE, body=held.close(given)))
    return given


def _begin(database: Database, sent: _Sent) -> _Sent | str:
    """Take the key; what is kept of its answer, if it was answered before."""
    with database.write() as connection:
        connection.execute(receipt.delete().where(receipt.c.at < sent.now - KEPT))
        row = {"address": sent.who, "key": sent.key, "request": sent.asked, "status": BEGUN, "body": sent.held}
        # Of two that come at once one waits here for the other, on PostgreSQL too.
        put = database.insert(receipt).values({**row, "at": sent.now}).on_conflict_do_nothing()
        if connection.execute(put.returning(receipt.c.key)).first():
            return sent
        query = sa.select(receipt).where(*sent.row).with_for_update()
        found = connection.execute(query).mappings().one_or_none()
        if found is not None and found["request"] != sent.asked:
            raise Refused(422, "this Idempotency-Key came with another request before", hint="use a new key for it")
        if found is not None and found["status"] != DONE:
            if found["at"] >= sent.now - LEASE:
                raise _under_way()
            _, _, name = found["body"].partition(" ")
            held = replace(sent, name=name or sent.name, written=found["status"] == WRITTEN)
            connection.execute(receipt.update().where(*sent.row).values(body=held.held, at=sent.now))
            return held
    if found is None:  # it failed meanwhile
        return _begin(database, sent)
    return str(found["body"])


def _under_way() -> Refused:
    again = {"Retry-After": str(round(LEASE))}
    return Refused(409, "what this Idempotency-Key asked for is under way", hint="ask again in a moment", headers=again)
