"""What another run left that a run goes on from: it is held while somebody decides about it, and some of it is copied."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightmill.line.assignment import Origin

__all__ = ["carry", "held"]


def carry(origin: Origin, *, runs: Path, to: Path) -> None:
    """Copy to the new run's folder *to* what its agent may ask for again: whole outputs that it was shown in part."""
    source = runs / origin.run / "outputs"
    if source.is_dir():
        shutil.copytree(source, to / "outputs", dirs_exist_ok=True)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Nobody else decides meanwhile about what the run of *folder* left: who goes on from it, and who deletes it."""
    fd = os.open(folder / "origin.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
