"""What a sandbox may take of the disk: measured truly, ended when it is passed, and work is kept all the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nightmill.errors import ToolError
from nightmill.sandbox import Service
from nightmill.sandbox.disk.scan import ENTRY, space
from nightmill.sandbox.quota import Disk
from tests.sandbox.box import Box, Within

MB = 1 << 20
FILL = "head -c {0}000000 /dev/zero > {1}"


def test_what_is_measured_is_what_is_on_disk(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "file").write_bytes(b"x" * 3 * MB)
    (tmp_path / "linked").hardlink_to(tmp_path / "d" / "file")
    (tmp_path / "link").symlink_to("/usr")
    with (tmp_path / "holes").open("wb") as file:
        file.truncate(1 << 40)

    assert 3 * MB <= space(str(tmp_path)) <= 3 * MB + 10 * ENTRY


def test_a_sandbox_over_its_quota_can_delete_and_keep_but_not_add(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("mkdir -p repo; echo kept > repo/kept")
        ended = await box.sh(FILL.format(300, "big") + "; sleep 60", seconds=50)
        assert ended.stopped == "disk"
        with pytest.raises(ToolError, match=r"limits\.disk"):
            await box.sandbox.write("/work/more", b"more")
        for _ in range(3):  # not a little more with each try
            assert (await box.sh(FILL.format(90, "more") + "; sleep 60", seconds=50)).stopped == "disk"
            await box.sh("rm more")
        assert await box.sandbox.snapshot()
        assert (await box.sh("rm big")).stopped == ""
        await box.sandbox.write("/work/more", b"more")
        assert (await box.sh("cat repo/kept more")).text == "kept\nmore"

    within(scenario, quota=64 * MB)


def test_a_snapshot_beyond_the_quota_opens_and_can_be_made_smaller(within: Within) -> None:
    async def fill(box: Box) -> str:
        assert (await box.sh(FILL.format(90, "big") + "; sleep 60", seconds=50)).stopped == "disk"
        return await box.sandbox.snapshot()

    async def clear(box: Box) -> str:
        assert (await box.sh("sleep 0.5; rm big; sleep 0.5")).stopped == ""
        await box.sandbox.write("/work/more", b"more")
        return (await box.sh("cat more")).text

    assert within(clear, snapshot=within(fill, quota=64 * MB), quota=64 * MB) == "more"


def test_commands_within_the_quota_are_left_alone(within: Within) -> None:
    async def scenario(box: Box) -> None:
        assert (await box.sh(FILL.format(40, "a") + "; truncate -s 1G holes; sleep 0.5")).stopped == ""
        assert (await box.sh("for n in 1 2 3 4 5 6; do head -c 40000000 /dev/zero > a; done; sleep 0.3")).stopped == ""

    within(scenario, quota=64 * MB)


def test_a_service_that_fills_the_disk_while_no_command_runs_is_ended(within: Within) -> None:
    greedy = Service(name="greedy", run=f"sleep 0.2; {FILL.format(300, '/work/big')}; sleep 100")

    async def scenario(box: Box) -> str:
        await asyncio.shield(box.sandbox.services.live["greedy"].answer)
        return box.sandbox.services.states()[0].reason

    assert "disk" in within(scenario, services=(greedy,), quota=64 * MB)


def test_a_layer_that_a_sandbox_was_counts_as_its_own(tmp_path: Path) -> None:
    for name in ("upper", "layer"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"x" * 10 * MB)
    disk = Disk(tmp_path / "upper", quota=15 * MB)
    disk.begin(1 << 30, (tmp_path / "layer",))
    disk.measure()
    assert disk.over


def test_what_cannot_be_measured_is_too_much(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "nowhere", quota=15 * MB)
    disk.measure()
    assert disk.full
