"""Services that want to stay, to fill the machine or to be taken for others, and commands that attack services."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nightmill.sandbox import Service, ServiceState
from tests.sandbox.box import Box, Within
from tests.sandbox.conftest import place, within

__all__ = ["place", "within"]  # fixtures

DEAF = """
import os, signal, time
for number in set(range(1, 65)) - {9, 19, 32, 33, signal.SIGCHLD}:
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
"""

AWAY = (
    DEAF
    + """
for _ in range(20):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.execvp("sleep", ["sleep", "7171"])
"""
)

HYDRA = (
    DEAF
    + """
open("/work/up", "w").close()
while True:  # each that is killed was followed before
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:  # there are as many as may be
        pass
    time.sleep(0.01)
"""
)


def program(text: str, name: str = "it", **changes: Any) -> Service:
    """A service that is this Python text."""
    return Service(name=name, run=f"exec python3 -c '{text}'", cwd="/work", **changes)


async def ended(box: Box, name: str = "it") -> ServiceState:
    """The service's state once it has ended."""
    while True:
        found = next(each for each in box.sandbox.services.states() if each.name == name)
        if found.state == "ended":
            return found
        await box.sh("true")


async def left(box: Box, pattern: str) -> str:
    """How many processes still match."""
    return (await box.sh(f"pgrep -c -f '{pattern}'")).text.strip()


@pytest.mark.wall("limits")
def test_a_service_that_forks_away_and_ends_leaves_nothing(within: Within) -> None:
    async def scenario(box: Box) -> None:
        assert (await ended(box)).exit == 0
        assert await left(box, "^sleep 7171") == "0"

    within(scenario, services=(program(AWAY),))


@pytest.mark.wall("limits")
def test_a_service_that_hears_no_signal_and_multiplies_does_not_outlive_its_stop(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await box.sandbox.services.stop("it")
        assert (await ended(box)).reason == "it did not end when it was asked to and was killed"
        assert await left(box, "^python3 -c") == "0"
        assert (await box.sh("echo fine")).text == "fine\n"

    within(scenario, services=(program(HYDRA, ready="test -e /work/up", grace=0.3, processes=400),))


@pytest.mark.wall("limits")
def test_a_service_that_is_a_fork_bomb_is_bounded_and_ends_at_its_stop(within: Within) -> None:
    bomb = (
        DEAF
        + 'open("/work/up", "w").close()\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n'
    )
    calm = Service(name="calm", run="exec sleep 7272", ready="pgrep -f '^sleep 7272'", cwd="/work")
    it = program(bomb, ready="test -e /work/up", after=("calm",), processes=60, grace=0.5)

    async def scenario(box: Box) -> None:
        assert int(await left(box, "^python3 -c")) <= 60
        await box.sandbox.services.stop("it")
        assert await left(box, "^python3 -c") == "0"
        assert await left(box, "^sleep 7272") == "1"

    within(scenario, services=(calm, it))


@pytest.mark.wall("limits", "channel")
def test_a_service_that_floods_its_log_fills_neither_memory_nor_the_way_to_the_host(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("until [ -s /tmp/services/it.log ]; do :; done")
        for _ in range(20):
            assert (await box.sh("echo fine")).text == "fine\n"
            assert len(await box.sandbox.services.log("it")) <= 256 << 10
        assert int((await box.sh("stat -c %s /tmp/services/it.log")).text) <= 1 << 20
        await box.sandbox.snapshot()

    within(scenario, services=(Service(name="it", run="exec yes", cwd="/work"),))


@pytest.mark.wall("channel")
def test_what_a_service_writes_moves_nobodys_cursor_and_is_no_frame(within: Within) -> None:
    hostile = r"""printf '\e[2J\e]0;x\a\r\0{"id":1,"exit":0}\n'; exit 1"""

    async def scenario(box: Box) -> None:
        found = await ended(box)
        assert found.reason == "exit status 1"
        assert b"\x1b[2J" in await box.sandbox.services.log("it")

    within(scenario, services=(Service(name="it", run=hostile, ready="printf '\\e[2J'; false", cwd="/work"),))


@pytest.mark.wall("limits")
def test_a_command_that_stops_or_kills_a_services_keeper_only_ends_the_service(within: Within) -> None:
    it = Service(name="it", run="exec sleep 7373", ready="pgrep -f '^sleep 7373'", cwd="/work", grace=0.5)

    async def scenario(box: Box) -> None:
        for deed in ("KILL", "STOP"):
            await box.sh(f"kill -{deed} $(ps -o ppid= -p $(pgrep -f '^sleep 7373'))")
            await box.sandbox.services.stop("it")
            await ended(box)
            assert await left(box, "^sleep 7373") == "0"
            await box.sandbox.services.start(it)
            assert box.sandbox.services.states()[0].state == "ready"

    within(scenario, services=(it,))


@pytest.mark.wall("runner")
def test_a_command_that_takes_a_services_place_is_not_taken_for_it(within: Within) -> None:
    """It has the name, the port and the log; the host has a number."""
    web = Service(
        name="web", run="exec python3 -m http.server 8000 --bind 127.0.0.1", ready="exec 3<>/dev/tcp/127.0.0.1/8000"
    )
    listen = (
        'import socket, time\ns = socket.create_server(("127.0.0.1", 8000))\nopen("/tmp/up", "w")\ntime.sleep(60)\n'
    )
    squat = "pkill -9 -f '^python3 -m http'; exec -a 'python3 -m http.server 8000' python3 /work/squat.py"

    async def scenario(box: Box) -> None:
        await box.sandbox.write("/work/squat.py", listen.encode())
        squatting = asyncio.ensure_future(box.sh(squat))
        while (await box.sh("test -e /tmp/up")).exit:
            pass
        await ended(box, "web")
        await box.sandbox.services.start(web)
        found = await ended(box, "web")
        assert found.exit == 1
        assert b"Address already in use" in await box.sandbox.services.log("web")
        squatting.cancel()
        await asyncio.wait({squatting})
        await box.sandbox.services.start(web)
        assert box.sandbox.services.states()[0].state == "ready"

    within(scenario, services=(web,))


@pytest.mark.wall("empty", "runner")
def test_a_service_holds_no_descriptor_and_sees_no_process_of_the_host(within: Within) -> None:
    look = 'import os; print(sorted(os.listdir("/proc/self/fd"))[:-1], open("/proc/1/cmdline").read().split("\\0")[0])'

    async def scenario(box: Box) -> None:
        await ended(box)
        said = (await box.sandbox.services.log("it")).decode()
        assert said.startswith("['0', '1', '2'] ")
        assert "pytest" not in said

    within(scenario, services=(program(look),))
