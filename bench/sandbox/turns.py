"""What keeping every turn costs: snapshots of a sandbox that lives on, and the way back to any of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

from bench.figures import Figure, spread
from bench.sandbox.ground import Ground, Timer, path_of, sh
from nightmill.sandbox import Command, Workspace

__all__ = ["EDITED", "back", "edit", "snapshots"]

EDITED, CACHED = 5, 2_000

EDIT = "import sys\nfor path in sys.argv[1:]:\n    with open(path, 'a') as file:\n        file.write('# changed\\n')\n"

CACHE = (
    "import os, sys\nos.makedirs(sys.argv[1])\nfor number in range(int(sys.argv[2])):\n"
    "    with open(f'{sys.argv[1]}/{number}', 'wb') as file:\n        file.write(os.urandom(4096))\n"
)


def snapshots(ground: Ground) -> Iterator[Figure]:
    """Of a turn that edits five files, of one that writes a cache, of one that changed nothing."""
    edits, nothing, entries = asyncio.run(_edits(ground))
    name = f"live snapshot of a turn that edits {EDITED} files"
    told = f"the upper layer grows to {entries} entries"
    yield Figure(name=name, unit=" ms", values=spread(edits, scale=1000), goal=8.0, detail=told)
    yield Figure(name="live snapshot of a turn that changed nothing", unit=" ms", values=spread(nothing, scale=1000))
    caches = [asyncio.run(_cache(ground)) for _ in range(ground.rounds(11))]
    name = f"live snapshot of a turn that writes {CACHED:,} cache files"
    yield Figure(name=name, unit=" ms", values=spread(caches, scale=1000), goal=120.0)


async def _edits(ground: Ground) -> tuple[list[float], list[float], int]:
    edits, nothing = [], []
    async with ground.sandbox("edits") as sandbox:
        await sandbox.snapshot()
        for turn in range(ground.rounds(100)):
            await edit(sandbox, ground, turn)
            with Timer() as one:
                await sandbox.snapshot()
            with Timer() as other:
                await sandbox.snapshot()
            edits.append(one.seconds)
            nothing.append(other.seconds)
        entries = sum(1 for _ in (ground.home / "runs" / "edits" / "upper").rglob("*"))
    return edits, nothing, entries


async def _cache(ground: Ground) -> float:
    async with ground.sandbox("cache") as sandbox:
        await edit(sandbox, ground, 0)
        await sandbox.snapshot()
        written = await sandbox.run(Command(argv=("python3", "-c", CACHE, ".cache/one", str(CACHED))))
        assert written.exit == 0, written.text
        with Timer() as timer:
            await sandbox.snapshot()
    return timer.seconds


async def edit(sandbox: Workspace, ground: Ground, turn: int) -> None:
    """Change files somewhere in the repository, by a command as an agent gives it."""
    pick = random.Random(turn)
    paths = [path_of(pick.randrange(ground.files)) for _ in range(EDITED)]
    done = await sandbox.run(Command(argv=("python3", "-c", EDIT, *paths)))
    assert done.exit == 0, done.text


def back(ground: Ground) -> Iterator[Figure]:
    """Back and forth between some twenty turns out of a hundred, until the first command there has ended."""
    found = asyncio.run(_back(ground))
    yield Figure(
        name="rollback to any turn of 100, until it answers", unit=" ms", values=spread(found, scale=1000), goal=300.0
    )


async def _back(ground: Ground) -> list[float]:
    place = ground.place("back")
    turns = ground.rounds(100)
    sandbox = await ground.sandboxes.open(place)
    taken = []
    for turn in range(turns):
        await edit(sandbox, ground, turn)
        taken.append(await sandbox.snapshot())
    found = []
    for turn in [*range(0, turns, max(1, turns // 10)), *random.Random(0).choices(range(turns), k=10), turns - 1]:
        with Timer() as timer:
            await sandbox.roll_back(taken[turn])
            await sh(sandbox, "true")
        found.append(timer.seconds)
        assert await sandbox.snapshot() == taken[turn], "it is not what was there"
    await sandbox.close()
    await ground.sandboxes.destroy(place.directory)
    return found
