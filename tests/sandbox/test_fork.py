"""Forks: the same tree again and again, from a source that may be at work, and nothing copied that can be shared."""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Command, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.disk.shelf import Shelf
from nightmill.sandbox.live import LiveSandbox
from tests.sandbox.box import Box, Within
from tests.sandbox.programs import CHURN, SERVICE
from tests.sandbox.views import look, same


async def opened(sandboxes: BubblewrapSandboxes, place: Place, directory: Path, snapshot: str) -> Box:
    found = replace(place, directory=directory, snapshot=snapshot)
    sandbox = await sandboxes.open(found)
    assert isinstance(sandbox, LiveSandbox)
    return Box(sandbox, found)


@pytest.mark.parametrize("seed", ["dew"])
def test_forks_of_forks_are_what_was_seen_when_the_snapshot_was_taken(
    place: Place, sandboxes: BubblewrapSandboxes, tmp_path: Path, seed: str
) -> None:
    pick = random.Random(seed)

    async def story() -> None:
        known: list[tuple[Path, str, dict[str, Any]]] = []
        directory, snapshot, seen = place.directory, "", dict[str, Any]()
        for generation in range(5):
            box = await opened(sandboxes, place, directory, snapshot)
            try:
                if generation:
                    assert same(await look(box.sandbox), seen)
                for turn in range(3):
                    assert (await box.python(CHURN, f"{generation * 10 + turn}", seed)).exit == 0
                    seen = await look(box.sandbox)
                    snapshot = await box.sandbox.snapshot()
                    known.append((directory, snapshot, seen))
                source, taken, seen = pick.choice(known)
                directory = tmp_path / f"fork{generation}"
                snapshot = await sandboxes.fork(source=source, snapshot=taken, directory=directory)
            finally:
                await box.sandbox.close()
        for number, (source, taken, seen) in enumerate(pick.sample(known, 4)):
            snapshot = await sandboxes.fork(source=source, snapshot=taken, directory=tmp_path / f"again{number}")
            box = await opened(sandboxes, place, tmp_path / f"again{number}", snapshot)
            assert same(await look(box.sandbox), seen)
            await box.python(CHURN, "99", seed)
            await box.sandbox.roll_back(snapshot)
            assert same(await look(box.sandbox), seen)
            await box.sandbox.close()

    asyncio.run(story())


def test_a_live_source_with_a_service_is_forked_and_goes_on(
    place: Place, sandboxes: BubblewrapSandboxes, within: Within, tmp_path: Path
) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("for i in $(seq 60); do echo $i > repo/$i; done")
        ready = asyncio.Event()
        service = Command(argv=("/usr/bin/python3", "-c", SERVICE), cwd="/work")
        running = asyncio.create_task(box.sandbox.run(service, output=lambda _: ready.set()))
        await ready.wait()
        taken = await box.sandbox.snapshot()
        names = [tmp_path / f"fork{number}" for number in range(4)]
        made = [sandboxes.fork(source=box.place.directory, snapshot=taken, directory=name) for name in names]
        forks = [
            await opened(sandboxes, place, name, snapshot)
            for name, snapshot in zip(names, await asyncio.gather(*made), strict=True)
        ]
        seen = [await look(fork.sandbox) for fork in forks]
        assert seen[0] == seen[1] == seen[2] == seen[3]
        assert "'/work/repo/60'" in seen[0]
        assert len(Shelf(tmp_path / "shelf").layers()) == 1, "what they share is there once"
        await forks[0].sh("echo mine > repo/1")
        assert (await forks[1].sh("cat repo/1")).text == (await box.sh("cat repo/1")).text == "1\n"
        assert not running.done()
        for fork in forks:
            await fork.sandbox.close()
        running.cancel()

    within(scenario, sandboxes=sandboxes)


