"""A workspace of one's own on a big repository: ours beside what people use for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench.figures import Figure, spread
from bench.sandbox.ground import GIT, Ground, Timer, outside
from bench.sandbox.turns import EDITED, edit
from nightmill.sandbox import Command, Place, Workspace
from nightmill.sandbox.disk.layers import remove

__all__ = ["figures"]

WAYS = {
    "git worktree add": ("git", "worktree", "add", "-q", "--detach"),
    "git clone --shared": ("git", "clone", "-q", "--shared", "."),
    "cp -r": ("cp", "-r", "."),
}

FIRST = ("git", "rev-parse", "HEAD")
"""The first command in each."""

EDITS = 100
"""Files that the forked sandbox has changed."""


def figures(ground: Ground) -> Iterator[Figure]:
    """Each way once per round, five forks of a sandbox at work after each."""
    with asyncio.Runner() as runner:
        yield from _figures(ground, runner)


def _figures(ground: Ground, runner: asyncio.Runner) -> Iterator[Figure]:
    source = runner.run(Source.begin(ground))
    first = [runner.run(source.fork(again=False)) for _ in range(ground.rounds(10))]
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in WAYS}
    ratios: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(ground.rounds(3)):
        for name, words in WAYS.items():
            theirs[name].append(_theirs(ground, words, ground.home / "copy"))
            some = [runner.run(source.fork(again=True)) for _ in range(5)]
            ours += some
            ratios[name].append(theirs[name][-1] / median(some))
    runner.run(source.end())
    told = f"of a sandbox at work, {EDITS} files changed"
    values = spread(ours, scale=1000)
    yield Figure(name="fork and its first command", unit=" ms", values=values, goal=60.0, detail=told)
    told = "which writes it down as a layer"
    yield Figure(
        name="first fork of a snapshot and its first command", unit=" ms", values=spread(first, scale=1000), detail=told
    )
    for name, found in theirs.items():
        told = f"the median of the five forks after each; itself {median(found):.3g} s"
        goal = 200.0 if name == "git worktree add" else None
        yield Figure(
            name=f"`{name}` and its first command over ours",
            unit=" times",
            values=spread(ratios[name]),
            goal=goal,
            detail=told,
            floor=True,
        )


class Source:
    """A sandbox at work that is forked."""

    def __init__(self, ground: Ground, place: Place, sandbox: Workspace) -> None:
        self.ground, self.place, self.sandbox = ground, place, sandbox
        self.number, self.snapshot = 0, ""

    @classmethod
    async def begin(cls, ground: Ground) -> Source:
        """One that has changed some files."""
        place = ground.place("source")
        source = cls(ground, place, await ground.sandboxes.open(place))
        for turn in range(EDITS // EDITED):
            await edit(source.sandbox, ground, turn)
        source.snapshot = await source.sandbox.snapshot()
        return source

    async def fork(self, *, again: bool) -> float:
        """Seconds from the wish to the end of the first command; of a new snapshot, or *again* of the one before."""
        if not again:
            await edit(self.sandbox, self.ground, 1000 + self.number)
            self.snapshot = await self.sandbox.snapshot()
        self.number += 1
        directory = self.ground.home / "runs" / f"fork{self.number}"
        with Timer() as timer:
            start = await self.ground.sandboxes.fork(
                source=self.place.directory, snapshot=self.snapshot, directory=directory
            )
            fork = await self.ground.sandboxes.open(replace(self.place, directory=directory, snapshot=start))
            found = await fork.run(Command(argv=FIRST))
        assert found.exit == 0, found.text
        await fork.close()
        if again:  # else the layer would go, too, which is to be forked again
            await self.ground.sandboxes.destroy(directory)
        return timer.seconds

    async def end(self) -> None:
        """Nothing is left of it."""
        await self.sandbox.close()
        await self.ground.sandboxes.destroy(self.place.directory)


def _theirs(ground: Ground, words: Sequence[str], copy: Path) -> float:
    os.sync()  # what the one before left to be written is not this one's
    with Timer() as timer:
        outside(*words, copy, cwd=ground.repo, env=GIT)
        outside(*FIRST, cwd=copy, env=GIT)
    remove(copy)
    ground.git("worktree", "prune")
    os.sync()
    return timer.seconds
