"""Replies that were paid for, kept the moment they are whole, so that no crash pays for one twice.

A reply is kept under the fingerprint of its request: a turn that runs again with the same request finds it,
one whose request has changed asks anew. Its first line says what paid for it.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from nightmill.errors import SandboxError
from nightmill.model import ModelReply

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Journal"]

replies = TypeAdapter(ModelReply)


class Journal:
    """The replies of one conversation, in *folder*."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> ModelReply | None:
        """The reply to the request with fingerprint *key*, if it was received before."""
        found = self._read(self._path(key))
        return found[1] if found else None

    def paid(self, by: str) -> tuple[float, int] | None:
        """The US dollars and tokens of all replies that were paid for *by* this, None if there is none."""
        kept = [self._read(path) for path in self._folder.glob("*.json")]
        found = [each[1] for each in kept if each and each[0] == by]
        if not found:
            return None
        return sum(each.cost or 0.0 for each in found), sum(each.usage.input + each.usage.output for each in found)

    def keep(self, key: str, reply: ModelReply, *, by: str) -> None:
        """Keep *reply*, which was paid for *by* this; whole or not at all.

        Raises:
            SandboxError: If the disk takes no more: the run waits for a person, as when a snapshot cannot be written.
        """
        path = self._path(key)
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            body = by.encode() + b"\n" + replies.dump_json(reply)
            try:
                unfinished.write_bytes(body)
            except FileNotFoundError:
                self._folder.mkdir(parents=True, exist_ok=True)
                unfinished.write_bytes(body)
            unfinished.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise SandboxError(
                f"a reply cannot be kept in {str(self._folder)!r}: {error.strerror}",
                hint="free space on the disk that holds nightmill's home, then resume",
            ) from error

    def _read(self, path: Path) -> tuple[str, ModelReply] | None:
        """What paid for the reply in *path*, and the reply."""
        try:
            by, _, body = path.read_bytes().partition(b"\n")
            return by.decode("utf-8", "replace"), replies.validate_json(body)
        except (OSError, ValueError):
            return None

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"
