"""A workspace of one's own on a big repository: ours beside what people use for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from bench.figures import Figure, spread
from bench.sandbox.ground import GIT, Ground, Timer, outside
from nightmill.sandbox import Command
from nightmill.sandbox.layers import remove

__all__ = ["figures"]

WAYS = {
    "git worktree add": ("git", "worktree", "add", "-q", "--detach"),
    "git clone --shared": ("git", "clone", "-q", "--shared", "."),
    "cp -r": ("cp", "-r", "."),
}

FIRST = ("git", "rev-parse", "HEAD")
"""The first command in each."""


def figures(ground: Ground) -> Iterator[Figure]:
    """Each way once per round, a sandbox of ours after each."""
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in WAYS}
    ratios: dict[str, list[float]] = {name: [] for name in WAYS}
    asyncio.run(_ours(ground, "first"))
    for turn in range(ground.rounds(3)):
        for name, words in WAYS.items():
            theirs[name].append(_theirs(ground, words, ground.home / "copy"))
            some = [asyncio.run(_ours(ground, f"turn{turn}-{number}")) for number in range(5)]
            ours += some
            ratios[name].append(theirs[name][-1] / median(some))
    yield Figure(
        name="a new sandbox on the repository and its first command",
        unit=" ms",
        values=spread(ours, scale=1000),
        goal=60.0,
    )
    for name, found in theirs.items():
        told = f"over the median of the five sandboxes after each; itself {median(found):.3g} s"
        goal = 200.0 if name == "git worktree add" else None
        yield Figure(
            name=f"`{name}` and its first command over ours",
            unit=" times",
            values=spread(ratios[name]),
            goal=goal,
            detail=told,
            floor=True,
        )


def _theirs(ground: Ground, words: Sequence[str], copy: Path) -> float:
    os.sync()  # what the one before left to be written is not this one's
    with Timer() as timer:
        outside(*words, copy, cwd=ground.repo, env=GIT)
        outside(*FIRST, cwd=copy, env=GIT)
    remove(copy)
    ground.git("worktree", "prune")
    os.sync()
    return timer.seconds


async def _ours(ground: Ground, name: str) -> float:
    place = ground.place(name)
    with Timer() as timer:
        sandbox = await ground.sandboxes.open(place)
        found = await sandbox.run(Command(argv=FIRST))
    assert found.exit == 0, found.text
    await sandbox.close()
    remove(place.directory)
    return timer.seconds