def test_a_layer_stays_until_its_last_holder_is_destroyed(
    place: Place, sandboxes: BubblewrapSandboxes, within: Within, tmp_path: Path
) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("for i in $(seq 60); do echo $i > repo/$i; done")
        taken = await box.sandbox.snapshot()
        shelf, one, two = Shelf(tmp_path / "shelf"), tmp_path / "one", tmp_path / "two"
        first = await sandboxes.fork(source=place.directory, snapshot=taken, directory=one)
        second = await sandboxes.fork(source=one, snapshot=first, directory=two)
        (layer,) = shelf.layers()
        assert set(shelf.holders(layer)) == {place.directory, one, two}
        assert not shelf.drop(layer)
        await sandboxes.destroy(one)
        await sandboxes.destroy(one)
        assert not one.exists()
        fork = await opened(sandboxes, place, two, second)
        assert (await fork.sh("cat repo/60")).text == "60\n"
        with pytest.raises(SandboxError, match="in use"):
            await sandboxes.destroy(two)
        await fork.sandbox.close()
        await sandboxes.destroy(two)
        assert set(shelf.holders(layer)) == {place.directory}
        assert (await box.sh("cat repo/60")).text == "60\n"

    within(scenario, sandboxes=sandboxes)


def test_a_little_is_shared_as_the_packs_that_it_is(
    place: Place, sandboxes: BubblewrapSandboxes, within: Within, tmp_path: Path
) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("echo one > repo/file")
        taken = await box.sandbox.snapshot()
        fork = tmp_path / "fork"
        assert await sandboxes.fork(source=place.directory, snapshot=taken, directory=fork) == taken
        assert (fork / "packs" / taken).samefile(place.directory / "packs" / taken)
        assert Shelf(tmp_path / "shelf").layers() == []
        other = await opened(sandboxes, place, fork, taken)
        assert same(await look(other.sandbox), await look(box.sandbox))
        await other.sandbox.close()

    within(scenario, sandboxes=sandboxes)


def test_a_fork_that_cannot_be_made_leaves_no_half_layer(
    place: Place, sandboxes: BubblewrapSandboxes, within: Within, tmp_path: Path
) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("for i in $(seq 60); do head -c 5000 /dev/urandom > repo/$i; done")
        taken = await box.sandbox.snapshot()
        pack = place.directory / "packs" / taken
        whole = pack.read_bytes()
        pack.write_bytes(bytes(4096) + whole[4096:])
        with pytest.raises(SandboxError, match="damaged"):
            await sandboxes.fork(source=place.directory, snapshot=taken, directory=tmp_path / "fork")
        assert Shelf(tmp_path / "shelf").layers() == []
        assert not list((tmp_path / "shelf").glob(".new-*"))
        pack.write_bytes(whole)
        snapshot = await sandboxes.fork(source=place.directory, snapshot=taken, directory=tmp_path / "fork")
        fork = await opened(sandboxes, place, tmp_path / "fork", snapshot)
        assert same(await look(fork.sandbox), await look(box.sandbox))
        await fork.sandbox.close()

    within(scenario, sandboxes=sandboxes)


def test_a_layer_that_is_gone_is_said_so(place: Place, sandboxes: BubblewrapSandboxes, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    with pytest.raises(SandboxError, match="not on the shelf"):
        shelf.hold(["0123456789abcdef"], place.directory)
    with pytest.raises(SandboxError, match="no shelf"):
        asyncio.run(BubblewrapSandboxes().fork(source=place.directory, snapshot="x", directory=tmp_path / "fork"))


def test_a_holder_whose_folder_is_gone_holds_nothing(tmp_path: Path) -> None:
    shelf, holder = Shelf(tmp_path / "home" / "layers"), tmp_path / "home" / "runs" / "one"
    holder.mkdir(parents=True)
    shelf.put("layer", holder, os.mkdir)
    (tmp_path / "home").rename(tmp_path / "moved")
    moved = Shelf(tmp_path / "moved" / "layers")
    assert moved.holders("layer") == [tmp_path / "moved" / "runs" / "one"]
    assert not moved.drop("layer")
    (tmp_path / "moved" / "runs" / "one").rmdir()
    assert moved.drop("layer")
    assert moved.layers() == []
