"""A file with a key: made whole and once, however many ask at once, and readable by its owner alone."""

from __future__ import annotations

import os
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
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = path.with_name(f".{path.name}-{os.getpid()}")
        with suppress(FileExistsError):
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
                file.write(fresh)
                file.flush()
                os.fsync(file.fileno())  # what it locks is on the disk soon after, and would be lost with it
            os.link(new, path)  # whole, and only if there is none
        new.unlink(missing_ok=True)
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"the key {str(path)!r} cannot be used: {error}", hint="restore it") from error
