"""Hold every process of a sandbox still for some milliseconds, and let exactly those go on afterwards."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from nightmill.errors import SandboxError

__all__ = ["fine_times", "frozen", "mapped", "tree"]

STILL = set("TtXZV")
"""Stopped, traced, gone, zombie, or waiting for the child of a vfork, which is itself stopped."""

HALTED = set("TtXZ")
"""Of these no thread goes on by itself."""

WAITING = {"x86_64": {"56", "58", "435"}, "aarch64": {"220", "435"}}
"""Numbers of clone, vfork and clone3: a parent in vfork is in state D and cannot stop before its child goes on."""

PATIENCE = 10.0


@contextlib.contextmanager
def frozen(init: int) -> Iterator[set[int]]:
    """Stop all that runs below *init*, which is the runner and stays as it is; gives what runs or is stopped there.

    Raises:
        SandboxError: If something cannot be stopped within `PATIENCE` seconds.
    """
    ours: list[int] = []
    try:
        yield _freeze(init, ours)
    finally:
        for pid in ours:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def mapped(pids: set[int], *, below: bytes = b"/work/") -> set[str | int]:
    """Files that are mapped shared and writable: once a page is dirty, further writes to it move no time stamp.

    A file whose name is gone is told by its inode, too: it may have another name, which the kernel does not tell.
    """
    found: set[str | int] = set()
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/maps", "rb") as file:
            for line in file:
                part = line.rstrip(b"\n").split(None, 5)
                if part[1][1::2] == b"ws" and part[-1].startswith(below):
                    name = part[-1][len(below) :]
                    found |= {os.fsdecode(name), os.fsdecode(name.replace(b"\\012", b"\n"))}  # which, is not said
                    if name.endswith(b" (deleted)"):
                        found.add(int(part[4]))
    return found


@lru_cache(maxsize=64)
def fine_times(directory: Path) -> bool:
    """Whether each write that follows a look moves a file's ctime there (multigrain time stamps: Linux 6.13)."""
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(20):
            before = os.fstat(file.fileno()).st_ctime_ns
            file.write(b"x")
            if os.fstat(file.fileno()).st_ctime_ns == before:
                return False
    return True


def _freeze(init: int, ours: list[int]) -> set[int]:
    deadline = time.monotonic() + PATIENCE
    seen = {init}
    # Not only what is new: one that was stopped already may have been woken by another before that stopped too.
    while moving := [pid for pid in tree(init) if pid not in seen or (pid != init and not _still(pid))]:
        if time.monotonic() > deadline:
            raise SandboxError("processes in the sandbox wake each other, so that none can be stopped for a snapshot")
        for pid in moving:
            seen.add(pid)
            if _states(pid) <= HALTED:
                continue  # stopped by the agent: it must stay so when the others go on
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                ours.append(pid)
        for pid in moving:  # kill() returns before its target has stopped
            _await_still(pid, deadline)
    return seen - {init}


def _still(pid: int) -> bool:
    return _states(pid) <= STILL


def _states(pid: int) -> set[str]:
    """Of every thread: the first may have ended, and its process look like a zombie, while others go on."""
    try:
        return {_state(f"/proc/{pid}/task/{thread}") for thread in os.listdir(f"/proc/{pid}/task")}
    except OSError:
        return {"X"}


def _await_still(pid: int, deadline: float) -> None:
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            while _state(f"/proc/{pid}/task/{thread}") not in STILL:
                if time.monotonic() > deadline:
                    raise SandboxError("a process in the sandbox cannot be stopped for a snapshot")
                time.sleep(0)


def tree(pid: int) -> list[int]:
    """*pid* and all that it started."""
    found, todo = [], [pid]
    while todo:
        top = todo.pop()
        found.append(top)
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{top}/task"):
                with open(f"/proc/{top}/task/{thread}/children", "rb") as file:
                    todo += [int(child) for child in file.read().split()]
    return found


def _state(path: str) -> str:
    try:
        with open(f"{path}/stat", "rb") as file:
            letter = chr(file.read().rpartition(b")")[2].split()[0][0])
        if letter == "D":
            with open(f"{path}/syscall", "rb") as file:
                number = file.read().split()[0].decode()
            return "V" if number in WAITING.get(platform.machine(), ()) else "D"
    except (OSError, IndexError):
        return "X"
    return letter
