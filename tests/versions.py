"""A project whose version is said twice, and what is done with it in tests that distil."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import whole
from tests.conftest import Scripted
from tests.whole import Mill

Play = Callable[..., Scripted]

FILES = {
    "VERSION": "1.2.0\n",
    "pkg.py": '"""A package."""\n\nVERSION = "1.2.0"\n',
    "test_pkg.py": (
        "import pathlib\nimport unittest\n\nimport pkg\n\n\nclass Version(unittest.TestCase):\n"
        "    def test_said_twice(self):\n"
        "        self.assertEqual(pathlib.Path('VERSION').read_text().strip(), pkg.VERSION)\n"
    ),
    ".gitignore": "__pycache__/\nlocal.cfg\n",
    "nightmill.yaml": whole.FILES["nightmill.yaml"],
}
SPEC = """# The version is 1.3.0

## Problem

A release is due, and the version is still `1.2.0`, in `VERSION` and in `pkg.py`.

## Requirements

- R1: `VERSION` and `pkg.VERSION` MUST be `1.3.0`.

## Acceptance criteria

- AC1 (R1): `VERSION` and `pkg.VERSION` hold `1.3.0`, and all existing tests pass.

## Out of scope

- Nothing else is changed.

## Tests

`test_pkg.py` compares the two.
"""


def shell(command: str) -> dict[str, Any]:
    return {"text": "I run it.", "tool_calls": [{"name": "run_command", "arguments": {"command": command}}]}


def edit(path: str, old: str, new: str) -> dict[str, Any]:
    return {"tool_calls": [{"name": "edit_file", "arguments": {"path": path, "edits": [{"old": old, "new": new}]}}]}


TRY = shell("python3 -m unittest -q")


def installed(folder: Path) -> Mill:
    """An installation with the project taken in; a spec is one task, and nobody plans it."""
    found = Mill(folder=folder, environment={"NIGHTMILL_PLAN": "single"})
    repo = whole.repository(folder / "repo", FILES)
    (folder / "SPEC.md").write_text(SPEC)
    done = found.run("init", at=repo)
    assert not done.returncode, done.stderr
    return found


def work(mill: Mill, model: Scripted, *words: str) -> str:
    """Run the spec to its pull request, and return the run's id."""
    named = ("--model", "anthropic:claude-sonnet-4-5", "--base-url", model.url)
    done = mill.run("run", mill.folder / "SPEC.md", *named, *words, at=mill.folder / "repo", seconds=120)
    assert not done.returncode, done.stdout + done.stderr
    with mill.door() as door:
        return next(each.id for each in door.runs.list() if each.kind == "spec")


def tree(mill: Mill, number: int) -> str:
    """The tree of a pull request."""
    pull = next(each for each in mill.json("prs", at=mill.folder / "repo") if each["number"] == number)
    (hub,) = mill.home.glob("projects/*/hub.git")
    return whole.git(hub, "rev-parse", f"{pull['head']}^{{tree}}")


def call(mill: Mill, *words: str) -> str:
    done = mill.run(*words, at=mill.folder / "repo", seconds=200)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout


def newest(mill: Mill) -> str:
    """The tree of the pull request that was opened last."""
    return tree(mill, max(each["number"] for each in mill.json("prs", at=mill.folder / "repo")))


def evidence(mill: Mill, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((mill.home / "proposals" / name / "evidence.json").read_text())
    return found
