"""A large upper becomes a layer between two turns, many layers become one: nobody inside can tell."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Command, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.disk.ground import DEEP
from nightmill.sandbox.disk.privileged import flatten_layers
from nightmill.sandbox.disk.shelf import Shelf
from nightmill.sandbox.live import LiveSandbox
from tests.sandbox.box import Box, Within
from tests.sandbox.programs import CHURN
from tests.sandbox.views import look, same


async def settled(box: Box) -> None:
    """Wait for what the sandbox does aside."""
    while box.sandbox.tasks:
        await asyncio.wait(box.sandbox.tasks)


async def rebased(box: Box, *, tries: int = 100) -> bool:
    """Make the upper a layer after the next snapshot, whatever its size."""
    before = box.sandbox.packs.stand.layers
    box.sandbox.many = 0
    for _ in range(tries):  # on a busy machine, what has answered takes its time to be gone
        await box.sandbox.snapshot()
        await settled(box)
        if box.sandbox.packs.stand.layers != before:
            break
    box.sandbox.many = 1 << 30
    return box.sandbox.packs.stand.layers != before


def test_what_is_seen_is_the_same_on_any_number_of_layers(
    within: Within, sandboxes: BubblewrapSandboxes, tmp_path: Path
) -> None:
    seed = "oak"
    pick = random.Random(seed)
    turns = DEEP + 8

    async def scenario(box: Box) -> None:
        sandbox = box.sandbox
        sandbox.many = 1 << 30
        taken: dict[str, Any] = {}
        for turn in range(turns):
            assert (await box.python(CHURN, str(turn), seed)).exit == 0
            seen = await look(sandbox)
            snapshot = await sandbox.snapshot()
            taken[snapshot] = seen
            if turn % 8:
                assert await rebased(box)
                assert same(await look(sandbox), seen)
                assert await sandbox.snapshot() == snapshot
            assert len(sandbox.packs.stand.layers) <= DEEP + 1
        assert len(Shelf(tmp_path / "shelf").layers()) > len(sandbox.packs.stand.layers), "some are now one"
        for snapshot in pick.sample(list(taken), 8):
            await box.python(CHURN, "99", seed)
            await sandbox.roll_back(snapshot)
            assert same(await look(sandbox), taken[snapshot])
            assert await sandbox.snapshot() == snapshot

    within(scenario, sandboxes=sandboxes)


def test_the_snapshot_after_an_installation_looks_at_little(within: Within, sandboxes: BubblewrapSandboxes) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("echo kept > /tmp/note; chmod 640 /tmp/note; mkdir /dev/shm/d; echo deep > /dev/shm/d/e")
        await box.sh("mkdir env; cd env; touch $(seq 2500)", seconds=60)
        first = await box.sandbox.snapshot()
        reading = asyncio.create_task(box.sh("ls env | wc -l; cat /tmp/note /dev/shm/d/e; stat -c %a /tmp/note"))
        assert (await reading).text == "2500\nkept\ndeep\n640\n"
        await settled(box)
        while len(box.sandbox.packs.seen.facts) > 100:
            await box.sh("echo more > repo/more")
            await box.sandbox.snapshot()
            await settled(box)
        assert (await box.sh("ls env | wc -l; cat /tmp/note /dev/shm/d/e; stat -c %a /tmp/note")).text == (
            "2500\nkept\ndeep\n640\n"
        )
        await box.sandbox.roll_back(first)
        assert (await box.sh("ls repo; ls env | wc -l; ls /tmp")).text == "gone\nkept.txt\n2500\n"

    within(scenario, sandboxes=sandboxes)


def test_nothing_that_runs_or_waits_is_cut_off(within: Within, sandboxes: BubblewrapSandboxes) -> None:
    async def scenario(box: Box) -> None:
        box.sandbox.many = 1 << 30
        ready = asyncio.Event()
        command = Command(argv=("bash", "-c", "echo; sleep 1000"), cwd="/work")
        running = asyncio.create_task(box.sandbox.run(command, output=lambda _: ready.set()))
        await ready.wait()
        await box.sh("echo 1 > repo/file")
        assert not await rebased(box, tries=3)
        assert not running.done()
        running.cancel()
        await asyncio.wait([running])
        await box.sh("dd if=/dev/urandom of=/tmp/large bs=1M count=20")
        assert not await rebased(box, tries=3), "more in memory than is carried"
        await box.sh("rm /tmp/large; echo 2 > repo/file")
        box.sandbox.many = 0
        await box.sandbox.snapshot()
        asked = [box.sh(f"echo {number}") for number in range(5)]
        read = [box.sandbox.read("/work/repo/file", limit=10) for _ in range(5)]
        assert [each.text for each in await asyncio.gather(*asked)] == [f"{number}\n" for number in range(5)]
        assert await asyncio.gather(*read) == [b"2\n"] * 5
        await settled(box)

    within(scenario, sandboxes=sandboxes)


VICTIM = """
import asyncio, sys
from pathlib import Path
from nightmill.errors import SandboxError
from nightmill.sandbox import Command, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes

async def main():
    top, way, snapshot, goal = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    place = Place(directory=top / "run", layers=(top / "layer",), snapshot=snapshot)
    sandbox = await BubblewrapSandboxes(shelf=top / "shelf").open(place)
    sandbox.many = 0 if way == "rebase" else 1 << 30
    print("begin", flush=True)
    if way == "rebase":
        await sandbox.run(Command(argv=("bash", "-c", "echo > repo/victim"), cwd="/work"))
        await sandbox.snapshot()
        while sandbox.tasks:
            await asyncio.wait(sandbox.tasks)
    elif way == "roll_back":
        await sandbox.roll_back(goal)
    else:
        await asyncio.to_thread(sandbox.ground.flatten)
    print("end", flush=True)
    await sandbox.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("way", ["rebase", "roll_back", "flatten"])
def test_a_worker_that_is_killed_at_any_moment_loses_no_snapshot(
    place: Place, sandboxes: BubblewrapSandboxes, tmp_path: Path, way: str
) -> None:
    taken = asyncio.run(four_turns(sandboxes, place, way))
    names, pick = list(taken), random.Random(way)
    for attempt in range(5):
        command = [sys.executable, "-c", VICTIM, str(tmp_path), way, names[-1], names[attempt % 2]]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
            assert victim.stdout is not None
            assert victim.stdout.readline() == "begin\n"
            until = time.monotonic() + pick.uniform(0, 0.25)
            while time.monotonic() < until and victim.poll() is None:
                os.sched_yield()
            victim.send_signal(signal.SIGKILL)
        snapshot = pick.choice(names)
        assert same(asyncio.run(seen_at(sandboxes, replace(place, snapshot=snapshot))), taken[snapshot])


async def four_turns(sandboxes: BubblewrapSandboxes, place: Place, way: str) -> dict[str, Any]:
    sandbox = await sandboxes.open(place)
    assert isinstance(sandbox, LiveSandbox)
    box, taken = Box(sandbox, place), {}
    sandbox.many = 1 << 30
    for turn in range(4):
        await box.python(CHURN, str(turn), way)
        await box.sh("mkdir -p many; touch many/$(date +%N)-{1..300}")
        seen = await look(sandbox)
        taken[await sandbox.snapshot()] = seen
        if way == "flatten" and turn < 3:
            await rebased(box)
    await sandbox.close()
    return taken


async def seen_at(sandboxes: BubblewrapSandboxes, place: Place) -> dict[str, Any]:
    for _ in range(1200):  # the kernel lets go of the folder when the last of the victim's processes is gone
        try:
            sandbox = await sandboxes.open(place)
        except SandboxError as error:
            assert "in use" in error.message  # noqa: PT017 - all else is a failure
            await asyncio.sleep(0.05)
            continue
        try:
            return await look(sandbox)
        finally:
            await sandbox.close()
    raise AssertionError


def test_a_layer_is_flattened_without_a_change_to_those_it_is_made_of(tmp_path: Path) -> None:
    base, one, two = tmp_path / "base", tmp_path / "one", tmp_path / "two"
    (base / "d").mkdir(parents=True)
    (base / "d" / "x").write_text("x")
    (one / "d").mkdir(parents=True)
    (one / "d" / "y").write_text("y")
    os.link(one / "d" / "y", one / "z")
    (two / "d").mkdir(parents=True)
    os.mknod(two / "d" / "x", 0o020600, 0)
    os.mknod(two / "d" / "y", 0o020600, 0)
    (two / "shut").mkdir(mode=0o000)
    before = (one / "z").stat()

    flatten_layers([one, two], tmp_path / "flat", below=[base])

    assert sorted(each.name for each in (tmp_path / "flat" / "d").iterdir()) == ["x"], "a mark only over what is below"
    assert (tmp_path / "flat" / "z").read_text() == "y"
    after = (one / "z").stat()
    assert (after.st_mtime_ns, after.st_mode, after.st_size) == (before.st_mtime_ns, before.st_mode, before.st_size)
    assert sorted(each.name for each in (one / "d").iterdir()) == ["y"]
