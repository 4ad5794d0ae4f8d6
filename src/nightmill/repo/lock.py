"""One writer at a time, across threads and processes, and knowledge of whether the one before ended well."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nightmill.errors import EngineError

__all__ = ["held", "holding"]

OPEN, CLEAN = b"o", b"c"
PAUSE = 0.01

_mine = threading.local()


@contextmanager
def held(path: Path, *, sweep: Callable[[], None], seconds: float) -> Iterator[None]:
    """Hold the lock file *path*; entering it again in the same thread is free.

    Programs started inside inherit the descriptor (`holding`), so that the lock lives as long as the last of them,
    even if this process is killed. *sweep* runs when the holder before did not leave well: nobody else is at work then.

    Raises:
        EngineError: If somebody else held it for *seconds*.
    """
    key = os.path.realpath(path)
    if key in _mine.__dict__:
        yield
        return
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _wait(lock, path, seconds)
        if os.pread(lock, 1, 0) == OPEN:
            sweep()
        os.pwrite(lock, OPEN, 0)
        _mine.__dict__[key] = lock
        try:
            yield
        finally:
            del _mine.__dict__[key]
        os.pwrite(lock, CLEAN, 0)
    finally:
        os.close(lock)


def holding(path: Path) -> tuple[int, ...]:
    """The descriptor by which this thread holds *path*, for the programs it starts."""
    lock = _mine.__dict__.get(os.path.realpath(path))
    return () if lock is None else (lock,)


def _wait(lock: int, path: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise EngineError(
                    f"another process has held {str(path)!r} for {seconds:g} s", hint="see which with `fuser`"
                ) from None
            time.sleep(PAUSE)
        else:
            return
