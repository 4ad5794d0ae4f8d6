"""Snapshots: exact, live, whole or not there at all."""

from __future__ import annotations

import asyncio
import json
import os
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Command, Place
from nightmill.sandbox.disk.layers import freeze, remove
from nightmill.sandbox.disk.packs import Packs, forget
from nightmill.sandbox.disk.scan import Below, Seen, record
from nightmill.sandbox.freeze import frozen, mapped
from tests.sandbox.box import Box, Within
from tests.sandbox.programs import CHURN, NAMELESS, SERVICE
from tests.sandbox.views import fingerprint, restore

EMPTY = Seen({}, {}, {})


@pytest.mark.parametrize("seed", ["moss"])
def test_every_turn_of_random_churn_beside_a_live_service_is_restored_exactly(
    within: Within, tmp_path: Path, seed: str
) -> None:
    turns = 22  # beyond one consolidation

    async def scenario(box: Box) -> list[tuple[str, dict[str, Any]]]:
        ready = asyncio.Event()
        service = Command(argv=("/usr/bin/python3", "-c", SERVICE), cwd="/work")
        running = asyncio.create_task(box.sandbox.run(service, output=lambda _: ready.set()))
        await ready.wait()
        packs, taken = box.sandbox.packs, []
        assert box.sandbox.processes is not None
        for turn in range(turns):
            churned = await box.python(CHURN, str(turn), seed)
            assert churned.exit == 0, churned.text
            with frozen(box.sandbox.processes.init_pid) as pids:  # as `snapshot` does, with a look at what is there
                name = packs.take(name=f"turn{turn}", hot=mapped(pids))
                taken.append((name, fingerprint(box.place.directory / "upper")))
            if packs.long:
                packs.consolidate(name=f"whole{turn}")
        running.cancel()
        return taken

    taken = within(scenario)

    run = tmp_path / "run"
    assert len({name for name, _ in taken}) == turns
    assert sum(len(expected) for _, expected in taken) > 400
    for name, expected in taken:
        restore(run, name)
        assert fingerprint(run / "upper") == expected, name


def test_a_snapshot_is_what_the_sandbox_shows_after_it_is_opened_again(within: Within) -> None:
    async def work(box: Box) -> list[str]:
        await box.sh("rm -r repo/gone; mkdir repo/gone; echo 1 > repo/gone/other; chmod 500 repo/gone; echo v > repo/v")
        first = await box.sandbox.snapshot()
        assert await box.sandbox.snapshot() == first
        await box.sh("echo 2 > repo/v; rm repo/kept.txt")
        second = await box.sandbox.snapshot()
        assert second != first
        await box.sh("echo lost > repo/v")
        return [first, second]

    first, second = within(work)

    async def look(box: Box) -> str:
        text = (await box.sh("cd repo; cat v; find . -type f | sort | xargs; stat -c %a gone")).text
        assert await box.sandbox.snapshot() == box.place.snapshot
        return text

    assert within(look, snapshot=second) == "2\n./gone/other ./v\n500\n"
    assert within(look, snapshot=first) == "v\n./gone/other ./kept.txt ./v\n500\n"

    async def rewind_and_go_on(box: Box) -> str:
        await box.sh("echo other > repo/v")
        return await box.sandbox.snapshot()

    third = within(rewind_and_go_on, snapshot=first)
    assert within(look, snapshot=third) == "other\n./gone/other ./kept.txt ./v\n500\n"
    assert within(look, snapshot=second) == "2\n./gone/other ./v\n500\n"


def test_a_service_goes_on_writing_through_snapshots(within: Within) -> None:
    async def scenario(box: Box) -> None:
        ready = asyncio.Event()
        service = Command(argv=("/usr/bin/python3", "-c", SERVICE), cwd="/work")
        running = asyncio.create_task(box.sandbox.run(service, output=lambda _: ready.set()))
        await ready.wait()
        taken = [await box.sandbox.snapshot() for _ in range(5)]
        assert len(set(taken)) == 5
        before = await box.sandbox.read("/work/repo/mapped", limit=1 << 16)
        await box.sh("sleep 0.05")
        assert await box.sandbox.read("/work/repo/mapped", limit=1 << 16) != before
        assert not running.done()
        running.cancel()

    within(scenario)


