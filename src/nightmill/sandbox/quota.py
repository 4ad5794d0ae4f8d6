"""What a sandbox takes of the disk: looked at while something runs in it, because no kernel counts it for an ordinary user.

Asking the file system how much is free costs microseconds and is done at each look. Only when it lost a good part of
what the sandbox may still take, or some time has passed, the upper is measured: many small files, files with holes, and
files that were deleted but are still open among it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from nightmill.errors import SandboxError
from nightmill.sandbox.disk.privileged import space_of
from nightmill.sandbox.disk.scan import BLOCK, ENTRY
from nightmill.sandbox.freeze import tree

__all__ = ["Disk"]

LEAST = 16 << 20
"""Bytes that are not worth a measurement, and that a sandbox beyond its quota may add, or nothing could be deleted."""
PART = 4
SECONDS, TIMES = 2.0, 50
"""Between two measurements at most so long, or so many times what one takes."""


class Disk:
    """The upper of one sandbox and the layers that it was. For one thread at a time."""

    def __init__(self, upper: Path, *, quota: int) -> None:
        self.upper, self.quota, self.ceiling = upper, quota, quota
        self.layers: tuple[Path, ...] = ()
        self.init, self.size, self.free, self.next = 0, 0, -1, 0.0
        self.full = self.settling = False

    def begin(self, init: int, layers: tuple[Path, ...]) -> None:
        """From now on all that writes is below the process *init*; *layers* were written here before."""
        self.init, self.layers, self.free, self.settling = init, layers, -1, True

    @property
    def due(self) -> bool:
        """Whether to measure."""
        lost = self.free - self._free()
        return (
            self.free < 0
            or self.settling
            or lost > max(LEAST, (self.ceiling - self.size) // PART)
            or time.monotonic() > self.next
        )

    @property
    def over(self) -> bool:
        """Whether nothing more is to be written until something was deleted."""
        return self.size > self.quota

    def measure(self) -> None:
        """Find out what is taken, and whether that is more than may be: `full`. What cannot be measured is."""
        began, self.free = time.monotonic(), self._free()
        try:
            self.size = space_of(str(self.upper)) + sum(_layer(each) for each in self.layers) + sum(_deleted(self.init))
        except (OSError, SandboxError):
            self.full = True
            return
        self.full = self.size > self.ceiling and not self.settling
        # Beyond the quota it may run, to delete something: what it has once those are ended that brought it there is
        # what it may have, and never more again.
        wider = self.size + LEAST if self.settling or self.ceiling == self.quota else self.ceiling
        self.settling = self.full and self.ceiling == self.quota
        self.ceiling = min(wider, self.size + LEAST) if self.size > self.quota else self.quota
        self.next = time.monotonic() + max(SECONDS, TIMES * (time.monotonic() - began))

    def _free(self) -> int:
        """Bytes that are free there, each free name as `ENTRY`."""
        try:
            found = os.statvfs(self.upper)
        except OSError:
            return self.free  # it is just being made a layer
        return found.f_bfree * found.f_frsize + found.f_ffree * ENTRY


@lru_cache(maxsize=1024)
def _layer(path: Path) -> int:
    """What a layer takes; it never changes."""
    return space_of(str(path))


def _deleted(init: int) -> Iterator[int]:
    """Bytes of files of /work without a name that something still holds open or mapped."""
    known = set[tuple[int, int]]()
    for pid in tree(init):
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                link = f"/proc/{pid}/fd/{name}"
                with contextlib.suppress(OSError):
                    status = os.stat(link)
                    where = (status.st_dev, status.st_ino)
                    if stat.S_ISREG(status.st_mode) and not status.st_nlink and where not in known:
                        known.add(where)
                        if os.readlink(link).startswith("/work/"):
                            yield status.st_blocks * BLOCK
        with contextlib.suppress(OSError), open(f"/proc/{pid}/maps", "rb") as file:
            for line in file:
                part = line.rstrip(b"\n").split(None, 5)
                if len(part) > 5 and part[5].startswith(b"/work/") and part[5].endswith(b" (deleted)"):
                    begin, end = (int(each, 16) for each in part[0].split(b"-"))
                    where = (hash(part[3]), int(part[4]))
                    if where not in known:
                        known.add(where)
                        yield end - begin
