"""A keeper that waits for the next command: it is there between commands alone, and no command can spoil the next by it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nightmill.sandbox import Command
from nightmill.sandbox.freeze import tree
from tests.sandbox.box import Box, Within

TRIES = 20
READY = "touch ready; until [ -e go ]; do sleep 0.01; done; "


def below(box: Box) -> list[int]:
    """What runs inside, but the runner."""
    assert box.sandbox.processes is not None
    return tree(box.sandbox.processes.init_pid)[1:]


def inside(pid: int) -> int:
    """The number by which the sandbox knows the process *pid*, 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(status.partition("NSpid:")[2].split("\n")[0].split()[-1])


async def gone(box: Box) -> None:
    """Wait until nothing runs inside but the runner."""
    while below(box):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.005)


async def waiting(box: Box) -> int:
    """Have one wait, after a snapshot; its process id inside."""
    while True:
        await gone(box)
        await box.sandbox.snapshot()
        for _ in range(100):  # on a machine that is busy, it may have come and gone
            if found := below(box):
                return inside(found[0])
            await asyncio.sleep(0.005)


def test_what_waits_is_the_next_command_s_keeper_and_no_snapshot_sees_it(within: Within) -> None:
    look = "ls /proc/self/fd; ulimit -a; umask; sed s,/[0-9]*$,, /proc/self/cgroup; pwd; cat"

    async def scenario(box: Box) -> None:
        before = await box.sh(look)
        kept = []
        while len(kept) < TRIES and not any(kept):  # it waits for a second only
            keeper = await waiting(box)
            again = await box.sh(f"{look}; echo $PPID")
            assert again.text.startswith(before.text)
            kept.append(again.text.removeprefix(before.text) == f"{keeper}\n")
        assert any(kept)
        await waiting(box)
        await box.sandbox.snapshot()
        assert box.sandbox.still  # nothing ran that had to be held

    within(scenario)


@pytest.mark.parametrize("signal", ["KILL", "STOP"])
def test_a_command_that_ends_or_stops_what_waits_delays_the_next_and_no_more(within: Within, signal: str) -> None:
    async def scenario(box: Box) -> None:
        hostile = asyncio.ensure_future(box.sh(f"{READY} kill -{signal} -1", seconds=4.0))
        while "ready" not in (await box.sh("ls")).text:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
        await box.sandbox.snapshot()  # now one waits, while the other is still there
        await box.sandbox.write("/work/go", b"")
        await hostile
        assert (await box.sh("echo on; exit 3")).text == "on\n"
        assert (await box.sh("exit 3")).exit == 3

    within(scenario)


def test_what_waits_in_vain_goes(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await waiting(box)
        await gone(box)
        assert (await box.sh("echo on")).text == "on\n"

    within(scenario)


def test_a_command_too_long_for_what_waits_is_begun_as_ever(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await waiting(box)
        long = "x" * 110_000
        told = await box.sandbox.run(Command(argv=("bash", "-c", 'printf %s "$1$2" | wc -c', "bash", long, long)))
        assert told.text.strip() == "220000"

    within(scenario)
