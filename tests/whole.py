"""The whole of nightmill, as a person has it: a home, a small repository, workers, the command line.

Nothing of the environment that the tests run in goes in; what a test wants there it names.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from nightmill.cli.app import main
from nightmill.cli.door import Door
from nightmill.settings import load

PATIENCE = 60.0
"""Seconds after which something hangs."""

READS = {"blueprint", "budget", "prs", "runs", "settings", "show"}
"""Commands that only look, with `--json`."""

MODELS = {
    "anthropic": "anthropic:claude-sonnet-4-5",
    "openai": "openai:gpt-4o",
    "openai-responses": "openai-responses:gpt-5",
}
"""A model of each dialect."""

FILES = {
    "calc.py": '"""Sums."""\n\n\ndef add(a, b):\n    """Add two numbers."""\n    return a - b\n',
    "test_calc.py": (
        "import unittest\n\nimport calc\n\n\nclass Sums(unittest.TestCase):\n"
        "    def test_nothing_added(self):\n        self.assertEqual(calc.add(2, 0), 2)\n"
    ),
    ".gitignore": "__pycache__/\n",
    "nightmill.yaml": "language: python\nchecks:\n- {name: tests, run: python3 -m unittest -q, format: exit}\n",
}
"""A project that needs nothing but the Python that every sandbox shows, with a defect that its tests do not see."""

SPEC = """# Adding gives the sum{title}

## Problem

`calc.add` subtracts: `calc.add(2, 3)` returns `-1`.

## Requirements

- R1: `calc.add` MUST return the sum of its two arguments.

## Acceptance criteria

- AC1 (R1): `calc.add(2, 3)` returns `5`, and all existing tests pass.

## Out of scope

- No other function is added.

## Tests

Add a case to `test_calc.py`.
"""

PLAN = {
    "tasks": [
        {
            "id": "T1",
            "title": "Adding gives the sum",
            "instruction": "Make `calc.add` return the sum of its arguments.",
            "criteria": ["AC1"],
            "depends": [],
            "footprint": {"paths": ["calc.py"], "symbols": []},
        }
    ]
}

LOOK = {"text": "I look at it first.", "tool_calls": [{"name": "read_file", "arguments": {"path": "calc.py"}}]}
EDIT = {
    "text": "The sign is wrong.",
    "tool_calls": [
        {"name": "edit_file", "arguments": {"path": "calc.py", "edits": [{"old": "a - b", "new": "a + b"}]}}
    ],
}
TRY = {"text": "I try it.", "tool_calls": [{"name": "run_command", "arguments": {"command": "python3 -m unittest -q"}}]}
FINISH = {
    "text": "That is all.",
    "tool_calls": [
        {
            "name": "finish",
            "arguments": {
                "summary": "Add instead of subtract.",
                "evidence": [{"criterion": "AC1", "by": "python3 -m unittest"}],
            },
        }
    ],
}
WORK = (LOOK, EDIT, TRY, FINISH)
"""What a developer says who makes the spec true."""


def script(*turns: dict[str, Any], plan: dict[str, Any] | None = None) -> dict[str, Any]:
    """A script for the scripted model: an architect with one task, and a developer with *turns*."""
    return {
        "roles": {
            "architect": {
                "system": "You are the architect",
                "turns": [plan or {"text": json.dumps(PLAN)}],
            },
            "developer": {"system": "You are the developer", "turns": list(turns or WORK)},
        }
    }


def repository(folder: Path, files: Mapping[str, str] = FILES) -> Path:
    """A checkout with *files* in one commit on `main`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "The first commit")
    return folder


def adopted(folder: Path, model: str) -> Mill:
    """An installation in *folder* whose model is at the URL *model*: it has a project, `calc`, and a spec, `SPEC.md`, beside it."""
    checkout = repository(folder / "calc")
    (folder / "SPEC.md").write_text(SPEC.format(title=""))
    named = {"NIGHTMILL_MODEL": MODELS["anthropic"], "NIGHTMILL_BASE_URL": model, "NIGHTMILL_PLAN": "single"}
    made = Mill(folder=folder).given(**named)
    assert not made.run("init", at=checkout).returncode
    return made


def right_tree(folder: Path) -> str:
    """The tree that `WORK` makes of `FILES`; *folder* is for working it out."""
    right = {**FILES, "calc.py": FILES["calc.py"].replace("a - b", "a + b")}
    return git(repository(folder, right), "rev-parse", "HEAD^{tree}")


def commit(folder: Path, message: str) -> None:
    """Commit everything in *folder*."""
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)


