"""One command that runs: what it wrote so far, when it must end, how it ended."""

from __future__ import annotations

import time

__all__ = ["Job"]

TYPE_CHECKING = False  # typing itself would be a fifth of the time until a sandbox answers
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

WATCH, SLACK = 0.5, 1 << 20


class Job:
    """A command, its keeper and its two pipes. Of the output the beginning and the end are kept."""

    def __init__(self, spec: Dict[str, Any], keeper: int, out: int, status: int) -> None:
        self.spec, self.keeper, self.out, self.status = spec, keeper, out, status
        self.session = 0  # of its first process, and that one's id: where the keeper tells it
        self.began = time.monotonic()
        self.deadline = self.began + spec["seconds"]
        self.bound = float(spec["file_size"])
        self.watch = self.began + WATCH
        self.first = spec["output"] // 2
        self.last = spec["output"] - self.first
        self.head, self.tail, self.total = bytearray(), bytearray(), 0
        self.exit: Optional[int] = None
        self.stopped, self.clean = "", False
        self.sweeps, self.ended = 0, 0.0
        self.held = False  # whether its output waits until the host has taken what it was sent

    def take(self, piece: bytes) -> None:
        """Keep what may be needed of *piece*; count all of it."""
        self.total += len(piece)
        room = self.first - len(self.head)
        if room > 0:
            self.head += piece[:room]
            piece = piece[room:]
        self.tail += piece
        if len(self.tail) > self.last + SLACK:  # not each time: moving the tail costs its length
            del self.tail[: len(self.tail) - self.last]

    def close(self) -> None:
        """Let go of what only this kind of job holds."""

    def stop(self, reason: str) -> None:
        """Have the command ended, for *reason*; the first one counts."""
        if self.exit is None and not self.stopped:
            self.stopped = reason

    @property
    def ending(self) -> bool:
        """Whether the program has ended or is to be ended."""
        return self.exit is not None or bool(self.stopped)

    def result(self) -> Tuple[Dict[str, Any], bytes]:
        """Header and body of the answer."""
        tail = bytes(self.tail[-self.last :]) if self.last else b""
        dropped = self.total - len(self.head) - len(tail)
        header = {"id": self.spec["id"], "exit": -9 if self.exit is None else self.exit, "stopped": self.stopped}
        header.update(seconds=time.monotonic() - self.began, cut=len(self.head), dropped=dropped)
        return header, bytes(self.head) + tail
