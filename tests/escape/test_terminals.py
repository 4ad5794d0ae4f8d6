"""Terminals of a person inside: other terminals, what is typed there, and frames for terminals that are none."""

from __future__ import annotations

import asyncio
import os

import pytest

from nightmill.sandbox import Command
from tests.sandbox.box import Box, Within
from tests.sandbox.conftest import place, within
from tests.sandbox.test_terminal import screen

__all__ = ["place", "within"]  # fixtures

OTHERS = r"""
import fcntl, os
print(sorted(os.listdir("/dev/pts")))
for path in ("/dev/tty", "/dev/pts/0", "/dev/pts/1", "/dev/console", "/dev/tty0", "/dev/vcs"):
    for number, word in ((0x5412, b"x"), (0x541C, b"\x03x"), (0x541D, b"")):
        try:
            fcntl.ioctl(os.open(path, os.O_RDWR | os.O_NOCTTY), number, word)
            print("done to", path, hex(number))
        except OSError as error:
            print(path, error.errno)
try:
    os.setsid()
    fcntl.ioctl(os.open("/dev/pts/0", os.O_RDWR | os.O_NOCTTY), 0x540E, 1)
    print("done: a terminal was stolen")
except OSError as error:
    print(error.errno)
"""

ALL = r"""
import os, resource, time
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = 0
try:
    while held < 10000:
        os.openpty()
        held += 1
except OSError:
    pass
print(held, flush=True)
time.sleep(600)
"""


@pytest.mark.wall("view", "filter", "capabilities")
def test_terminals_of_the_host_are_not_there_and_nothing_is_typed_into_another(within: Within) -> None:
    ours, theirs = os.openpty()

    async def scenario(box: Box) -> None:
        other = await screen(box, "bash", "-c", "stty -echo; echo ready; read line; echo got $line")
        await other.until(b"ready")
        attacker = await screen(box, "/usr/bin/python3", "-c", OTHERS)
        await attacker.ended()
        assert b"['0', '1', 'ptmx']" in attacker.shown
        assert b"done" not in attacker.shown
        other.terminal.type(b"mine\n")
        await other.ended()
        assert b"got mine" in other.shown

    try:
        within(scenario)
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.wall("view")
def test_a_command_that_takes_every_terminal_leaves_the_host_some(within: Within) -> None:
    async def scenario(box: Box) -> None:
        said: asyncio.Queue[bytes] = asyncio.Queue()
        taking = asyncio.ensure_future(
            box.sandbox.run(Command(argv=("/usr/bin/python3", "-c", ALL), cwd="/work"), output=said.put_nowait)
        )
        assert int(await said.get()) > 100
        ours, theirs = os.openpty()
        os.close(ours)
        os.close(theirs)
        taking.cancel()
        await asyncio.wait({taking})
        shell = await screen(box, "bash", "-c", "tty")
        await shell.until(b"/dev/pts/0")

    within(scenario)


@pytest.mark.wall("limits")
def test_a_program_that_keeps_the_terminal_open_does_not_keep_the_person(within: Within) -> None:
    async def scenario(box: Box) -> None:
        shell = await screen(box, "bash", "-c", "trap '' HUP TERM; (setsid sleep 7474 &); (setsid yes &); echo over")
        assert (await shell.ended()).exit == 0
        assert (await box.sh("pgrep -f 'sleep 7474|^yes'")).exit == 1

    within(scenario)


@pytest.mark.wall("runner")
def test_keys_and_sizes_for_a_wrong_number_reach_no_command(within: Within) -> None:
    async def scenario(box: Box) -> None:
        channel = box.sandbox.channel
        assert channel is not None
        running = asyncio.ensure_future(box.sh("cat; sleep 1; echo done"))
        while (await box.sh("pgrep -x sleep")).exit:
            pass
        for number in (*channel.pending, 0, -1, 999_999):
            channel.tell({"op": "type", "id": number}, b"echo typed\n")
            channel.tell({"op": "resize", "id": number, "rows": 1, "columns": 1})
        assert (await running).text == "done\n"
        assert (await box.sh("echo fine")).text == "fine\n"

    within(scenario)
