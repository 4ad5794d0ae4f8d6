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
from nightmill.sandbox.disk.layers import remove
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

FILLS: Mapping[str, str] = {
    # each tries to keep some 300 MB on disk, where 64 are allowed
    "one_file": "write(os.open('/work/x', os.O_CREAT | os.O_RDWR), 300); time.sleep(20); print('got it')",
    "many_small_files": "for each in range(30_000): open(f'/work/{each}', 'w').close()\ntime.sleep(20); print('got it')",
    "a_file_without_a_name": (
        "fd = os.open('/work/x', os.O_CREAT | os.O_RDWR); os.unlink('/work/x'); write(fd, 300); time.sleep(20); print('got it')"
    ),
    "a_mapped_file_without_a_name": (
        "fd = os.open('/work/x', os.O_CREAT | os.O_RDWR); os.truncate(fd, 300 << 20)\n"
        "held = mmap.mmap(fd, 300 << 20); os.unlink('/work/x'); os.close(fd)\n"
        "for each in range(300): held.write(piece)\nheld.flush(); time.sleep(20); print('got it')"
    ),
    "a_folder_that_is_shut": (
        "os.mkdir('/work/d'); fd = os.open('/work/d/x', os.O_CREAT | os.O_RDWR); os.chmod('/work/d', 0)\n"
        "write(fd, 300); os.close(fd); time.sleep(20); print('got it')"
    ),
    "a_folder_deeper_than_a_path": (
        "os.chdir('/work')\nfor _ in range(60): os.mkdir('d' * 200); os.chdir('d' * 200)\n"
        "write(os.open('x', os.O_CREAT | os.O_RDWR), 300); time.sleep(20); print('got it')"
    ),
    "room_that_is_only_reserved": (
        "os.posix_fallocate(os.open('/work/x', os.O_CREAT | os.O_RDWR), 0, 300 << 20); time.sleep(20); print('got it')"
    ),
}

EMPTY = "chmod -R 700 /work; find /work -mindepth 1 -delete; rm -rf /work/*; echo emptied"

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
    groups = sandbox.processes.groups if sandbox.processes else None
    found: dict[str, Any] = {"groups": groups is not None, "user": os.geteuid()}
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
        ran = await sandbox.run(
            Command(argv=("bash", "-c", "echo alive; n=(/proc/[0-9]*); echo ${#n[@]}"), cwd="/work")
        )
        found["after"] = ran.text
        top = groups.top.folders if groups else []
        found["left"] = [each.name for folder in top for each in folder.glob("[0-9]*")]
    finally:
        await sandbox.close()
    found["disk"] = await filled(home)
    return found | {"closed": [str(folder) for folder in top if folder.exists()]}


async def filled(home: Path) -> dict[str, Any]:
    """How each attack on the disk ended."""
    found = {}
    for name, program in FILLS.items():
        (home / name).mkdir()
        sandbox = await BubblewrapSandboxes().open(Place(directory=home / name, layers=(), quota=64 * MB))
        try:
            words = ("/usr/bin/python3", "-c", FILL + program)
            ran = await sandbox.run(Command(argv=words, cwd="/work", limits=Limits(seconds=60.0, memory=1 << 30)))
            emptied = await sandbox.run(Command(argv=("bash", "-c", EMPTY), cwd="/", limits=Limits(seconds=60.0)))
            again = await sandbox.run(Command(argv=("bash", "-c", "echo again | tee /work/again"), cwd="/work"))
            found[name] = {"stopped": ran.stopped, "text": ran.text[-300:], "after": emptied.stopped + again.text}
        finally:
            await sandbox.close()
            await asyncio.to_thread(remove, home / name)
    return found


def main() -> None:
    """Everything, as USER, in the control groups that are given to it."""
    home, user, *groups = sys.argv[1:]  # noqa: TID251 - a program of its own
    for folder in groups:
        Path(folder, "cgroup.procs").write_text("0")
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    found = asyncio.run(exhausted(Path(home)))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