def test_a_mapped_file_is_kept_though_the_name_it_was_mapped_by_is_gone(within: Within, tmp_path: Path) -> None:
    async def scenario(box: Box) -> list[tuple[str, dict[str, Any]]]:
        ready = asyncio.Event()
        service = Command(argv=("/usr/bin/python3", "-c", NAMELESS), cwd="/work")
        running = asyncio.create_task(box.sandbox.run(service, output=lambda _: ready.set()))
        await ready.wait()
        packs, taken = box.sandbox.packs, []
        assert box.sandbox.processes is not None
        for turn in range(4):
            await box.sh("sleep 0.02")
            with frozen(box.sandbox.processes.init_pid) as pids:
                name = packs.take(name=f"turn{turn}", hot=mapped(pids))
                taken.append((name, fingerprint(box.place.directory / "upper")))
        running.cancel()
        return taken

    taken = within(scenario)

    assert len({name for name, _ in taken}) == 4
    for name, expected in taken:
        assert {"repo/made still", "repo/kept.txt still"} <= set(expected)
        restore(tmp_path / "run", name)
        assert fingerprint(tmp_path / "run" / "upper") == expected, name


def test_what_a_command_had_stopped_stays_stopped(within: Within) -> None:
    async def scenario(box: Box) -> None:
        held = asyncio.create_task(box.sh("sleep 1000 & kill -STOP $!; echo $! > pid; wait"))
        while (await box.sh("test -s pid && grep -q '^State:.T' /proc/$(cat pid)/status")).exit:
            pass
        await box.sandbox.snapshot()
        assert (await box.sh("grep '^State' /proc/$(cat pid)/status")).text.startswith("State:\tT")
        held.cancel()

    within(scenario)


@pytest.mark.parametrize("damage", ["cut", "hole in the data", "hole in the index", "gone"])
def test_a_damaged_pack_is_an_error_and_the_old_upper_stays(within: Within, place: Place, damage: str) -> None:
    async def work(box: Box) -> str:
        await box.sandbox.write("/work/repo/big", os.urandom(300_000))
        return await box.sandbox.snapshot()

    snapshot = within(work)
    pack = place.directory / "packs" / snapshot
    whole = pack.read_bytes()
    at, _, _, _ = struct.unpack("<QQI8s", whole[-28:])
    damaged = {
        "cut": whole[:-1000],
        "hole in the data": whole[:4096] + bytes(4096) + whole[8192:],
        "hole in the index": whole[: at + 40] + bytes(10) + whole[at + 50 :],
    }
    if damage == "gone":
        pack.unlink()
    else:
        pack.write_bytes(damaged[damage])

    async def look(box: Box) -> None:
        raise AssertionError

    with pytest.raises(SandboxError, match=r"damaged|cannot be read"):
        within(look, snapshot=snapshot)
    assert (place.directory / "upper" / "repo" / "big").stat().st_size == 300_000
    assert not (place.directory / "upper.new").exists()


@pytest.mark.parametrize("path", ["../out", "/out", "link/planted", "a/../../out", "folder/", "a\0b"])
def test_a_pack_that_would_write_elsewhere_is_refused(tmp_path: Path, path: str) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    (run / "packs").mkdir(parents=True)
    outside.mkdir()
    top = tmp_path / "top"
    top.mkdir()
    (top / "link").symlink_to(outside)
    (top / "planted").write_text("x")
    _, written = record(top=str(top), target=str(run / "packs" / "evil"), old=EMPTY, hot=set(), below=Below())
    assert written
    forged = forge(run / "packs" / "evil", path)
    (run / "packs" / "evil").write_bytes(forged)

    with pytest.raises(SandboxError, match="no folder there"):
        restore(run, "evil")
    assert list(outside.iterdir()) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["outside", "run", "top"]


