"""A file with a key: made whole and once, however many ask at once, and readable by its owner alone."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from nightmill.errors import SettingsError

__all__ = ["made_once"]


def made_once(path: Path, fresh: bytes) -> bytes:
    """What the key file *path* holds; *fresh*, if it had to be made.

    Raises:
        SettingsError: If it cannot be made or read.
    """
    try:
        if not path.exists():
            _make(path, fresh)
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"the key {str(path)!r} cannot be used: {error}", hint="restore it") from error


def _make(path: Path, fresh: bytes) -> None:
    """Have *fresh* at *path*, whole, unless somebody else is first."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, new = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # for its owner alone
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(fresh)
            file.flush()
            os.fsync(file.fileno())  # what it locks is on the disk soon after, and would be lost with it
        with suppress(FileExistsError):
            os.link(new, path)
    finally:
        Path(new).unlink()
