"""Whether a snapshot is what was there: random changes of all kinds beside a service that writes all the time.

python -m bench.sandbox.churn HOME TURNS SEED: one run of so many turns, each restored and compared; tells it as JSON
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from bench.figures import Figure, spread
from bench.sandbox.ground import Ground, Timer
from bench.sandbox.look import Looker, Looks, differences
from nightmill.sandbox import Command, Limits, Outcome, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.disk.build import restore
from nightmill.sandbox.disk.chain import stand
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.freeze import frozen, mapped
from nightmill.sandbox.live import LiveSandbox
from nightmill.sandbox.owner import give, owner
from tests.sandbox.programs import CHURN, SERVICE
from tests.sandbox.views import look, same

__all__ = ["Churn", "Taken", "figures"]

RUNS, TURNS, AT_ONCE = 10, 100, 2
"""Runs, each with another seed; turns of each; how many runs are made side by side."""

BACK = 10
"""After so many turns it goes back to some turn before."""


class Taken(NamedTuple):
    """A snapshot, the folder that it is in, and how the upper looked while all was held still for it."""

    directory: Path
    snapshot: str
    looks: Looks


def figures(ground: Ground) -> Iterator[Figure]:
    """A thousand turns in ten runs."""
    turns = ground.rounds(TURNS)
    with Timer() as timer, ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(lambda seed: _one(ground.home / f"churn{seed}", turns, seed), range(RUNS)))
    count, wrong = sum(each["turns"] for each in told), [path for each in told for path in each["wrong"]]
    most = {name: max(each[name] for each in told) for name in ("entries", "links", "shut")}
    detail = (
        f"every one of {count:,} restored and compared in {timer.seconds:.0f} s; up to {most['entries']} entries, "
        f"{most['links']} groups of hard links, {most['shut']} files of mode 000; {sum(each['whole'] for each in told)} "
        f"consolidations, "
        f"{sum(each['frozen'] for each in told)} uppers made layers, "
        f"{sum(each['back'] for each in told)} times gone back and compared on the spot{': ' + '; '.join(wrong[:5]) if wrong else ''}"
    )
    name = f"snapshots that differ from what was there, of {count:,} turns of churn beside a writing service"
    yield Figure(name=name, unit="", values=spread([len(wrong)]), goal=1.0, detail=detail)


def _one(home: Path, turns: int, seed: int) -> dict[str, Any]:
    words = [sys.executable, "-m", "bench.sandbox.churn", str(home), str(turns), str(seed)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(home: str, turns: str, seed: str) -> None:
    top = Path(home)
    top.mkdir()
    try:
        print(json.dumps(asyncio.run(whole(top, int(turns), seed))))
    finally:
        remove(top)


async def whole(home: Path, turns: int, seed: str) -> dict[str, Any]:
    """Churn, one half in a fork of the other, then restore each snapshot and compare."""
    log, layer = home / "looks", home / "layer"
    log.mkdir()
    build(layer)
    sandboxes = BubblewrapSandboxes(shelf=home / "shelf")
    place = Place(directory=home / "run", layers=(layer,))
    place.directory.mkdir()
    with Looker(log) as looker:
        first = await Churn(sandboxes, looker, seed).go(place, range(turns // 2))
        fork = home / "fork"
        start = await sandboxes.fork(source=place.directory, snapshot=first.taken[-1].snapshot, directory=fork)
        place = replace(place, directory=fork, snapshot=start)
        second = await Churn(sandboxes, looker, seed).go(place, range(turns // 2, turns))
        taken, wrong = [*first.taken, *second.taken], [*first.wrong, *second.wrong]
        for each in taken:
            found = looker.look(restored(home / "back", each))
            if found != each.looks:
                wrong.append(f"seed {seed}, {each.snapshot}: {differences(log, each.looks, found)[:3]}")
    return {
        "turns": len(taken),
        "wrong": wrong,
        "back": first.back + second.back,
        "frozen": len(first.layers) + len(second.layers),
        "whole": first.consolidated + second.consolidated,
        "entries": max(each.looks.entries for each in taken),
        "links": max(each.looks.links for each in taken),
        "shut": max(each.looks.shut for each in taken),
    }


def restored(home: Path, taken: Taken) -> Path:
    """The upper of a snapshot in a folder of its own, written as opening it would."""
    home.mkdir(exist_ok=True)
    (home / "packs").unlink(missing_ok=True)
    (home / "packs").symlink_to(taken.directory / "packs")
    restore(home, stand(home / "packs", taken.snapshot).chain, None)
    return home / "upper"


class Churn:
    """One sandbox in which things happen; each tenth turn it goes back to some turn before."""

    def __init__(self, sandboxes: BubblewrapSandboxes, looker: Looker, seed: str) -> None:
        self.sandboxes, self.looker, self.seed, self.pick = sandboxes, looker, seed, random.Random(seed)
        self.taken: list[Taken] = []
        self.wrong: list[str] = []
        self.layers: set[str] = set()
        self.back = self.consolidated = 0

    async def go(self, place: Place, turns: range) -> Churn:
        """Churn for *turns*, which are numbers of their own, so that no two are the same."""
        sandbox = await self.sandboxes.open(place)
        assert isinstance(sandbox, LiveSandbox)
        service = await serve(sandbox)
        try:
            for turn in turns:
                await self.turn(sandbox, turn)
                if turn % BACK == BACK - 1:
                    await self.go_back(sandbox)
                    await asyncio.gather(service, return_exceptions=True)  # it ended with what was there
                    service = await serve(sandbox)
        finally:
            await sandbox.close()
            await asyncio.gather(service, return_exceptions=True)
        return self

    async def turn(self, sandbox: LiveSandbox, turn: int) -> None:
        """Thirty changes, then what `snapshot` does, with a look at what is there while all is held still."""
        words = ("/usr/bin/python3", "-c", CHURN, str(turn), self.seed, "shut")
        done = await sandbox.run(Command(argv=words, cwd="/work"))
        assert done.exit == 0, done.text
        assert sandbox.processes is not None
        with frozen(sandbox.processes.init_pid) as pids:
            name = sandbox.packs.take(name=f"turn{turn}", hot=mapped(pids))
            looks = self.looker.look(sandbox.place.directory / "upper")
        self.taken.append(Taken(sandbox.place.directory, name, looks))
        if sandbox.packs.long:
            sandbox.packs.consolidate(name=f"whole{turn}")
            self.consolidated += 1

    async def go_back(self, sandbox: LiveSandbox) -> None:
        """To some turn: only what differs is written, so what is there then is compared, too."""
        wanted = self.pick.choice(self.taken)
        await sandbox.roll_back(wanted.snapshot)
        top = sandbox.place.directory / "upper"
        if wanted.snapshot in self.layers:  # it was made a layer, which is now below an empty upper
            assert self.sandboxes.host.shelf
            (top,) = self.sandboxes.host.shelf.paths(sandbox.packs.stand.layers[-1:])
        found = self.looker.look(top)
        if found != wanted.looks:
            self.wrong.append(
                f"seed {self.seed}, back to {wanted.snapshot}: {differences(self.looker.log, wanted.looks, found)[:3]}"
            )
        self.back += 1
        if self.back % 2:
            await self.freeze(sandbox)

    async def freeze(self, sandbox: LiveSandbox) -> None:
        """Have the upper become a layer, as a large one does while nothing runs; nothing inside may look different."""
        many, before, layers = sandbox.many, await look(sandbox), list(sandbox.packs.stand.layers)
        sandbox.many = 0
        newest = await sandbox.snapshot()
        await asyncio.gather(*sandbox.tasks)
        sandbox.many = many
        if sandbox.packs.stand.layers != layers:
            self.layers.add(newest)
        if not same(await look(sandbox), before):
            self.wrong.append(f"seed {self.seed}, a layer of turn {len(self.taken)}")


async def serve(sandbox: LiveSandbox) -> asyncio.Task[Outcome]:
    """Start what writes all the time; it ends with the sandbox."""
    ready = asyncio.Event()
    service = Command(argv=("/usr/bin/python3", "-c", SERVICE), cwd="/work", limits=Limits(seconds=3600))
    running = asyncio.create_task(sandbox.run(service, output=lambda _: ready.set()))
    await asyncio.wait([running, asyncio.ensure_future(ready.wait())], return_when=asyncio.FIRST_COMPLETED)
    assert ready.is_set(), running.exception() or running.result()
    return running


def build(layer: Path) -> None:
    """A small checkout, for files from below to be changed, moved and hidden."""
    pick = random.Random(0)
    for folder in ("gone", "lower/one", "lower/two/deep"):
        (layer / "repo" / folder).mkdir(parents=True)
        for number in range(4):
            (layer / "repo" / folder / f"file{number}").write_bytes(pick.randbytes(3000 * number))
    (layer / "repo" / "kept.txt").write_text("kept\n")
    give(layer, owner())


if __name__ == "__main__":
    main(*sys.argv[1:])
