"""Sandboxes made, used and destroyed by the thousand, and what is left of them: nothing may be."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from bench.figures import Figure, spread
from bench.process import below, memory
from bench.sandbox.ground import Ground, Timer
from bench.stage import adopt_orphans
from nightmill.sandbox import Command, Limits, Place, Workspace
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.live import LiveSandbox

__all__ = ["CYCLES", "Held", "Soak", "figures", "soak"]

CYCLES = 2_000

DEEDS = (
    "echo $RANDOM > kept; ls",
    "(setsid sleep 1000 >/dev/null 2>&1 &); (setsid setsid sleep 1000 >/dev/null 2>&1 &); true",
    "trap '' TERM INT HUP; sleep 1000 & exec 2>&1",
    "mkdir -p shut/in; echo x > shut/in/file; chmod 000 shut/in shut",
    "rm -rf shut kept; mkfifo pipe; ln -s /etc/passwd link",
    "for i in $(seq 30); do echo $i > many$i; done; ln many1 same",
    "cat /dev/zero | head -c 3000000",
    "kill -9 $PPID",
    "exit 3",
)
"""What commands of agents leave behind: daemons, folders that nobody may enter, output, and a keeper that was killed."""

WAYS = ("close", "close", "cancel", "timeout", "break", "again", "fork", "back")
"""How a sandbox's life goes: closed; with a command that is cancelled, too slow or still there; opened once more; forked;
rolled back."""

SHELF = "shelf"


class Held(NamedTuple):
    """What this process and this machine hold because of it."""

    processes: int
    mounts: int
    files: int
    descriptors: int
    threads: int
    groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """What was held before, and after all of it; seconds of each cycle, and MB that this process grew by."""

    before: Held
    after: Held
    seconds: list[float]
    grown: float

    @property
    def left(self) -> dict[str, int]:
        """What there is more of than before."""
        counts = zip(Held._fields, self.before, self.after, strict=True)
        return {name: after - before for name, before, after in counts if after > before}


def figures(ground: Ground) -> Iterator[Figure]:
    """A full soak, on the big repository."""
    adopt_orphans()
    found = asyncio.run(soak(ground.home / "soak", layer=ground.layer, cycles=ground.rounds(CYCLES), seed=1))
    name, cycles = "create, run, snapshot, fork, destroy", len(found.seconds)
    told = ", ".join(f"{count} {what}" for what, count in found.left.items()) or f"no {', '.join(Held._fields)}"
    values = spread([sum(found.left.values())])
    yield Figure(name=f"left after {cycles:,} times {name}", unit="", values=values, goal=1.0, detail=told)
    told = f"the process itself grew by {found.grown:.2g} MB"
    yield Figure(name=f"one time {name}", unit=" ms", values=spread(found.seconds, scale=1000), detail=told)


async def soak(home: Path, *, layer: Path, cycles: int, seed: int) -> Soak:
    """Make, use and destroy so many sandboxes below *home*; this process should be who adopts orphans."""
    pick = random.Random(seed)
    sandboxes = BubblewrapSandboxes(shelf=home / SHELF)
    sandboxes.ahead()
    assert sandboxes.spares is not None
    sandboxes.spares.pause = 0.0  # each has one made, of which some are taken and the others end unused
    made: set[Path] = set()
    warm = (
        _cycle(sandboxes, Place(directory=home / f"warm-{way}", layers=(layer,)), pick, way, made) for way in set(WAYS)
    )
    await asyncio.gather(*warm)  # at once: what is made as often as it is needed is made, threads of the pool among it
    await sandboxes.close()
    before, size, seconds = held(home, made), memory(os.getpid()).rss, []
    for number in range(cycles):
        with Timer() as timer:
            await _cycle(
                sandboxes, Place(directory=home / f"run{number}", layers=(layer,)), pick, pick.choice(WAYS), made
            )
        seconds.append(timer.seconds)
    await sandboxes.close()
    return Soak(before=before, after=held(home, made), seconds=seconds, grown=memory(os.getpid()).rss - size)


def held(home: Path, made: set[Path]) -> Held:
    """What is held now; *made* are control groups that were."""
    return Held(
        processes=len(below(os.getpid())),
        mounts=Path("/proc/self/mountinfo").read_text().count(str(home)),  # others' on this machine come and go
        files=sum(len(folders) + len(files) for _, folders, files in os.walk(home)) - empty_shelf(home / SHELF),
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        threads=threading.active_count(),
        groups=sum(folder.exists() for folder in made),
    )


def note(sandbox: Workspace, made: set[Path]) -> None:
    """Remember the control groups that a sandbox has now, if it has any."""
    assert isinstance(sandbox, LiveSandbox)
    if sandbox.processes and sandbox.processes.groups:
        made |= set(sandbox.processes.groups.top.folders)


def empty_shelf(shelf: Path) -> int:
    """What the first layer brings, and stays: the shelf and its lock."""
    return sum(path.exists() for path in (shelf, shelf / ".lock"))


async def _cycle(sandboxes: BubblewrapSandboxes, place: Place, pick: random.Random, way: str, made: set[Path]) -> None:
    """A sandbox's whole life, or that and a fork's, of which either may be destroyed first."""
    place.directory.mkdir(parents=True)
    snapshot = await _life(await sandboxes.open(place), pick, way, made)
    places = [place]
    if way == "again":
        await _life(await sandboxes.open(replace(place, snapshot=snapshot)), pick, "close", made)
    if way in {"again", "break", "fork"}:
        directory = place.directory.with_name(f"{place.directory.name}-fork")
        start = await sandboxes.fork(source=place.directory, snapshot=snapshot, directory=directory)
        places.append(replace(place, directory=directory, snapshot=start))
        await _life(await sandboxes.open(places[1]), pick, "back", made)
    for each in pick.sample(places, k=len(places)):
        await sandboxes.destroy(each.directory)


async def _life(sandbox: Workspace, pick: random.Random, way: str, made: set[Path]) -> str:
    """One sandbox, from its first command to its end, which is the *way* named; gives its last snapshot."""
    try:
        for deed in pick.choices(DEEDS, k=pick.randint(1, 4)):
            await sandbox.run(Command(argv=("bash", "-c", deed), cwd="/work"))
        snapshot = await sandbox.snapshot()
        await sandbox.write("/work/written", b"after the snapshot")
        endless = Command(argv=("sleep", "1000"), cwd="/work", limits=Limits(seconds=0.05 if way == "timeout" else 60))
        if way == "timeout":
            assert (await sandbox.run(endless)).stopped == "timeout"
        if way == "back":
            note(sandbox, made)
            await sandbox.roll_back(snapshot)
            assert await sandbox.snapshot() == snapshot
        if way in {"cancel", "break"}:
            running = asyncio.create_task(sandbox.run(endless))
            await sandbox.read("/work/written", limit=100)
            if way == "cancel":
                running.cancel()
            else:
                await sandbox.close()
            await asyncio.wait([running])
            if not running.cancelled():
                assert running.exception() is not None
    finally:
        note(sandbox, made)
        await sandbox.close()
    return snapshot
