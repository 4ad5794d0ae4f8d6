"""A runner that nobody asks anything gives its memory back, and answers as if it had not."""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys

import pytest

from nightmill.sandbox import Command, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.network.reach import Network
from tests.sandbox.box import Box, Within
from tests.sandbox.web import web


def test_it_rests_when_it_was_not_asked_for_a_while_and_not_before(
    within: Within, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightmill.sandbox.channel.REST", 0.02)

    async def scenario(box: Box) -> None:
        while box.first != "sh":  # what is still on its way out may keep it from resting once
            assert (await box.sh("sleep 0.2; cat /proc/1/comm")).text == "python3\n"
            await asyncio.sleep(0.1)

    within(scenario)


def test_what_is_asked_of_one_that_rests_is_answered_as_ever(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("echo 1 > /work/file; umask > /work/mask; echo kept > /tmp/kept")
        await box.rest()
        assert await box.sandbox.read("/work/file", limit=10) == b"1\n"
        await box.rest()
        await box.sandbox.write("/work/file", b"2\n")
        await box.rest()
        both = await asyncio.gather(
            box.sh("cat /work/file; head -c 3000000 /dev/zero | wc -c"), box.sh("cat /tmp/kept")
        )
        assert [each.text for each in both] == ["2\n3000000\n", "kept\n"]

    within(scenario)


def test_commands_begin_after_a_rest_as_before_it(within: Within) -> None:
    look = "umask; pwd; env | sort; grep -E 'Sig|Cap|Seccomp|NoNew' /proc/self/status; ls /proc/self/fd | wc -l"

    async def scenario(box: Box) -> None:
        before = await box.sh(look)
        await box.rest()
        assert (await box.sh(look)).text == before.text

    within(scenario)


def test_words_that_come_while_it_goes_to_rest_are_not_lost(within: Within) -> None:
    async def scenario(box: Box) -> None:
        channel = box.sandbox.channel
        assert channel
        for number in range(60):
            channel.rest()
            for _ in range(number * 20):  # from words in the same piece to words to one that has long become a shell
                await asyncio.sleep(0)
            channel.rouse()
            if number % 2:
                await asyncio.sleep(0.01)
            assert (await box.sh(f"echo {number}")).text == f"{number}\n"

    within(scenario)


def test_workspaces_are_kept_and_go_back_while_it_rests(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("echo one > repo/kept.txt")
        await box.rest()
        snapshot = await box.sandbox.snapshot()
        await box.sh("echo two > repo/kept.txt")
        await box.rest()
        await box.sandbox.roll_back(snapshot)
        assert (await box.sh("cat repo/kept.txt")).text == "one\n"

    within(scenario)


def test_the_network_is_there_again_after_a_rest(within: Within) -> None:
    fetch = "import urllib.request as u; print(u.urlopen('http://localhost:%d/').read().decode())"

    async def scenario(box: Box) -> None:
        async with web([]) as port:
            box.sandbox.egress.network = Network(private=frozenset({"localhost"}), ports=frozenset({port}))  # type: ignore[union-attr]
            argv = ("/usr/bin/python3", "-c", fetch % port)
            asked = Command(argv=argv, cwd="/work", env={"no_proxy": "", "NO_PROXY": ""})
            for _ in range(2):
                assert (await box.sandbox.run(asked)).text == "hello\n"
                await box.rest()
            assert (await box.sh("ps -e -o pid= | wc -l")).text == "6\n", "runner, relay, keeper, bash, ps, wc"

    within(scenario, hosts=("localhost",))


HOST = """
import asyncio, sys
from pathlib import Path
from nightmill.sandbox import Command, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes

async def main():
    sandbox = await BubblewrapSandboxes().open(Place(directory=Path(sys.argv[1]), layers=()))
    await sandbox.run(Command(argv=("true",), cwd="/work"))
    sandbox.channel.rest()
    init = sandbox.processes.init_pid
    while Path(f"/proc/{init}/comm").read_text() != "sh\\n":
        await asyncio.sleep(0.001)
    print(init, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


def test_one_that_rests_ends_with_its_host(place: Place) -> None:
    command = [sys.executable, "-c", HOST, str(place.directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        init = os.pidfd_open(int(host.stdout.readline()))
        host.kill()
        host.wait()

    assert select.select([init], [], [], 30)[0]
    os.close(init)


def test_a_sandbox_at_rest_is_closed(place: Place) -> None:
    async def whole() -> None:
        sandbox = await BubblewrapSandboxes().open(place)
        box = Box(sandbox, place)  # type: ignore[arg-type]  # what bubblewrap gives
        await box.sh("true")
        await box.rest()
        assert box.sandbox.processes
        init = os.pidfd_open(box.sandbox.processes.init_pid)
        await sandbox.close()
        assert select.select([init], [], [], 30)[0]
        os.close(init)

    asyncio.run(whole())
