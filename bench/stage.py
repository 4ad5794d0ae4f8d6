"""A stage for whole runs: a small project, a scripted model, and nightmill's own programs as processes to watch or kill."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from nightmill.errors import SandboxError
from nightmill.repo import Hub
from nightmill.sandbox.disk.folder import unused
from nightmill.sandbox.disk.layers import remove
from nightmill.store import Broken, Database, Entry, Ledger, Run, Runs, Wanted, Workers

__all__ = [
    "AGENTS",
    "SCRIPTED",
    "Model",
    "Stage",
    "adopt_orphans",
    "call",
    "descendants",
    "done",
    "end_all",
    "play",
    "shell",
    "until",
]

T = TypeVar("T")

SHARED = Path(os.environ.get("NIGHTMILL_SHARED") or Path(__file__).resolve().parent.parent.parent / "shared")
SCRIPTED = SHARED / "tools" / "scripted_model.py"
"""The program that plays a model; not part of this repository."""
AGENTS = os.environ.get("NIGHTMILL_AGENTS") or ""
"""A folder in which agents from npm stay installed; empty: they are installed for each time."""

SPEC = """\
# A discount on the total of an order

## Problem
`prices.total([10, 20])` gives 30, and there is no way to take ten percent off. Shops need that at the till.

## Expected
- `prices.total` takes a second argument, the discount in percent, which is 0 if it is left out.

## Acceptance criteria
1. `prices.total([10, 20], 10)` gives `27`.
2. `prices.total([10, 20])` gives `30` as before.

## Out of scope
- Rounding of the total.

