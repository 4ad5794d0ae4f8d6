"""A command on a terminal of its own, for a person: what it writes is kept from nobody, and lost nowhere on the way."""

from __future__ import annotations

import posix as os  # what os itself would add is slow to import, and never used here
import struct

from nightmill.sandbox.inside.job import Job

__all__ = ["Terminal", "pair", "window"]

TYPE_CHECKING = False  # typing itself would be a fifth of the time until a sandbox answers
if TYPE_CHECKING:
    from typing import Any, Dict, Tuple

NEVER = float("inf")


class Terminal(Job):
    """A job whose output is passed on, all of it, and not kept."""

    most = 1 << 20
    """Bytes that wait for a program that does not read what is typed; what is more is lost."""

    def __init__(self, spec: Dict[str, Any], keeper: int, out: int, status: int) -> None:
        super().__init__(spec, keeper, out, status)
        self.deadline = self.bound = NEVER
        self.first = self.last = 0
        self.typed = bytearray()

    def take(self, piece: bytes) -> None:
        """Count it; the host has it."""
        self.total += len(piece)

    def enter(self, piece: bytes) -> None:
        """Type *piece* and what waits before it, as much as is taken now."""
        self.typed += piece[: self.most - len(self.typed)]
        try:
            while self.typed:
                del self.typed[: os.write(self.out, self.typed[:4096])]
        except BlockingIOError:
            pass
        except OSError:
            self.typed.clear()  # nobody is left to read it


def pair(spec: Dict[str, Any]) -> Tuple[int, int]:
    """A new terminal of the size that is asked for: our end, and the command's."""
    ours, theirs = os.openpty()
    window(ours, spec["rows"], spec["columns"])
    return ours, theirs


def window(fd: int, rows: int, columns: int) -> None:
    """Set the size, which tells the programs on it."""
    import fcntl  # only terminals need it
    import termios

    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
