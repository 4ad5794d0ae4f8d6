"""Which process is meant: a number alone is given to another one day."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["host", "is_alive", "started"]


def host() -> str:
    """Name of the machine, its boot and the process namespace: where a process number means something."""
    boot = _read(Path("/proc/sys/kernel/random/boot_id")).strip()
    try:
        space = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        space = ""
    return f"{os.uname().nodename}/{boot}/{space}"


def started(pid: int) -> str:
    """When the process *pid* started, in the kernel's ticks since boot; "": there is none, or only its corpse."""
    # The command's name may hold spaces and brackets: the fields begin after the last one.
    state = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return state[19] if state and state[0] not in {"Z", "X", "x"} else ""


def is_alive(pid: int, start: str) -> bool:
    """Whether *pid* still is the process that started at *start*. A stopped process is alive."""
    return bool(start) and started(pid) == start


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
