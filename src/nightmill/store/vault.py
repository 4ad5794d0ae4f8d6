"""Secrets of the operator, encrypted in one file of the home; written by name, read only by what uses them.

Each is sealed with AES-256-GCM (NIST SP 800-38D) under one key, its name bound in, so that no entry can stand in for another.
The key is given, or in a file beside: then the encryption guards copies of the one file, not whoever reads the home.
Reading makes no key: where it is gone, that is said, and not that it is the wrong one.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightmill.errors import SettingsError
from nightmill.kept import Kept
from nightmill.store.keyfile import made_once

__all__ = ["NAME", "Vault", "read_key"]

FILE, KEY = "secrets.json", "secret.key"
NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,79}/)?[A-Za-z_][A-Za-z0-9_.-]{0,99}")
"""Of a project's own, the id of the project stands before it: `shop-1a2b3c4d/SHOP_TOKEN`."""

VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
SHORTEST = 8
"""Characters of a secret: a shorter one would be found in everything that is redacted."""
BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """The secrets of *home*, under *key*; without one under that of its file."""

    home: Path
    key: bytes | None = None

    def names(self) -> dict[str, Kept]:
        """Each secret's name, and when and by whom it was set. No key is needed."""
        held = self._read()["secrets"]
        return {name: Kept(float(each["at"]), str(each.get("by", ""))) for name, each in sorted(held.items())}

    def get(self, name: str) -> str | None:
        """The value of *name*; None if there is none.

        Raises:
            SettingsError: If the key is not the one that it was set with.
        """
        held = self._read()
        return self._open(held, name) if name in held["secrets"] else None

    def values(self) -> dict[str, str]:
        """All of them.

        Raises:
            SettingsError: If the key is not the one that they were set with.
        """
        held = self._read()
        return {name: self._open(held, name) for name in held["secrets"]}

    def put(self, name: str, value: str, *, at: float, by: str = "") -> None:
        """Set *name*, as *by* asks.

        Raises:
            SettingsError: If name or value cannot be used, or the key is not that of the others.
        """
        if not NAME.fullmatch(name):
            raise SettingsError(f"{name!r} cannot be the name of a secret", hint="letters, digits and _, as SHOP_TOKEN")
        if not VALUE.fullmatch(value) or len(value) < SHORTEST:
            raise SettingsError(
                f"what came is no secret that can be used for {name}",
                hint=f"one line of ASCII with at least {SHORTEST} characters",
            )
        with self._changed() as held:
            for other in held["secrets"]:
                self._open(held, other)  # one key for all of them
            held["secrets"][name] = _sealed(self._key(held), name, value, Kept(at, by))

    def remove(self, name: str) -> None:
        """Delete *name*. No key is needed.

        Raises:
            SettingsError: If there is none.
        """
        with self._changed() as held:
            if held["secrets"].pop(name, None) is None:
                raise SettingsError(f"there is no secret {name!r}", hint="nightmill secret list")

    def rotate(self, new: bytes | None) -> int:
        """Encrypt all anew under *new*, None: a new key in its file. Killed at any point, either key still opens them.

        Raises:
            SettingsError: If the key is not the one that they were set with.
        """
        beside = self.home / f"{KEY}.new"
        with self._changed() as held:
            kept = self.names()
            values = {name: self._open(held, name) for name in held["secrets"]}
            key = new or secrets.token_bytes(BYTES)
            if new is None:
                beside.unlink(missing_ok=True)
                made_once(beside, key)
            held["key"] = _id(key)
            held["secrets"] = {name: _sealed(key, name, value, kept[name]) for name, value in values.items()}
        if new is None:
            beside.replace(self.home / KEY)
        return len(values)

    def _key(self, held: dict[str, Any]) -> bytes:
        if self.key is not None:
            return self.key
        beside = self.home / f"{KEY}.new"
        if beside.exists() and _id(beside.read_bytes()) == held["key"]:  # of a rotation that was cut off
            beside.replace(self.home / KEY)
        if held["secrets"] and not (self.home / KEY).exists():
            raise SettingsError(
                f"the key of the secrets in {str(self.home)!r} is not there",
                hint="set NIGHTMILL_SECRET_KEY as it was, or put secret.key back from a backup",
            )
        return made_once(self.home / KEY, secrets.token_bytes(BYTES))

    def _open(self, held: dict[str, Any], name: str) -> str:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - only where there are secrets
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        each, key = held["secrets"][name], self._key(held)
        try:
            nonce, body = base64.b64decode(each["nonce"]), base64.b64decode(each["body"])
            return AESGCM(key).decrypt(nonce, body, name.encode()).decode()
        except (InvalidTag, ValueError, KeyError, TypeError) as error:
            raise SettingsError(
                f"the secret {name!r} cannot be opened with this key",
                hint="give NIGHTMILL_SECRET_KEY or secret.key as it was, or set the secret again after `secret remove`",
            ) from error

    def _read(self) -> dict[str, Any]:
        path = self.home / FILE
        try:
            held = json.loads(path.read_bytes())
            if isinstance(held["secrets"], dict):
                return {"key": str(held["key"]), "secrets": held["secrets"]}
        except FileNotFoundError:
            return {"key": "", "secrets": {}}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingsError(f"{str(path)!r} cannot be read: {error}", hint="restore it from a backup") from error
        raise SettingsError(f"{str(path)!r} holds no secrets", hint="restore it from a backup")

    @contextmanager
    def _changed(self) -> Iterator[dict[str, Any]]:
        """What the file holds, to be changed by one at a time and written whole."""
        path = self.home / FILE
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            held = self._read()
            yield held
            held["key"] = held["key"] or _id(self._key(held))
            new = path.with_suffix(".tmp")
            new.unlink(missing_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(held, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        finally:
            os.close(lock)


def read_key(text: str) -> bytes:
    """The key that *text* is or leads to: 64 hex digits, file:PATH, or keyring:NAME of the service "nightmill".

    Raises:
        SettingsError: If it is none or leads to none; the message does not repeat it.
    """
    kind, _, rest = text.strip().partition(":")
    where = {"file": _in_file, "keyring": _in_keyring}.get(kind)
    try:
        key = bytes.fromhex((where(rest) if where else text).strip())
    except ValueError:
        key = b""
    if len(key) != BYTES:
        raise SettingsError(
            f"NIGHTMILL_SECRET_KEY{f' ({text})' if where else ''} is no key",
            hint="64 hex digits, as `openssl rand -hex 32` makes them; or file:PATH or keyring:NAME, where they are",
        )
    return key


def _in_file(path: str) -> str:
    """What stands in the key file *path*, which is readable by its owner alone."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC), encoding="ascii") as file:  # noqa: PTH123 - a descriptor
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise SettingsError(f"others can read the key file {path!r}", hint=f"chmod 600 {path}")
            return file.read(1 << 10)
    except OSError as error:
        raise SettingsError(
            f"the key file {path!r} cannot be read: {error.strerror}", hint="NIGHTMILL_SECRET_KEY names another"
        ) from error


def _in_keyring(name: str) -> str:
    """What the keyring of this user keeps for nightmill under *name*."""
    try:
        import keyring  # noqa: PLC0415 - an extra, and slow
        from keyring.errors import KeyringError  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            "a key in a keyring wants the extra `keyring`", hint="pip install 'nightmill[keyring]'"
        ) from error
    try:
        found = keyring.get_password("nightmill", name)
    except KeyringError as error:
        raise SettingsError(
            f"the keyring cannot be read: {error}", hint="unlock it, or give the key as a file"
        ) from error
    if found is None:
        raise SettingsError(
            f"the keyring has no {name!r} for nightmill", hint=f"openssl rand -hex 32 | keyring set nightmill {name}"
        )
    return found


def _sealed(key: bytes, name: str, value: str, kept: Kept) -> dict[str, Any]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - only where there are secrets

    nonce = secrets.token_bytes(12)
    body = AESGCM(key).encrypt(nonce, value.encode(), name.encode())
    sealed = {"nonce": base64.b64encode(nonce).decode(), "body": base64.b64encode(body).decode()}
    return kept._asdict() | sealed


def _id(key: bytes) -> str:
    """What says which key it is and nothing else about it."""
    return hashlib.sha256(b"nightmill key" + key).hexdigest()[:16]
