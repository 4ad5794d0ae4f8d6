"""Replies that were paid for, kept the moment they are whole, so that no crash pays for one twice.

A reply is kept under the fingerprint of its request: a turn that runs again with the same request finds it,
one whose request has changed asks anew.
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
        try:
            return replies.validate_json(self._path(key).read_bytes())
        except (OSError, ValueError):
            return None

    def keep(self, key: str, reply: ModelReply) -> None:
        """Keep *reply*; whole or not at all.

        Raises:
            SandboxError: If the disk takes no more: the run waits for a person, as when a snapshot cannot be written.
        """
        path = self._path(key)
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(replies.dump_json(reply))
            unfinished.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise SandboxError(
                f"a reply cannot be kept in {str(self._folder)!r}: {error.strerror}",
                hint="free space on the disk that holds nightmill's home, then resume",
            ) from error

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"
