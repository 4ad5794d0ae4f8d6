"""Runs attacks on the machine's memory, processes and disk from inside a sandbox and prints how each ended.

usage: exhaust.py HOME USER [GROUP…]
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nightmill.sandbox import Command, Limits, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.live import LiveSandbox

MB = 1 << 20

FILL = """
import ctypes, mmap, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
piece = b"x" * (1 << 20)

def write(fd, count):
    for _ in range(count):
        os.write(fd, piece)

def take(size):
    kept = bytearray(size)
    kept[::4096] = b"x" * len(kept[::4096])
    return kept
"""

PROGRAMS: Mapping[str, str] = {
    # each tries to hold some 300 MB, where 128 are allowed
    "several_processes": "for _ in range(6):\n    if not os.fork():\n        kept = take(50 << 20); time.sleep(60)\ntime.sleep(60)",
    "one_process": "kept = take(300 << 20); print('got it')",
    "a_memfd": "write(os.memfd_create('x'), 300); print('got it')",
    "shared_memory": "write(os.open('/dev/shm/x', os.O_CREAT | os.O_RDWR), 300); print('got it')",
    "files_in_tmp": "write(os.open('/tmp/x', os.O_CREAT | os.O_RDWR), 300); print('got it')",
    "a_system_v_segment": (
        "at = libc.shmat(libc.shmget(0, 300 << 20, 0o1600), None, 0)\n"
        "for each in range(300): ctypes.memset(at + (each << 20), 1, 1 << 20)\nprint('got it')"
    ),
    "a_pipe_full_of_pages": (
        "held = []\nwhile len(held) < 400:\n"
        "    r, w = os.pipe(); libc.fcntl(w, 1031, 1 << 20); os.set_blocking(w, False); os.write(w, piece); held += [r, w]\n"
        "for _ in range(3):\n    if not os.fork(): kept = take(60 << 20); time.sleep(60)\ntime.sleep(60)"
    ),
    "a_session_of_its_own": (
        "if not os.fork():\n    os.setsid()\n    if not os.fork():\n        kept = take(300 << 20); time.sleep(60)\n    os._exit(0)\n"
        "time.sleep(60)"
    ),
    "its_keeper_killed": "os.kill(os.getppid(), 9)\nif not os.fork(): kept = take(300 << 20)\ntime.sleep(60)",
}

BOMB = """
import os, sys, time
most = 0
for _ in range(400):
    try:
        if not os.fork():
            time.sleep(30)
            os._exit(0)
    except OSError:
        break
    most += 1
print(most, flush=True)
end = time.monotonic() + 1
while time.monotonic() < end:
    try:
        os.fork()
        os.setsid()
    except OSError:
        pass
"""


async def exhausted(home: Path) -> dict[str, Any]:
    """How each attack ended, and what the sandbox could do after it."""
    directory = home / "run"
    directory.mkdir()
    sandbox = await BubblewrapSandboxes().open(Place(directory=directory, layers=()))
    assert isinstance(sandbox, LiveSandbox)
    found: dict[str, Any] = {"groups": sandbox.groups is not None, "user": os.geteuid()}
    try:
        for name, program in PROGRAMS.items():
            limits = Limits(memory=128 * MB, seconds=20.0)
            ran = await sandbox.run(
                Command(argv=("/usr/bin/python3", "-c", FILL + program), cwd="/work", limits=limits)
            )
            await sandbox.run(Command(argv=("bash", "-c", "rm -f /tmp/x /dev/shm/x"), cwd="/work"))
            found[name] = {"stopped": ran.stopped, "text": ran.text[-200:]}
        limits = Limits(processes=50, seconds=3.0)
        ran = await sandbox.run(Command(argv=("/usr/bin/python3", "-c", BOMB), cwd="/work", limits=limits))
        found["bomb"] = {"stopped": ran.stopped, "text": ran.text[-200:]}
        ran = await sandbox.run(Command(argv=("bash", "-c", "echo alive; ls /proc | grep -c '^[0-9]'"), cwd="/work"))
        found["after"] = ran.text
        top = sandbox.groups.top.folders if sandbox.groups else []
        found["left"] = [each.name for folder in top for each in folder.glob("[0-9]*")]
    finally:
        await sandbox.close()
    return found | {"closed": [str(folder) for folder in top if folder.exists()]}


def main() -> None:
    """Everything, as USER, in the control groups that are given to it."""
    home, user, *groups = sys.argv[1:]  # noqa: TID251 - a program of its own
    for folder in groups:
        Path(folder, "cgroup.procs").write_text("0")
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
    found = asyncio.run(exhausted(Path(home)))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
