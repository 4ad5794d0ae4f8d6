"""Repositories with real history, a hub, and a site whose sandboxes are real."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nightmill.estate import Detected, Site, detect
from nightmill.estate.file import parse
from nightmill.estate.write import render
from nightmill.repo import Hub
from nightmill.sandbox import Command, Workspace
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes

Write = Callable[..., str]


def look(root: Path, files: dict[str, str]) -> Detected:
    """What is detected in *root* once it holds *files*; what would be written down of it can be read."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    found = detect(root, list(files))
    parse(render(found).encode(), root=root)
    return found


def quiet(_: str) -> None:
    """Nobody listens."""


async def shell(workspace: Workspace, script: str) -> str:
    return (await workspace.run(Command(argv=("bash", "-c", script)))).text.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The owner's checkout."""
    root = tmp_path / "Own Project"
    root.mkdir()
    return root


@pytest.fixture
def commit(root: Path) -> Write:
    """`commit({name: text})` writes the files into the checkout, commits them and returns the commit."""

    def git(*args: str) -> str:
        identity = ("-c", "user.name=o", "-c", "user.email=o@o", "-c", "init.defaultBranch=main")
        return subprocess.run(
            ["git", *identity, *args], cwd=root, check=True, capture_output=True, text=True
        ).stdout.strip()

    def write(files: dict[str, str]) -> str:
        git("init", "-q")
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git("add", "-A")
        git("commit", "-q", "-m", "x")
        return git("rev-parse", "HEAD")

    return write


@pytest.fixture
def hub(tmp_path: Path, root: Path) -> Hub:
    """The hub; take commits in with `hub.take(root, "HEAD")`."""
    hub = Hub(tmp_path / "hub.git")
    hub.create()
    return hub


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    """This machine; a test may name what makes its sandboxes."""
    make = getattr(request, "param", BubblewrapSandboxes)
    home = tmp_path / "home"
    home.mkdir()
    variables = dict(os.environ)  # noqa: TID251 - the door of the tests
    return Site(home=home, sandboxes=make(), variables=variables)


@pytest.fixture
def take(commit: Write, hub: Hub, root: Path) -> Write:
    """Commit files and bring them into the hub."""

    def taken(files: dict[str, str]) -> str:
        made = commit(files)
        hub.take(root, "HEAD")
        return made

    return taken
