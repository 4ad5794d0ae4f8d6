"""A person's terminal into a sandbox, and what runs on it."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.sandbox.box import Box, Within
from tests.sandbox.conftest import place, within
from tests.sandbox.test_terminal import screen

__all__ = ["place", "within"]  # fixtures

ON_IT = r"""
import fcntl, json, os, signal, struct, sys, termios
found = []
def attempt(name, work):
    try:
        work()
        found.append(name)
    except OSError:
        pass
for name, fd in (("own", 0), ("controlling", os.open("/dev/tty", os.O_RDWR))):
    attempt(name + " typed into", lambda: fcntl.ioctl(fd, 0x5412, b"x"))
    attempt(name + " pasted into", lambda: fcntl.ioctl(fd, 0x541C, b"\3"))
    attempt(name + " given drivers", lambda: fcntl.ioctl(fd, 0x5423, struct.pack("i", 21)))
    attempt(name + " made the console", lambda: fcntl.ioctl(fd, 0x541D))
attempt("hung up", lambda: os.getuid() and os.close(os.open("/dev/console", os.O_RDWR)))
for each in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGTTOU):
    signal.signal(each, signal.SIG_IGN)
for _ in range(5):
    if not os.fork():
        os.setsid()
        if not os.fork():
            signal.pause()
        os._exit(0)
print("found", json.dumps([found, os.listdir("/dev/pts")]), "end", flush=True)
"""


@pytest.mark.wall("filter", "limits", "view")
def test_a_program_on_a_terminal_types_into_none_and_leaves_nothing_on_it(within: Within) -> None:
    async def scenario(box: Box) -> None:
        shell = await screen(box, "/usr/bin/python3", "-c", ON_IT)
        await shell.until(b"found ")
        while b" end" not in shell.shown:
            shell.changed.clear()
            await asyncio.wait_for(shell.changed.wait(), 60)
        found, terminals = json.loads(shell.shown.partition(b" end")[0])
        assert found == []
        assert set(terminals) <= {"0", "ptmx"}
        assert (await shell.ended()).exit == 0
        left = await box.sh("pgrep -c python3; ls /dev/pts")
        assert left.text.split() == ["2", "ptmx"], "only the runner, and the keeper of this"

    within(scenario)