def git(folder: Path, *args: str) -> str:
    """Run git as a person would, with a name and without a configuration."""
    name = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "protocol.file.allow=always")
    environment = {"PATH": os.defpath, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    done = subprocess.run(
        ["git", *name, *args], cwd=folder, env=environment, capture_output=True, check=False, stdin=subprocess.DEVNULL
    )
    assert not done.returncode, f"git {args}: {done.stderr.decode(errors='replace')}"
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def fingerprint(folder: Path) -> dict[bytes, tuple[Any, ...]]:
    """What *folder* holds: each name with its kind, mode, time of change and content, `.git` and its index too."""
    found: dict[bytes, tuple[Any, ...]] = {}
    for root, folders, names in os.walk(os.fsencode(folder)):
        for name in (*folders, *names):
            path = os.path.join(root, name)  # noqa: PTH118 - names may be no text
            state = os.lstat(path)
            link = os.readlink(path) if os.path.islink(path) else b""  # noqa: PTH114, PTH115 - the same
            regular = os.path.isfile(path) and not link  # noqa: PTH113 - the same
            body = hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).hexdigest() if regular else ""
            found[os.path.relpath(path, os.fsencode(folder))] = (state.st_mode, state.st_mtime_ns, link, body)
    return found


def wait_for(what: str, look: Callable[[], Any], *, seconds: float = PATIENCE) -> Any:
    """What *look* gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Mill:
    """One installation: everything of it is in *folder*.

    *before* are words before the command, such as those that make it another user's.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        """Nightmill's home."""
        return Path(self.environment.get("NIGHTMILL_HOME", self.folder / "mill"))

    @property
    def user(self) -> Path:
        """The home folder of the person."""
        return self.folder / "user"

    @property
    def log(self) -> Path:
        """What workers that `worker` started have said."""
        return self.folder / "worker.txt"

    def given(self, **environment: str) -> Mill:
        """The same installation, used with more *environment*."""
        return replace(self, environment={**self.environment, **environment})

    def variables(self) -> dict[str, str]:
        """The whole environment of a command."""
        self.user.mkdir(parents=True, exist_ok=True)
        ours = {"HOME": str(self.user), "NIGHTMILL_HOME": str(self.home), "PATH": os.defpath, "LC_ALL": "C.UTF-8"}
        return {**ours, "ANTHROPIC_API_KEY": "key", "OPENAI_API_KEY": "key", **self.environment}

    def run(
        self, *args: str | Path, at: Path | None = None, seconds: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        """One command, to its end."""
        return subprocess.run(
            [*self.before, *self.command(), *map(str, args)],
            cwd=at or self.folder,
            env=self.variables(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
            errors="surrogateescape",
            timeout=seconds,
        )

    def here(self, *args: str | Path, at: Path | None = None) -> subprocess.CompletedProcess[str]:
        """One command that leaves nothing running, in this process: to start another takes most of its time."""
        if self.before:
            return self.run(*args, at=at)
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name in list(os.environ):  # noqa: TID251 - the door of the tests
                patch.delenv(name)
            for name, value in self.variables().items():
                patch.setenv(name, value)
            patch.chdir(at or self.folder)
            patch.setattr(sys, "argv", ["nightmill", *map(str, args)])
            patch.setattr(sys, "stdin", io.StringIO())
            with pytest.raises(SystemExit) as ended:
                main()
        code = ended.value.code if isinstance(ended.value.code, int) else int(bool(ended.value.code))
        said = [each.buffer.getvalue().decode("utf-8", "surrogateescape") for each in (out, err)]  # type: ignore[attr-defined]
        return subprocess.CompletedProcess(list(args), code, *said)

    def json(self, *args: str | Path, at: Path | None = None) -> Any:
        """What a command that must go well prints with `--json`."""
        done = (self.here if args[0] in READS else self.run)(*args, "--json", at=at)
        assert not done.returncode, done.stderr
        return json.loads(done.stdout)

    @staticmethod
    def command() -> tuple[str, ...]:
        """How it is called."""
        return (sys.executable, "-m", "nightmill.cli")

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """A worker at work, so that `run` starts none of its own; ended afterwards, in the end by force."""
        parent = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") and not self.before else ()
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*parent, *self.before, *self.command(), "worker"],
                cwd="/",
                env=self.variables(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._await(process)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until *process* is seen as a worker. The store is its own to make: it may be another user's."""
        begun = self.home / "nightmill.db-wal"
        wait_for("a store", lambda: process.poll() is not None or begun.exists())
        with self.door() as door:
            wait_for("a worker", lambda: process.poll() is not None or door.alive())
        assert process.poll() is None, self.log.read_text()

    @contextmanager
    def door(self) -> Iterator[Door]:
        """The store, read in this process."""
        door = Door(load(file={}, environment={"NIGHTMILL_HOME": str(self.home)}, flags={}))
        try:
            yield door
        finally:
            door.database.close()
