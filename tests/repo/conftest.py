"""Repositories to work on: an owner's checkout and a hub, made by the real git."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nightmill.repo import Hub

OWNER = {
    "GIT_AUTHOR_NAME": "Olga Owner",
    "GIT_AUTHOR_EMAIL": "olga@example.org",
    "GIT_COMMITTER_NAME": "Olga Owner",
    "GIT_COMMITTER_EMAIL": "olga@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
}

Owner = Callable[..., str]


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    """Run git as the owner in a folder: owner("commit", …, at=folder, stdin=…)."""

    def run(*args: str, at: Path = tmp_path / "checkout", stdin: bytes = b"") -> str:
        ran = subprocess.run(["git", *args], cwd=at, env=OWNER, input=stdin, capture_output=True, check=False)
        assert ran.returncode == 0, ran.stderr.decode()
        return ran.stdout.decode("utf-8", "surrogateescape").strip()

    return run


@pytest.fixture
def checkout(tmp_path: Path, owner: Owner) -> Path:
    """The owner's checkout with one commit on main."""
    root = tmp_path / "checkout"
    root.mkdir()
    owner("init", "-q", "-b", "main")
    (root / "app.py").write_text("print('hello')\n")
    (root / "notes.txt").write_text("one\ntwo\nthree\n")
    owner("add", ".")
    owner("commit", "-q", "-m", "begin")
    return root


@pytest.fixture
def hub(tmp_path: Path, checkout: Path) -> Hub:
    """A hub whose main is the checkout's."""
    made = Hub(tmp_path / "home" / "project.git")
    made.create()
    made.advance("main", made.take(checkout, "main"))
    return made
