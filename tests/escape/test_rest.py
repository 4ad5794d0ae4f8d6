"""A runner that rests becomes another program for a while: nobody may be there to see it, or find a door open after it."""

from __future__ import annotations

import asyncio

import pytest

from nightmill.sandbox import Service
from tests.sandbox.box import Box, Within
from tests.sandbox.conftest import place, within

__all__ = ["place", "within"]  # fixtures

OPENED = """
import ctypes, os
got = []
for name in ("mem", "environ", "maps", "fd/0", "auxv", "map_files", "root/etc"):
    try:
        path = "/proc/1/" + name
        os.listdir(path) if os.path.isdir(path) else os.close(os.open(path, os.O_RDONLY)) or open(path, "rb").read(1)
        got.append(name)
    except OSError:
        pass
init = os.pidfd_open(1)
for fd in range(100):
    if ctypes.CDLL(None).syscall(438, init, fd, 0) >= 0:
        got.append(fd)
print(got, sorted(os.listdir("/proc/self/fd"))[:3])
"""


@pytest.mark.wall("runner")
def test_a_runner_that_has_rested_is_as_shut_as_before(within: Within) -> None:
    async def scenario(box: Box) -> None:
        before = (await box.python(OPENED)).text
        await box.rest()
        assert (await box.python(OPENED)).text == before
        assert before.startswith("[] ")

    within(scenario)


@pytest.mark.wall("runner")
def test_a_runner_does_not_rest_where_anything_could_watch_it(within: Within) -> None:
    watcher = "while :; do cat /proc/1/environ && touch /work/open; done >/dev/null 2>&1"

    async def scenario(box: Box) -> None:
        assert box.sandbox.channel
        for _ in range(20):
            box.sandbox.channel.rest()
            assert (await box.sh("cat /proc/1/comm; ls /work")).text == "python3\nhome\nrepo\n"

    within(scenario, services=(Service(name="it", run=watcher, cwd="/work"),))


@pytest.mark.wall("runner", "limits")
def test_what_escaped_its_keeper_does_not_see_it_rest(within: Within) -> None:
    """The keeper is killed, and what it kept comes to PID 1, which rests only once that is gone."""
    attack = "(setsid sh -c 'while :; do cat /proc/1/environ && touch /work/open; done' &) 2>/dev/null; kill -9 $PPID"

    async def scenario(box: Box) -> None:
        assert box.sandbox.channel
        for _ in range(5):
            running = asyncio.ensure_future(box.sh(attack))
            for _ in range(50):
                box.sandbox.channel.rest()
                await asyncio.sleep(0.001)
            await asyncio.wait({running})
        assert (await box.sh("ls /work")).text == "home\nrepo\n"

    within(scenario)
