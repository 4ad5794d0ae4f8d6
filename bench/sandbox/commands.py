"""Commands: what one costs in a sandbox that is there, and until the first has ended in one that is not, beside srt."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.figures import Figure, spread
from bench.sandbox.ground import Ground, Timer, outside
from nightmill.sandbox import Command, Place
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


def srt(ground: Ground) -> Iterator[Figure]:
    """One command that does nothing, in the big repository: by srt, in a new sandbox of ours, in one that is there."""
    program = ground.home / "srt" / "node_modules" / ".bin" / "srt"
    if not program.exists():
        raise OSError((ground.home / "srt" / "why").read_text())
    theirs, cold, warm = asyncio.run(_three(ground, program))
    told = f"srt {median(theirs) * 1000:.0f} ms, ours {median(cold) * 1000:.3g} ms"
    yield _ratio("start of one command: srt over ours, a new sandbox for it", theirs, cold, told)
    told = f"srt {median(theirs) * 1000:.0f} ms, ours {median(warm) * 1000:.3g} ms"
    yield _ratio("start of one command: srt over ours, in the run’s sandbox", theirs, warm, told)
    name = "a new sandbox, its first command, its end and removal"
    yield Figure(name=name, unit=" ms", values=spread(cold, scale=1000))


async def _three(ground: Ground, program: Path) -> tuple[list[float], list[float], list[float]]:
    theirs, cold, warm = [], [], []
    env = {"PATH": os.defpath, "HOME": str(ground.home), "LANG": "C.UTF-8"}
    async with ground.sandbox("there") as there:
        for turn in range(ground.rounds(15) + 1):
            with Timer() as one:
                outside(program, "true", cwd=ground.repo, env=env)
            with Timer() as two:
                place = ground.place(f"cold{turn}")
                found = await _once(ground, place)
            assert found == 0
            with Timer() as three:
                await there.run(Command(argv=("true",)))
            if turn:
                theirs.append(one.seconds)
                cold.append(two.seconds)
                warm.append(three.seconds)
    return theirs, cold, warm


async def _once(ground: Ground, place: Place) -> int:
    """Open, one command, close: srt's own time has its end in it, too."""
    sandbox = await ground.sandboxes.open(place)
    try:
        return (await sandbox.run(Command(argv=("true",)))).exit
    finally:
        await sandbox.close()
        remove(place.directory)


def _ratio(name: str, theirs: list[float], ours: list[float], detail: str) -> Figure:
    ratios = [one / other for one, other in zip(theirs, ours, strict=True)]
    return Figure(name=name, unit=" times", values=spread(ratios), goal=20.0, detail=detail, floor=True)
