"""The ground of every measurement: a big repository that is the same each time, and short words for sandboxes on it."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from nightmill.sandbox import Command, Limits, Outcome, Place, Workspace
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.owner import give, owner

__all__ = ["FILES", "GIT", "Ground", "Timer", "outside", "path_of", "sh"]

FILES = 50_000
"""Together with the objects in `.git` some 470 MB."""

WIDTH, SEED = 20, 1
"""Files per folder, folders per folder; what the contents are drawn from."""

WORDS = 2_000
MEDIAN, SPREAD = 8.2, 1.0
"""Of the sizes of files, as logarithms: half are below 3.6 kB, some are of 100 kB."""

WHO = b"Ada <ada@example.org> 1700000000 +0000"

GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.defpath, "LANG": "C.UTF-8"}
GIT |= {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}  # root's bases are given away


class Timer:
    """Seconds of a block."""

    def __enter__(self) -> Self:
        self.began, self.seconds = time.perf_counter(), 0.0
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self.began


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A folder of ours in which everything that is measured lives.

    Attributes:
        files: How many the repository has; fewer than `FILES` while one works on a measurement.
        share: Which part of the usual rounds is made, at least three.
    """

    home: Path
    files: int = FILES
    share: float = 1.0

    @property
    def layer(self) -> Path:
        """The base of all sandboxes."""
        return self.home / "layer"

    @property
    def repo(self) -> Path:
        """The repository: /work/repo inside."""
        return self.layer / "repo"

    @cached_property
    def sandboxes(self) -> BubblewrapSandboxes:
        """Who makes them."""
        return BubblewrapSandboxes(shelf=self.home / "shelf")

    def rounds(self, usual: int) -> int:
        """How often something is measured that is measured *usual* times in a full run."""
        return max(3, round(usual * self.share))

    def build(self) -> None:
        """Make the repository, with one commit; takes some twenty seconds."""
        self.repo.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.git("config", "gc.auto", "0")
        with subprocess.Popen(
            ["git", "-c", "core.compression=1", "fast-import", "--quiet"], cwd=self.repo, env=GIT, stdin=subprocess.PIPE
        ) as importing:
            assert importing.stdin is not None
            importing.stdin.writelines(stream(self.files))
        assert importing.returncode == 0
        self.git("reset", "-q", "--hard", "main")
        give(self.layer, owner())

    def git(self, *words: str) -> None:
        """Run git in the repository."""
        subprocess.run(["git", *words], cwd=self.repo, env=GIT, check=True, stdout=subprocess.DEVNULL)

    def place(self, name: str) -> Place:
        """A new run's folder *name* over the repository."""
        run = self.home / "runs" / name
        run.mkdir(parents=True)
        return Place(directory=run, layers=(self.layer,))

    @asynccontextmanager
    async def sandbox(self, name: str) -> AsyncIterator[Workspace]:
        """A sandbox over the repository; nothing is left of it."""
        place = self.place(name)
        sandbox = await self.sandboxes.open(place)
        try:
            yield sandbox
        finally:
            await sandbox.close()
            await asyncio.to_thread(remove, place.directory)


def path_of(number: int) -> str:
    """Where the file *number* is in the repository."""
    folder = number // WIDTH
    return f"part{folder // WIDTH // WIDTH}/group{folder // WIDTH % WIDTH}/{folder % WIDTH}/file{number}.py"


def outside(*argv: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> None:
    """Run a program on the host, which has to succeed."""
    subprocess.run(argv, cwd=cwd, env=env, capture_output=True, check=True)


async def sh(sandbox: Workspace, text: str, *, seconds: float = 60) -> Outcome:
    """Run shell text in the repository, which has to succeed."""
    found = await sandbox.run(Command(argv=("bash", "-c", text), limits=Limits(seconds=seconds)))
    assert found.exit == 0, found.text
    return found


def stream(files: int) -> Iterator[bytes]:
    """What `git fast-import` makes the repository of."""
    pick = random.Random(SEED)
    words = [bytes(pick.choices(b"abcdefghijklmnopqrstuvwxyz", k=pick.randint(2, 12))) for _ in range(WORDS)]
    lines = [b" ".join(pick.choices(words, k=8)) + b"\n" for _ in range(20 * WORDS)]
    average = sum(map(len, lines)) / len(lines)
    yield b"commit refs/heads/main\ncommitter %s\ndata 6\nFirst\n\n" % WHO
    for number in range(files):
        size = pick.lognormvariate(MEDIAN, SPREAD)
        body = b"".join(pick.choices(lines, k=1 + round(size / average)))
        yield b"M 100644 inline %s\ndata %d\n%s\n" % (path_of(number).encode(), len(body), body)
