"""What a command and everything that it starts use: processor time and memory, from the kernel's own books."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.stage import descendants

__all__ = ["Used", "memory", "watched"]

EVERY = 0.1
"""Seconds between looks at the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a command used: on the clock and of the processors in seconds, and MB (10^6) at its peak as PSS."""

    started: float
    """When it was started, Unix seconds."""
    seconds: float
    cpu: float
    peak: float
    status: int


def watched(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    said: Path,
    seconds: float = 300.0,
    beside: Sequence[int] = (),
) -> Used:
    """Run *command* to its end, and end all that it started. What it says goes to the file *said*.

    What the processes *beside* it, which were there before, and those below them use meanwhile counts as used by it.
    Where there are any, what was started meanwhile is left alone: it may be theirs, for the next command.

    This process must be the one that orphans come to (`adopt_orphans`): so nothing that the command leaves escapes the
    sums, which are those that the kernel keeps of children that were waited for.

    Raises:
        TimeoutError: If it takes longer than so many *seconds*.
    """
    others, before = list(descendants()), _spent(beside)
    peak, over = 0.0, threading.Event()

    def look() -> None:
        nonlocal peak
        while not over.wait(EVERY):
            peak = max(peak, memory(descendants(but=others)))

    with said.open("wb") as out:
        started, begun = time.time(), time.monotonic()
        process = subprocess.Popen(
            list(command), cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{command[0]} was not over after {seconds:g} s: {said.read_text()[-500:]}") from None
        finally:
            took = time.monotonic() - begun
            over.set()
            watcher.join()
            if not beside:
                _end(others)
    return Used(started=started, seconds=took, cpu=_spent(beside) - before, peak=peak, status=status)


def memory(pids: Iterable[int]) -> float:
    """PSS of *pids* together, in MB (10^6): a page that several share is counted once."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6


def _end(others: Sequence[int]) -> None:
    """Kill and wait for all that is below this process, without *others*."""
    while left := descendants(but=others):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in left:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
    _reap(others)


def _reap(others: Sequence[int]) -> None:
    """Wait for the dead that came to this process."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, ChildProcessError):
            pid = int(entry.name)
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and pid not in others and fields[0] == "Z":
                os.waitpid(pid, os.WNOHANG)


def _spent(beside: Sequence[int]) -> float:
    """Seconds of processor time of all children that were waited for, of *beside*, and of what is and was below those."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    total, todo = used.ru_utime + used.ru_stime, list(beside)
    while todo:
        with suppress(OSError):
            folder = Path(f"/proc/{todo.pop()}")
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            total += sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")
            for task in (folder / "task").iterdir():
                todo += (int(pid) for pid in (task / "children").read_text().split())
    return total
