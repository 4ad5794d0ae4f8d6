"""A project with a hub and a forge on a real database."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nightmill.forge import PullRequest
from nightmill.forge.local import LocalForge
from nightmill.repo import Hub
from nightmill.store.database import Database


@dataclass(frozen=True, kw_only=True)
class Agent:
    name: str = "nightmill developer"
    email: str = "developer@nightmill.invalid"
    key: Path | None = None


@dataclass(kw_only=True)
class Desk:
    """One project with its hub, and a way to make proven changes."""

    url: str
    hub: Hub
    forge: LocalForge
    project: str
    count: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def tree(self, files: dict[str, str]) -> str:
        lines = ""
        for name, body in sorted(files.items()):
            blob = self.hub.must("hash-object", "-w", "--stdin", stdin=body.encode()).out.decode().strip()
            lines += f"100644 blob {blob}\t{name}\n"
        return self.hub.must("mktree", stdin=lines.encode()).out.decode().strip()

    def files(self, commit: str) -> dict[str, str]:
        return {file.path: self.hub.show(commit, file.path).decode() for file in self.hub.files(commit)}

    def request(
        self, *, passed: bool = True, key: str = "", on: PullRequest | None = None, **files: str
    ) -> PullRequest:
        """A branch with *files* on top of main or of the pull request *on*, not opened yet."""
        run = key or f"run-{next(self.count)}"
        base = on.head if on else self.hub.commit_of("main")
        tree = self.tree({**self.files(base), **files})
        head = self.hub.commit(tree, parents=[base], message="work", author=Agent(), when=1_700_000_000)
        if self.hub.resolve(f"nightmill/{run}") is None:
            self.hub.branch(f"nightmill/{run}", head, expected_old="")
        return PullRequest(
            key=f"{self.project}-{run}",
            project=self.project,
            title="Say hello",
            body="body",
            branch=f"nightmill/{run}",
            target=on.branch if on else "main",
            head=head,
            base=base,
            tree=tree,
            verdict="blob",
            author="nightmill developer <developer@nightmill.invalid>",
            passed=passed,
            run=run,
        )


@pytest.fixture
def desk(url: str, tmp_path: Path) -> Iterator[Desk]:
    """A project whose main has one file."""
    database = Database.open(url)
    hub = Hub(tmp_path / "hub.git")
    hub.create()
    ticks = itertools.count(1_700_000_100)
    clock: Callable[[], Any] = lambda: float(next(ticks))  # noqa: E731 - a clock of its own for each desk
    made = Desk(url=url, hub=hub, forge=LocalForge(database, lambda _: hub, clock=clock), project="shop")
    begin = made.tree({"app.py": "one\ntwo\nthree\n"})
    hub.branch("main", hub.commit(begin, parents=[], message="begin", author=Agent(), when=1), expected_old="")
    yield made
    database.close()
