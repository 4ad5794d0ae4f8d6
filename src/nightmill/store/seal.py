"""Seals of the ledger: where it stood at a moment, signed, to be kept where whoever changes the store cannot reach.

The chain alone shows what was changed, dropped or put in between. It does not show that its end was cut off, or that all of
it was written anew with right hashes: a seal from before does. Signatures are Ed25519 (RFC 8032) over canonical JSON.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from nightmill.errors import SettingsError
from nightmill.store.chain import FIRST, Broken, canonical
from nightmill.store.database import Database
from nightmill.store.keyfile import made_once
from nightmill.store.tables import event as table

__all__ = ["Seal", "broken", "differs", "key", "read", "seal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """That the ledger's newest entry was number *seq* with *hash* at *at* (Unix seconds), by the public *key*. Both in hex."""

    seq: int
    hash: str
    at: float
    key: str
    signature: str = ""

    def text(self) -> str:
        """One line of JSON, which `read` reads."""
        return canonical(asdict(self))

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        plain = asdict(self)
        del plain["signature"]
        return canonical({"nightmill": "ledger", **plain}).encode()


def key(home: Path) -> Ed25519PrivateKey:
    """The key of the store in *home*, made the first time.

    Raises:
        SettingsError: If it cannot be made or read.
    """
    path = home / "ledger.key"
    try:
        return Ed25519PrivateKey.from_private_bytes(made_once(path, Ed25519PrivateKey.generate().private_bytes_raw()))
    except ValueError as error:
        raise SettingsError(f"the ledger's key {str(path)!r} cannot be used: {error}", hint="restore it") from error


def seal(database: Database, signer: Ed25519PrivateKey, *, at: float) -> Seal:
    """Where the ledger stands now."""
    query = sa.select(table.c.seq, table.c.hash).order_by(table.c.seq.desc()).limit(1)
    with database.read() as connection:
        last = connection.execute(query).one_or_none()
    public = signer.public_key().public_bytes_raw().hex()
    bare = Seal(seq=last.seq if last else 0, hash=last.hash if last else FIRST, at=at, key=public)
    return Seal(**{**asdict(bare), "signature": signer.sign(bare.signed).hex()})


def read(plain: Any) -> Seal:
    """The seal that *plain* JSON data is.

    Raises:
        SettingsError: If it is none, or its signature does not hold.
    """
    try:
        found = Seal(**plain)
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(found.key)).verify(
            bytes.fromhex(found.signature), found.signed
        )
    except (TypeError, ValueError, InvalidSignature) as error:
        raise SettingsError(
            "this is no seal of a ledger, or was changed", hint="`nightmill ledger seal` makes one"
        ) from error
    return found


def broken(database: Database, found: Seal) -> Broken | None:
    """What is wrong with the ledger beside *found*; None: what stood there then stands there now."""
    with database.read() as connection:
        held = connection.execute(sa.select(table.c.hash).where(table.c.seq == found.seq)).scalar_one_or_none()
    return differs(found, held)


def differs(found: Seal, held: str | None) -> Broken | None:
    """What is wrong where the entry that *found* is of has the hash *held*; None: there is none."""
    if found.seq == 0 or held == found.hash:
        return None
    return Broken(seq=found.seq, reason="the row is missing" if held is None else "another row was sealed in its place")
