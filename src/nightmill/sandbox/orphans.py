"""Processes of bubblewrap that nobody waits for any more, ended.

bubblewrap's child waits for a word from its parent before it does anything, and asks only later to die with it. If
nightmill is killed just then, the child waits for ever: it holds no mount and has begun nothing, but it is there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

__all__ = ["sweep"]

TICKS = os.sysconf("SC_CLK_TCK")


def sweep(bwrap: Path, *, older: float) -> int:
    """End processes of the program *bwrap* that have no child, and no bwrap as parent, *older* seconds after their start.

    One that is in order has a child within milliseconds. Gives how many were ended.
    """
    program = os.stat(bwrap)
    ours = {pid: parent for pid, parent, age in _processes() if age >= older and _runs(pid, program)}
    parents = {parent for _, parent, _ in _processes()}
    ended = 0
    for pid, parent in ours.items():
        if parent not in ours and pid not in parents:
            ended += _end(pid, program)
    return ended


def _processes() -> list[tuple[int, int, float]]:
    """Of each process its number, its parent's, and its age in seconds."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError, IndexError):
            if name.isdigit():
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                found.append(
                    (int(name), int(fields[1]), time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / TICKS)
                )
    return found


def _runs(pid: int, program: os.stat_result) -> bool:
    """Whether *pid* runs *program*, by whatever path; False also for what is another user's."""
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/exe"), program)
    except OSError:
        return False


def _end(pid: int, program: os.stat_result) -> bool:
    with contextlib.suppress(OSError):
        held = os.pidfd_open(pid)
        try:
            if _runs(pid, program):  # the number may be another's by now
                signal.pidfd_send_signal(held, signal.SIGKILL)
                return True
        finally:
            os.close(held)
    return False
