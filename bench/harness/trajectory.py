"""What all agents are made to do: the same shell commands in the same repository, and what the endpoint saw of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.figures import spread
from bench.harness.peers import Peer, install
from bench.harness.watch import Used, watched
from bench.stage import GIT, Model, Stage

__all__ = ["LONG", "SHORT", "Told", "ours", "script", "theirs"]

FILES = {
    "calc.py": "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n",
    "test_calc.py": "import unittest\n\nimport calc\n\n\nclass Sums(unittest.TestCase):\n"
    "    def test_add(self):\n        self.assertEqual(calc.add(2, 3), 5)\n",
    "nightmill.yaml": "language: python\ninstall: []\nchecks:\n- {name: tests, run: python3 -m unittest -q, format: exit, seconds: 60}\n",
}
SPEC = """# Multiplying and dividing

## Problem

`calc` has no `mul` and no `div`.

## Requirements

- R1: `calc` MUST have `mul` and `div`.

## Acceptance criteria

- AC1 (R1): `calc.mul(2, 3)` returns `6`, and `calc.div(6, 3)` returns `2`.

## Out of scope

- Nothing else.

## Tests

Run `python3 -m unittest -q`.
"""
SHORT = (
    "pwd",
    "ls -la",
    "git status --short",
    "cat calc.py",
    "cat test_calc.py",
    "git log --oneline -5",
    "grep -n def calc.py",
    "printf '\\ndef mul(a, b):\\n    return a * b\\n' >> calc.py",
    "cat calc.py",
    "sed -i 's/return a - b/return a - b  # sub/' calc.py",
    "git diff --stat",
    "printf '\\ndef div(a, b):\\n    return a / b\\n' >> calc.py",
    "wc -l calc.py",
    "head -5 calc.py",
    "tail -5 calc.py",
    "grep -c return calc.py",
    "git diff | head -40",
    "ls",
    "git add -A",
    "git status --short",
)
"""The twenty commands of notes on peers: looks, and now and then a small change."""

TESTS = {
    "text": "I run the tests.",
    "tool_calls": [{"name": "run_command", "arguments": {"command": "python3 -m unittest -q"}}],
}
SIZES = (900, 6_500, 1_500, 11_000, 400, 4_000, 8_500, 2_200, 300, 7_000)
"""Characters of what commands print on the longer way, in turn: listings and searches, files, output of tests."""
LONG = (
    *(f"seq -w {turn}000 {turn}999999 | head -c {SIZES[turn % len(SIZES)]}" for turn in range(10, 108)),
    *(command for command in SHORT if command.startswith("printf")),
)
"""A hundred commands that print about 4.2 kB each, every time other text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one way through the trajectory showed.

    Attributes:
        start: Seconds from the start of the program to its first request with a tool to run.
        gap: Median milliseconds from the last byte of a reply to the next request.
        given: Input tokens of all requests together, and of them those from the cache.
    """

    used: Used
    start: float
    gap: float
    p90: float
    given: int
    cached: int
    requests: int
    largest: int


def script(commands: tuple[str, ...]) -> dict[str, Any]:
    """For any agent: the commands through whatever shell tool it offers, then its way to end."""
    shells = [{"text": "I run it.", "tool_calls": [{"shell": command}]} for command in commands]
    evidence = [{"criterion": "AC1", "by": "python3 -m unittest -q"}]
    finish = {"name": "finish", "arguments": {"summary": "calc has mul and div.", "evidence": evidence}}
    end = {"text": "Done.", "tool_calls": [finish]}
    submit = {"text": "That is all.", "tool_calls": [{"shell": "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"}]}
    return {
        "roles": {
            "developer": {"system": "You are the developer", "turns": [*shells, TESTS, end], "end": end},
            "mini": {"user": "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT", "turns": [*shells, submit]},
            "title": {"system": ["title generator", "generate a title"], "turns": [], "end": {"text": "A title"}},
            "default": {"turns": shells, "end": {"text": "All is done."}},
        }
    }


def repository(folder: Path) -> Path:
    """The repository as new."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    for words in (("init", "-q", "-b", "main"), ("add", "--all"), ("commit", "-q", "-m", "Sums")):
        subprocess.run(["git", *words], cwd=folder, env={**os.environ, **GIT}, check=True)
    return folder


def theirs(peer: Peer, model: Model, *, folder: Path) -> Told:
    """*peer* on the way; its home is kept from time to time, so that its caches are warm."""
    place, home = install(peer), folder / f"home-{peer.name}"
    home.mkdir(parents=True, exist_ok=True)
    for name, text in peer.files(model.url).items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    repo, seen = repository(folder / f"repo-{peer.name}"), len(model.requests())
    own = {"HOME": str(home), "PWD": str(repo), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb"}
    homes = {f"XDG_{each}_HOME": str(home / f".{each.lower()}") for each in ("CONFIG", "DATA", "CACHE", "STATE")}
    environment: Mapping[str, str] = {**own, **homes, **peer.environment(home, model.url)}
    used = watched(
        peer.command(place, model.url), folder=repo, environment=environment, said=folder / f"{peer.name}.log"
    )
    return _told(used, model.requests(after=seen), name=peer.name)


def ours(stage: Stage, model: Model, *, beside: Sequence[int] = ()) -> Told:
    """Nightmill on the way, from its command to its pull request; its worker may be there *beside* the command."""
    spec, seen = stage.folder / "CALC.md", len(model.requests())
    spec.write_text(SPEC)
    command = [sys.executable, "-m", "nightmill.cli", "run", str(spec), *stage.named(model)]
    said = stage.folder / "run.log"
    used = watched(command, folder=stage.repo, environment=stage.environment, said=said, beside=beside)
    if used.status:
        raise OSError(f"nightmill ended with {used.status}: {(stage.folder / 'run.log').read_text()[-300:]}")
    return _told(used, model.requests(after=seen), name="nightmill")


def _told(used: Used, requests: list[dict[str, Any]], *, name: str) -> Told:
    asked = sorted(
        (each for each in requests if each.get("n_tools") and each["status"] == 200), key=lambda each: each["t_in"]
    )
    if len(asked) < len(SHORT):
        raise OSError(f"{name} made {len(asked)} requests and ended with {used.status}")
    gaps = spread([after["t_in"] - before["t_out"] for before, after in pairwise(asked)], scale=1000)
    return Told(
        used=used,
        start=asked[0]["t_in"] - used.started,
        gap=gaps.median,
        p90=gaps.p90,
        given=sum(each["input_tokens"] for each in asked),
        cached=sum(each["cached_tokens"] for each in asked),
        requests=len(asked),
        largest=max(each["bytes_in"] for each in asked),
    )
