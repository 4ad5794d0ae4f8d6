"""What the kernel says of a process: processor time and memory."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["Memory", "below", "cpu", "memory", "total"]

TICK = os.sysconf("SC_CLK_TCK")


class Memory(NamedTuple):
    """In MB. *rss* counts shared pages in full, *pss* divides them by how many share them, *peak* is the largest rss."""

    rss: float
    pss: float
    peak: float


def cpu(pid: int) -> float:
    """Seconds of processor time, user and system, of all threads of *pid*; its children are not in it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(pid: int) -> Memory:
    """What *pid* holds now."""
    kilobytes: dict[str, int] = {}
    for name in ("smaps_rollup", "status"):
        for line in Path(f"/proc/{pid}/{name}").read_text().splitlines():
            key, _, rest = line.partition(":")
            if rest.endswith(" kB"):
                kilobytes[key] = int(rest.split()[0])
    return Memory(*(kilobytes[name] / 1024 for name in ("Rss", "Pss", "VmHWM")))


def total(pids: list[int]) -> Memory:
    """The sum over *pids*; those that have ended meanwhile hold nothing."""
    found = []
    for pid in pids:
        with suppress(OSError, KeyError):
            found.append(memory(pid))
    return Memory(*(sum(column) for column in zip(*found, strict=True))) if found else Memory(0.0, 0.0, 0.0)


def below(top: int) -> list[int]:
    """All processes below *top*."""
    found: list[int] = []
    todo = [top]
    while todo:
        pid = todo.pop()
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                children = [int(child) for child in (task / "children").read_text().split()]
                found += children
                todo += children
    return found