## Tests
Add a case with a discount to `test_prices.py`.
"""

PROJECT = {
    "prices.py": '"""Prices of an order."""\n\n\ndef total(prices):\n    return sum(prices)\n',
    "test_prices.py": (
        "import unittest\n\nimport prices\n\n\nclass Totals(unittest.TestCase):\n"
        "    def test_sum(self):\n        self.assertEqual(prices.total([10, 20]), 30)\n"
    ),
    "nightmill.yaml": (
        "language: python\ninstall: []\n"
        "checks:\n- {name: tests, run: python3 -m unittest -q, format: exit, seconds: 60}\n"
    ),
    "SPEC.md": SPEC,
}

GIT = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


PLAN = {
    "id": "T1",
    "title": "Add a discount",
    "instruction": "Give total a second argument, the discount in percent.",
    "criteria": ["AC1", "AC2"],
    "footprint": {"paths": ["prices.py"]},
}


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """A call of a tool in a turn of a script."""
    return {"name": name, "arguments": arguments}


def shell(command: str, **more: Any) -> dict[str, Any]:
    """A turn in which the developer runs *command*; *more* is for the turn, such as a fault."""
    return {"text": "I run it.", "tool_calls": [call("run_command", command=command)], **more}


def play(*turns: dict[str, Any]) -> dict[str, Any]:
    """A script: an architect who makes one task of the spec, and a developer with these *turns*."""
    plan = {"text": json.dumps({"tasks": [PLAN]})}
    return {
        "roles": {
            "architect": {"system": "You are the architect", "turns": [plan]},
            "developer": {"system": "You are the developer", "turns": list(turns)},
        }
    }


def done(summary: str, *, text: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """An agent that shows nothing: it says that it is done, is asked what shows it, and says so again."""
    turn = {"text": text, "tool_calls": [call("finish", summary=summary)]}
    return turn, turn


def until(found: Callable[[], T], *, seconds: float = 60.0, what: str = "") -> T:
    """Ask until it is truthy and return that.

    Raises:
        TimeoutError: If it was not within so many *seconds*.
    """
    deadline = time.monotonic() + seconds
    while True:
        if answer := found():
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what or 'what was waited for'}")
        time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Model:
    """A scripted model that listens at *url* and writes a line per request to *log*."""

    url: str
    log: Path

    def requests(self, *, after: int = 0) -> list[dict[str, Any]]:
        """The lines after the first *after*, in the order in which the requests ended."""
        if not self.log.exists():
            return []
        whole, _, _ = self.log.read_text().rpartition("\n")  # the last one may still be written
        return [json.loads(line) for line in whole.splitlines()[after:]]


@dataclass
class Stage:
    """A home and a repository below *folder*, and the programs that work on them.

    Every process that it starts, and every one those leave behind, is below this one: see `adopt_orphans`.
    """

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    """More of the environment of each program."""
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    models: int = 0
    _store: Database | None = None

    @property
    def home(self) -> Path:
        """What NIGHTMILL_HOME says."""
        return self.folder / "home"

    @property
    def repo(self) -> Path:
        """The checkout of the person who asks."""
        return self.folder / "repo"

    def build(self, **files: str) -> None:
        """Make the repository, with *files* by their names beside its own or in their place, and take it in."""
        self.repo.mkdir(parents=True)
        for name, text in {**PROJECT, **files}.items():
            (self.repo / name).write_text(text)
        for words in (("init", "-q", "-b", "main"), ("add", "--all"), ("commit", "-q", "-m", "A shop")):
            subprocess.run(["git", *words], cwd=self.repo, env={**os.environ, **GIT}, check=True)
        self.call("init")

    def keep(self) -> None:
        """Put the home as it is now aside, for `renew`."""
        copy(self.home, self.folder / "kept")

    def renew(self) -> None:
        """Have the home as it was when it was put aside."""
        if self._store is not None:
            self._store.close()
            self._store = None
        remove(self.home)  # it may hold folders without any permission
        copy(self.folder / "kept", self.home)

    # Programs

    @property
    def environment(self) -> dict[str, str]:
        """Of each program: this process's, without settings that are not the stage's."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTMILL_")}
        return {**clean, "NIGHTMILL_HOME": str(self.home), "XDG_CONFIG_HOME": str(self.folder), **self.settings}

    def start(self, *words: str, through: Sequence[str] = ("-m", "nightmill.cli")) -> subprocess.Popen[bytes]:
        """Start `nightmill …` in the repository, *through* what Python is to run; what it says goes to a file beside the home."""
        with (self.folder / "said.log").open("ab") as said:
            process = subprocess.Popen(
                [sys.executable, *through, *words],
                cwd=self.repo,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def end(self, *, but: Sequence[int] = ()) -> dict[int, str]:
        """As `end_all`."""
        struck = end_all(but=but)
        while self.started:
            self.started.pop().wait()
        return struck

    def call(self, *words: str, expect: Sequence[int] = (0,), seconds: float = 240.0) -> str:
        """Run `nightmill …` to its end and return what it printed.

        Raises:
            AssertionError: If it ended with none of the *expect*ed codes; with what it said.
        """
        command = [sys.executable, "-m", "nightmill.cli", *words]
        ran = subprocess.run(
            command, cwd=self.repo, env=self.environment, capture_output=True, text=True, timeout=seconds, check=False
        )
        if ran.returncode not in expect:
            raise AssertionError(f"nightmill {' '.join(words)} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        return ran.stdout

    def ask(self, model: Model, *words: str) -> subprocess.Popen[bytes]:
        """Start `nightmill run` for the spec."""
        return self.start("run", "SPEC.md", *self.named(model), *words)

    def named(self, model: Model) -> tuple[str, ...]:
        """The words that name *model* to `run`."""
        return ("--model", "anthropic:claude-sonnet-4-5", "--base-url", model.url)

    @contextmanager
    def model(self, script: dict[str, Any], *options: str, port: int = 0) -> Iterator[Model]:
        """A scripted model that plays *script* until the end of the block."""
        self.models += 1
        path, log = self.folder / f"script-{self.models}.json", self.folder / f"requests-{self.models}.jsonl"
        path.write_text(json.dumps(script))
        words = ["--script", str(path), "--log", str(log), "--port", str(port), "--grace", "0", *options]
        with subprocess.Popen([sys.executable, str(SCRIPTED), *words], stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                yield Model(server.stdout.readline().removeprefix("listening ").strip(), log)
            finally:
                server.terminate()

    # What there is

    def store(self) -> Database:
        """The store, opened once per home."""
        if self._store is None:
            url = self.settings.get("NIGHTMILL_STORE") or f"sqlite:///{self.home / 'nightmill.db'}"
            self._store = Database.open(url)
        return self._store

    @property
    def is_there(self) -> bool:
        """Whether anything made the store."""
        return "NIGHTMILL_STORE" in self.settings or (self.home / "nightmill.db").exists()

    def runs(self, *, kind: str = "") -> list[Run]:
        """All runs, oldest first."""
        if not self.is_there:
            return []
        return [run for run in reversed(Runs(self.store(), time.time).list()) if kind in {"", run.kind}]

    def run(self, kind: str) -> Run:
        """The newest run of *kind*."""
        return self.runs(kind=kind)[-1]

    def want(self, wanted: Wanted, *, by: str = "Ada") -> None:
        """What `nightmill pause`, `resume` and `cancel` note down, for all runs that are not over."""
        runs = Runs(self.store(), time.time)
        for run in reversed(runs.list()):
            if not run.over:
                runs.want(run.id, wanted, by=by)

    def events(self, *names: str) -> list[Entry]:
        """The ledger; only events with one of *names* if any are given."""
        if not self.is_there:
            return []
        return Ledger(self.store(), time.time).read(names=names or None)

    def broken(self) -> Broken | None:
        """The first row of the ledger that does not hold."""
        return Ledger(self.store(), time.time).verify()

    def beats(self) -> dict[int, float]:
        """The last heartbeat of each worker whose process lives, by its number."""
        alive = Workers(self.store()).alive(stale_seconds=60)
        return {each.pid: each.beat for each in alive if each.pid in descendants()}

    def wait_for_beats(self, times: int = 2) -> None:
        """Wait until every worker has gone round its loops again: whatever it was about to do is done."""
        for _ in range(times):
            before = self.beats()
            until(lambda: all(self.beats().get(pid, 0) > beat for pid, beat in before.items()), what="a heartbeat")  # noqa: B023

    def sandboxes(self) -> list[str]:
        """The runs whose sandbox is open; what a worker has ready for the next run is nobody's."""
        return [folder.parent.name for folder in sorted(self.home.glob("runs/*/sandbox")) if _in_use(folder)]

    def pulls(self) -> list[dict[str, Any]]:
        """All pull requests."""
        found: list[dict[str, Any]] = json.loads(self.call("prs", "--json"))
        return found

    @property
    def hub(self) -> Hub:
        """The one repository of the forge."""
        (found,) = self.home.glob("projects/*/hub.git")
        return Hub(found)


# Processes


def _in_use(folder: Path) -> bool:
    try:
        with unused(folder):
            return False
    except SandboxError:
        return True


def copy(source: Path, target: Path) -> None:
    """Make *target* what *source* is, owners included: root's sandboxes belong to somebody else."""
    subprocess.run(["cp", "-a", "--", str(source), str(target)], check=True)


def adopt_orphans() -> None:
    """Become the parent of whatever our descendants leave behind, so that nothing of ours escapes a look at them."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def descendants(*, but: Sequence[int] = ()) -> dict[int, str]:
    """All live processes below this one, without *but* and what is below those: their command by their number."""
    children: dict[int, list[int]] = {}
    dead = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
                if fields[0] in {"Z", "X"}:
                    dead.add(int(entry.name))
    found: dict[int, str] = {}
    todo = [os.getpid()]
    while todo:
        below = [pid for pid in children.get(todo.pop(), ()) if pid not in but]
        todo += below
        found |= {pid: _command(pid) for pid in below if pid not in dead}
    return found


def end_all(*, but: Sequence[int] = ()) -> dict[int, str]:
    """Kill everything below this process as one blow, without *but* and what is below those; return what there was.

    All are stopped before any is killed: none can react to the end of another, and none starts more.
    """
    struck: dict[int, str] = {}
    while fresh := {pid: said for pid, said in descendants(but=but).items() if pid not in struck}:
        for pid in fresh:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        struck |= fresh
    for pid in struck:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not set(descendants(but=but)) & set(struck), what="the end of what was killed")
    return struck


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()[:120]
    except OSError:
        return ""
