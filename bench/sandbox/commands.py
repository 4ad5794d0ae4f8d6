"""Commands: what one costs in a sandbox that is there, and until the first has ended in one that is not, beside srt."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.figures import Figure, spread
from bench.process import below
from bench.sandbox.crowd import MemoryOf
from bench.sandbox.ground import Ground, Timer, outside
from nightmill.sandbox import Command, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.disk.layers import remove

__all__ = ["PACKAGE", "bare", "install", "srt"]

COMMANDS = {"true": ("true",), "a shell that lists a folder": ("bash", "-c", "ls"), "Python": ("python3", "-c", "pass")}

PACKAGE = "@anthropic-ai/sandbox-runtime"

NEEDED = ("npm", "node", "bwrap", "socat", "rg")


def bare(ground: Ground) -> Iterator[Figure]:
    """The same program started by the host and in a warm sandbox, turn by turn."""
    pairs = asyncio.run(_pairs(ground))
    for name, found in pairs.items():
        detail = f"bare {median(each for each, _ in found) * 1000:.2g} ms, inside {median(each for _, each in found) * 1000:.2g} ms"
        values = spread([inside - alone for alone, inside in found], scale=1000)
        yield Figure(
            name=f"a command in a warm sandbox over the bare one: {name}",
            unit=" ms",
            values=values,
            goal=10.0,
            detail=detail,
        )


async def _pairs(ground: Ground) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    async with ground.sandbox("warm") as sandbox:
        for turn in range(ground.rounds(100) + 1):
            for name, argv in COMMANDS.items():
                with Timer() as alone:
                    outside(*argv, cwd=ground.repo)
                with Timer() as inside:
                    await sandbox.run(Command(argv=argv))
                if turn:  # the first one warms
                    found[name].append((alone.seconds, inside.seconds))
    return found


def install(folder: Path) -> str:
    """Have npm put srt into *folder*; why not, if it cannot be."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        return f"{', '.join(missing)} not installed"
    words = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return f"npm cannot install {PACKAGE}: {done.stderr.strip()[-200:]}" if done.returncode else ""


def srt(ground: Ground, memory_of: MemoryOf) -> Iterator[Figure]:
    """One command that does nothing, in the big repository: by srt, in a new sandbox of ours, in one that is there.

    New ones are measured twice: started when asked for, and given the spare that a worker has for the next.
    """
    program = ground.home / "srt" / "node_modules" / ".bin" / "srt"
    if not program.exists():
        raise OSError((ground.home / "srt" / "why").read_text())
    found = asyncio.run(_turns(ground, program, memory_of))
    theirs = [each.theirs for each in found]
    for name, ours in (
        ("a new sandbox for it", [each.cold for each in found]),
        ("a new sandbox for it, of which a spare is ready", [each.spare for each in found]),
        ("in the run’s sandbox", [each.warm for each in found]),
    ):
        told = f"srt {median(theirs) * 1000:.0f} ms, ours {median(ours) * 1000:.3g} ms"
        yield _ratio(f"start of one command: srt over ours, {name}", theirs, ours, told)
    name = "a new sandbox, its first command, its end and removal"
    yield Figure(name=name, unit=" ms", values=spread([each.cold for each in found], scale=1000))
    yield Figure(
        name=f"{name}, of which a spare is ready", unit=" ms", values=spread([each.spare for each in found], scale=1000)
    )
    yield Figure(name="a spare: memory, PSS", unit=" MB", values=spread([each.held for each in found]), goal=3.0)


class Turn(NamedTuple):
    """Seconds of each way once, and the MB that the spare held."""

    theirs: float
    cold: float
    spare: float
    warm: float
    held: float


async def _turns(ground: Ground, program: Path, memory_of: MemoryOf) -> list[Turn]:
    found = []
    env = {"PATH": os.defpath, "HOME": str(ground.home), "LANG": "C.UTF-8"}
    ahead = BubblewrapSandboxes(shelf=ground.home / "shelf")
    ahead.ahead()
    async with ground.sandbox("there") as there:
        for turn in range(ground.rounds(15) + 1):
            with Timer() as one:
                outside(program, "true", cwd=ground.repo, env=env)
            with Timer() as two:
                await _once(ground.sandboxes, ground.place(f"cold{turn}"))
            held = memory_of(await _ready(ahead)) if turn else 0.0
            with Timer() as three:
                await _once(ahead, ground.place(f"spare{turn}"))
            with Timer() as four:
                await there.run(Command(argv=("true",)))
            await _ready(ahead)  # nothing of it is to be in the next turn's way
            if turn:
                found.append(Turn(one.seconds, two.seconds, three.seconds, four.seconds, held))
    await ahead.close()
    return found


async def _ready(ahead: BubblewrapSandboxes) -> list[int]:
    """Wait for the spare; its processes."""
    assert ahead.spares is not None
    while ahead.spares.spare is None:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)
    processes, sock = ahead.spares.spare.started
    while not select.select([sock], [], [], 0)[0]:  # noqa: ASYNC110 - what there is to read is another's
        await asyncio.sleep(0.01)
    return [processes.process.pid, *below(processes.process.pid)]


async def _once(sandboxes: BubblewrapSandboxes, place: Place) -> None:
    """Open, one command, close: srt's own time has its end in it, too."""
    sandbox = await sandboxes.open(place)
    try:
        assert (await sandbox.run(Command(argv=("true",)))).exit == 0
    finally:
        await sandbox.close()
        remove(place.directory)


def _ratio(name: str, theirs: list[float], ours: list[float], detail: str) -> Figure:
    ratios = [one / other for one, other in zip(theirs, ours, strict=True)]
    return Figure(name=name, unit=" times", values=spread(ratios), goal=20.0, detail=detail, floor=True)
