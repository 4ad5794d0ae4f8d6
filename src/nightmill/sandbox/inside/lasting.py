"""A service: a command without a clock, whose newest output is kept, here and in a file that commands can read."""

from __future__ import annotations

import posix as os  # what os itself would add is slow to import, and never used here
import stat

from nightmill.sandbox.inside.job import Job

__all__ = ["Lasting"]

TYPE_CHECKING = False  # typing itself would be a fifth of the time until a sandbox answers
if TYPE_CHECKING:
    from typing import Any, Dict

NEVER = float("inf")


class Lasting(Job):
    """A job that may run for ever and write for ever."""

    def __init__(self, spec: Dict[str, Any], keeper: int, out: int, status: int) -> None:
        super().__init__(spec, keeper, out, status)
        self.deadline = self.bound = NEVER
        self.first, self.last = 0, spec["output"]
        self.file, self.written = open_log(spec["log"]), 0

    def take(self, piece: bytes) -> None:
        """Keep the newest output; the file grows to twice of what is kept, then begins again with that."""
        super().take(piece)
        try:
            self.written += os.write(self.file, piece)
            if self.written > 2 * self.last:
                os.ftruncate(self.file, 0)
                self.written = os.write(self.file, self.tail[-self.last :])
        except OSError:
            pass  # no file, or no memory left in /tmp: what is kept here is what counts

    def close(self) -> None:
        """Let the file go; it stays to be read."""
        if self.file >= 0:
            os.close(self.file)
        self.file = -1


def open_log(path: str) -> int:
    """The file *path*, emptied; -1 if it cannot be had. What a command left in its place is not waited for."""
    try:
        try:
            os.mkdir(path.rpartition("/")[0], 0o777)
        except FileExistsError:
            pass
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, 0o644)
    except OSError:
        return -1
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            os.ftruncate(fd, 0)
            return fd
    except OSError:
        pass
    os.close(fd)
    return -1