def forge(pack: Path, path: str) -> bytes:
    """The pack with the path "planted" put elsewhere, its checksums right."""
    whole = pack.read_bytes()
    at, length, _, magic = struct.unpack("<QQI8s", whole[-28:])
    index = json.loads(whole[at : at + length])
    for entry in index["set"]:
        entry["path"] = path if entry["path"] == "planted" else entry["path"]
    plain = json.dumps(index).encode()
    return whole[:at] + plain + struct.pack("<QQI8s", at, len(plain), zlib.crc32(plain), magic)


@pytest.mark.parametrize("name", ["", "..", "../x", ".hidden", "a/b", "absent"])
def test_only_ids_of_snapshots_are_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / "packs").mkdir()
    with pytest.raises(SandboxError):
        restore(tmp_path, name)


def test_a_failed_write_leaves_no_half_snapshot(tmp_path: Path) -> None:
    upper, folder = tmp_path / "upper", tmp_path / "packs"
    upper.mkdir()
    packs = Packs(tmp_path, None)
    packs.start("")
    (upper / "file").write_text("1")
    first = packs.take(name="first", hot=set())
    (upper / "file").write_text("2")
    folder.rename(tmp_path / "elsewhere")

    with pytest.raises(SandboxError, match="could not be kept whole"):
        packs.take(name="second", hot=set())

    (tmp_path / "elsewhere").rename(folder)
    assert [each.name for each in folder.iterdir()] == ["first"]
    assert packs.take(name="third", hot=set()) == "third"
    assert packs.stand.chain == [first, "third"]


def test_forgetting_keeps_what_the_kept_stand_on_and_what_is_newer(tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    upper.mkdir()
    packs = Packs(tmp_path, None)
    packs.start("")
    for number in range(6):
        (upper / "file").write_text(str(number))
        packs.take(name=f"turn{number}", hot=set())
        os.utime(tmp_path / "packs" / f"turn{number}", ns=(number, number))
    rewound = Packs(tmp_path, None)
    rewound.start("turn1")
    (upper / "file").write_text("other")
    rewound.take(name="other", hot=set())
    os.utime(tmp_path / "packs" / "other", ns=(3, 3))

    assert forget(tmp_path, set()) == 0
    assert forget(tmp_path, {"turn4"}) == 1
    assert sorted(each.name for each in (tmp_path / "packs").iterdir()) == [f"turn{number}" for number in range(6)]
    restore(tmp_path, "turn4")
    assert (upper / "file").read_text() == "4"


def test_a_closed_run_becomes_a_layer_for_others(within: Within, place: Place, tmp_path: Path) -> None:
    async def work(box: Box) -> None:
        await box.sh("echo built > repo/built; rm -r repo/gone; mkdir repo/shut; chmod 000 repo/shut")

    within(work)
    freeze(place.directory, tmp_path / "layers" / "one")

    async def look(box: Box) -> str:
        return (await box.sh("ls repo; cat repo/built; echo more > repo/built")).text

    layers = (*place.layers, tmp_path / "layers" / "one")
    assert within(look, layers=layers) == "built\nkept.txt\nshut\nbuilt\n"
    assert (tmp_path / "layers" / "one" / "repo" / "built").read_text() == "built\n"
    with pytest.raises(SandboxError, match="cannot become"):
        freeze(tmp_path / "nowhere", tmp_path / "layers" / "two")
    remove(tmp_path / "layers" / "one")
    assert not (tmp_path / "layers" / "one").exists()


def test_very_deep_and_shut_folders_can_be_removed(tmp_path: Path) -> None:
    top = tmp_path / "deep"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)

    remove(top)

    assert not top.exists()
    remove(top)


def test_snapshots_do_not_hold_the_loop(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("mkdir many; cd many; for i in $(seq 1500); do echo $i > $i; done", seconds=60)
        beats, going = 0, True

        async def beat() -> None:
            nonlocal beats
            while going:
                beats += 1
                await asyncio.sleep(0)

        beating = asyncio.create_task(beat())
        began = time.monotonic()
        await box.sandbox.snapshot()
        assert time.monotonic() > began
        going = False
        await beating
        assert beats > 20

    within(scenario)
