"""Going back to a snapshot in a live sandbox: exact, from any state, and never half."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from pathlib import Path

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Command
from tests.sandbox.box import Box, Within
from tests.sandbox.programs import CHURN, SERVICE
from tests.sandbox.views import fingerprint, look, restore, same

TURNS = 20  # beyond one consolidation


async def churn(box: Box, turn: int, seed: str) -> None:
    done = await box.python(CHURN, str(turn), seed)
    assert done.exit == 0, done.text


def restored(box: Box, snapshot: str, beside: Path) -> dict[str, object]:
    """The upper that opening *snapshot* anew gives."""
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(box.place.directory / "packs", beside / "packs")
    restore(beside, snapshot)
    return fingerprint(beside / "upper")


@pytest.mark.parametrize("seed", ["ash"])
def test_every_turn_can_be_gone_back_to_exactly_and_gone_on_from(within: Within, tmp_path: Path, seed: str) -> None:
    pick = random.Random(seed)

    async def scenario(box: Box) -> int:
        sandbox, taken = box.sandbox, {"": await look(box.sandbox)}
        for turn in range(TURNS):
            await churn(box, turn, seed)
            seen = await look(sandbox)
            taken[await sandbox.snapshot()] = seen
        for number in range(12):
            snapshot = pick.choice(list(taken))
            await churn(box, 100 + number, seed)  # is in no snapshot
            await sandbox.roll_back(snapshot)
            seen = await look(sandbox)
            if not snapshot:  # these two are made by each start
                for path in ("'/work'", "'/work/home'"):
                    seen[path][1] = taken[""][path][1]
            assert same(seen, taken[snapshot]), snapshot
            if snapshot:
                assert fingerprint(box.place.directory / "upper") == restored(box, snapshot, tmp_path / "beside")
                assert await sandbox.snapshot() == snapshot, "nothing has changed"
            if number % 3 == 0:
                await churn(box, 200 + number, seed)
                seen = await look(sandbox)
                taken[await sandbox.snapshot()] = seen
        return len(taken)

    assert within(scenario) > TURNS


def test_what_was_written_through_a_mapping_is_gone_too(within: Within, tmp_path: Path) -> None:
    """Such a write moves no time stamp: by those alone, the file would look as it was."""

    async def scenario(box: Box) -> None:
        await box.sh("echo before > repo/other")
        ready = asyncio.Event()
        service = Command(argv=("/usr/bin/python3", "-c", SERVICE), cwd="/work")
        running = asyncio.create_task(box.sandbox.run(service, output=lambda _: ready.set()))
        await ready.wait()
        taken = [await box.sandbox.snapshot() for _ in range(3)]
        mapped = await box.sandbox.read("/work/repo/mapped", limit=1 << 16)
        await box.sh("sleep 0.05")
        assert await box.sandbox.read("/work/repo/mapped", limit=1 << 16) != mapped
        await box.sandbox.roll_back(taken[-1])
        with pytest.raises(SandboxError):
            await running
        for snapshot in (taken[-1], taken[0], taken[1]):
            await box.sandbox.roll_back(snapshot)
            assert fingerprint(box.place.directory / "upper") == restored(box, snapshot, tmp_path / "beside")

    within(scenario)


def test_going_back_ends_what_runs_and_keeps_what_did_not_change(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("head -c 300000 /dev/urandom > repo/large; echo one > repo/small")
        first = await box.sandbox.snapshot()
        inode = (box.place.directory / "upper" / "repo" / "large").stat().st_ino
        await box.sh("echo two > repo/small; mkdir -p repo/new/deep; touch repo/new/deep/file")
        waiting = asyncio.create_task(box.sh("sleep 1000", seconds=2000))
        await asyncio.sleep(0)
        await box.sandbox.roll_back(first)
        with pytest.raises(SandboxError):
            await waiting
        assert (
            await box.sh("cat repo/small; ls repo; pgrep -c sleep")
        ).text == "one\ngone\nkept.txt\nlarge\nsmall\n0\n"
        assert (box.place.directory / "upper" / "repo" / "large").stat().st_ino == inode

    within(scenario)


def test_a_snapshot_that_is_missing_or_damaged_changes_nothing(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("echo one > repo/file")
        first = await box.sandbox.snapshot()
        await box.sh("echo two > repo/file")
        pack = box.place.directory / "packs" / first
        (box.place.directory / "packs" / "torn").write_bytes(pack.read_bytes()[:-1])
        for name in ("absent", "torn", "../packs"):
            with pytest.raises(SandboxError):
                await box.sandbox.roll_back(name)
        assert (await box.sh("cat repo/file")).text == "two\n"

    within(scenario)


def test_damage_that_is_found_on_the_way_closes_the_sandbox(within: Within) -> None:
    """What is half gone back is not shown to anyone; opened again, it is restored or refused."""

    async def scenario(box: Box) -> None:
        await box.sh("head -c 90000 /dev/urandom > repo/file")
        first = await box.sandbox.snapshot()
        await box.sh("echo two > repo/file")
        await box.sandbox.snapshot()
        pack = box.place.directory / "packs" / first
        whole = pack.read_bytes()
        pack.write_bytes(bytes(4096) + whole[4096:])
        with pytest.raises(SandboxError, match="damaged"):
            await box.sandbox.roll_back(first)
        with pytest.raises(SandboxError, match="closed"):
            await box.sh("true")

    within(scenario)


@pytest.mark.skipif(os.getuid() == 0, reason="root needs no permission")
def test_folders_that_were_shut_are_no_obstacle(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("mkdir -p repo/a/b; echo 1 > repo/a/b/c; chmod 500 repo/a/b repo/a")
        first = await box.sandbox.snapshot()
        await box.sh("chmod 700 repo/a repo/a/b; echo 2 > repo/a/b/c; mkdir repo/a/b/d; chmod 0 repo/a/b/d repo/a")
        second = await box.sandbox.snapshot()
        await box.sandbox.roll_back(first)
        assert (await box.sh("cat repo/a/b/c; stat -c %a repo/a repo/a/b; ls repo/a/b")).text == "1\n500\n500\nc\n"
        await box.sandbox.roll_back(second)
        assert (await box.sh("stat -c %a repo/a; chmod 700 repo/a; ls repo/a/b")).text == "0\nc\nd\n"

    within(scenario)


def test_going_back_and_forth_at_once_trips_over_nothing_that_is_still_deleted(within: Within) -> None:
    async def scenario(box: Box) -> None:
        first = await box.sandbox.snapshot()
        await box.sh("mkdir repo/many; cd repo/many; touch $(seq 3000)", seconds=60)
        second = await box.sandbox.snapshot()
        for _ in range(2):
            await box.sandbox.roll_back(first)
            await box.sandbox.roll_back(second)
        assert (await box.sh("ls repo/many | wc -l")).text == "3000\n"
        await box.sandbox.close()
        assert not list(box.place.directory.glob("gone-*"))

    within(scenario)
