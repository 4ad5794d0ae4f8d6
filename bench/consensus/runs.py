"""Many runs at once on one project with all the tasks, and what became of each; the judge is a test that no run sees."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from bench.consensus.people import People
from bench.consensus.tasks import CONFIGURATION, TASKS, Task
from bench.stage import GIT, Model, Stage
from bench.tasks import SPEC
from nightmill.cli.door import Door
from nightmill.line import submit
from nightmill.repo import Hub
from nightmill.settings import load
from nightmill.store.runs import Run

__all__ = ["BLUEPRINTS", "Came", "Judge", "Wanted", "carry_out", "project"]

BLUEPRINTS = ("solo", "quick", "deliver")
SETTINGS = {
    "NIGHTMILL_PLAN": "single",
    "NIGHTMILL_PARK_SECONDS": "600",
    "NIGHTMILL_WORKERS": "12",
    "ANTHROPIC_API_KEY": "key",
}
FAILED = re.compile(r"(?:FAIL|ERROR): (\w+)")
PATIENT = 240.0
"""Seconds without any run that ends after which those that are left hang."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A run of the task whose turn it is, by *blueprint*."""

    blueprint: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What came of a run.

    Attributes:
        began: The developer's first attempt, as it was drawn.
        kind: right or wrong, if a pull request was opened; stopped or parked, with a *reason*; or hangs.
        reason: Of what stopped or parked, and of what is wrong with a wrong tree.
        seconds: From its beginning to its end, with others beside it.
        commit: Of nightmill's code that did it.
    """

    blueprint: str
    number: int
    task: str
    began: str
    kind: str
    reason: str
    tokens: int
    cost: float
    turns: int
    seconds: float
    commit: str


def carry_out(
    wanted: Sequence[Wanted], people: People, *, workers: int, told: Callable[[Came], None], until: float = 0.0
) -> None:
    """Do all that is *wanted*, in a home of its own; *told* hears of each as it ends.

    From the time *until* on, of the monotonic clock, what has not ended is left; 0: never.
    """
    with tempfile.TemporaryDirectory(prefix="nightmill-consensus-", ignore_cleanup_errors=True) as folder:
        stage = Stage(Path(folder), settings=dict(SETTINGS))
        _build(stage)
        try:
            with ExitStack() as stack:
                model = stack.enter_context(_model(stage, people))
                door = Door(load(file={}, environment={"NIGHTMILL_HOME": str(stage.home)}, flags={}))
                stack.callback(door.database.close)
                started = [stage.start("worker") for _ in range(workers)]
                try:
                    asked = {_ask(door, stage, each, url=model.url): each for each in wanted}
                    _watch(door, asked, Judge(stage.hub), people, told=told, until=until)
                finally:
                    for worker in started:
                        worker.terminate()
                    for worker in started:
                        worker.wait(60)
        finally:
            stage.end()


def project() -> dict[str, str]:
    """The files of the project that all the tasks are in."""
    return {**CONFIGURATION, **{t.module: t.before for t in TASKS}, **{t.tests: t.visible for t in TASKS}}


def _build(stage: Stage) -> None:
    stage.repo.mkdir(parents=True)
    for name, text in project().items():
        (stage.repo / name).write_text(text)
    for words in (("init", "-q", "-b", "main"), ("add", "--all"), ("commit", "-q", "-m", "As it was")):
        subprocess.run(["git", *words], cwd=stage.repo, env={**os.environ, **GIT}, check=True)
    stage.call("init")


@contextmanager
def _model(stage: Stage, people: People) -> Iterator[Model]:
    """The model that plays *people*."""
    path, log = stage.folder / "people.json", stage.folder / "requests.jsonl"
    path.write_text(json.dumps(asdict(people)))
    words = [sys.executable, "-m", "bench.consensus.model", str(path), str(log)]
    root = Path(__file__).resolve().parent.parent.parent
    with subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield Model(server.stdout.readline().removeprefix("listening ").strip(), log)
        finally:
            server.terminate()


def _ask(door: Door, stage: Stage, wanted: Wanted, *, url: str) -> str:
    """Ask for a run; its id."""
    task = TASKS[wanted.number % len(TASKS)]
    folder = stage.folder / "specs"
    folder.mkdir(exist_ok=True)
    path = folder / f"{wanted.blueprint}-{wanted.number}.md"
    title = f"The task {task.name}, number {wanted.number}"
    problem = f"`{task.name}` does not do all that its callers need."
    path.write_text(SPEC.format(title=title, problem=problem, must=task.must, criterion=task.criterion))
    flags = {
        "model": "anthropic:claude-sonnet-4-5",
        "base_url": url,
        "home": stage.home,
        "plan": "single",
        "blueprint": wanted.blueprint,
    }
    asked = submit.submit(
        submit.Ask(spec=path, root=stage.repo, base="", by="Ada <ada@example.org>", home=stage.folder, now=time.time),
        settings=load(file={}, environment={}, flags=flags),
        database=door.database,
        blobs=door.blobs,
        runs=door.runs,
        project=door.project(stage.repo),
    )
    return asked.id


def _watch(
    door: Door,
    asked: Mapping[str, Wanted],
    judge: Judge,
    people: People,
    *,
    told: Callable[[Came], None],
    until: float,
) -> None:
    """Tell of each as it ends, until all have, time is up or nothing moves any more."""
    left, moved = dict(asked), time.monotonic()
    while left:
        if until and time.monotonic() > until:
            return
        runs = door.runs.list()
        children: dict[str, list[Run]] = {}
        for run in runs:
            children.setdefault(run.parent, []).append(run)
        hangs = time.monotonic() - moved > PATIENT
        for run in runs:
            if run.id not in left:
                continue
            own = children.get(run.id, [])
            parked = any(each.state == "parked" and each.why == "person" for each in own)
            if run.over or parked or hangs:
                wanted = left.pop(run.id)
                moved = time.monotonic()
                told(_came(door, run, own, wanted, judge, people))
        time.sleep(1)


def _came(door: Door, run: Run, own: Sequence[Run], wanted: Wanted, judge: Judge, people: People) -> Came:
    task = TASKS[wanted.number % len(TASKS)]
    reason = " ".join(each.reason for each in (*own, run) if each.reason).replace(str(door.settings.home), "HOME")
    opened = [entry for each in own for entry in door.ledger.read(run=each.id, names=("pull_request_opened",))]
    if opened:
        fault = judge.fault(task, json.loads(opened[-1].body)["branch"])
        kind, reason = ("wrong", fault) if fault else ("right", reason)
    elif run.state in {"stopped", "done"}:
        kind = "stopped" if reason else "hangs"
    else:
        kind = "parked" if any(each.state == "parked" for each in own) else "hangs"
    return Came(
        blueprint=wanted.blueprint,
        number=wanted.number,
        task=task.name,
        began=people.attempt(wanted.number, 0),
        kind=kind,
        reason=reason[:600],
        tokens=sum(each.tokens for each in own),
        cost=round(sum(each.cost for each in own), 6),
        turns=sum(each.turns for each in own),
        seconds=round(max((each.updated - each.created for each in own), default=0.0), 1),
        commit=_code(),
    )


@cache
def _code() -> str:
    words = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, text=True, check=False).stdout.strip()


class Judge:
    """Whether a landed tree is right: by tests that no run sees, and by what was there before and has to be there still."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.known: dict[tuple[str, ...], str] = {}

    def fault(self, task: Task, branch: str) -> str:
        """What is wrong with the tree of *branch*, empty if nothing is.

        It has to do all that *task* asks for; the old tests have to say what they said, to the byte, and to pass, as do all
        others that landed; and no file has changed but the task's own.
        """
        changed = self._git("diff", "--raw", "--no-abbrev", "--no-renames", "main", branch).decode()
        key = (task.name, changed)
        if key not in self.known:
            self.known[key] = self._fault(task, branch, [line.split("\t")[1] for line in changed.splitlines()])
        return self.known[key]

    def _fault(self, task: Task, branch: str, paths: Sequence[str]) -> str:
        if beyond := set(paths) - {task.module, task.tests, task.attack}:
            return f"it also changes {', '.join(sorted(beyond))}"
        with tempfile.TemporaryDirectory(prefix="nightmill-judge-") as folder:
            subprocess.run(["tar", "x", "-C", folder], input=self._git("archive", branch), check=True)
            if not Path(folder, task.tests).read_text().startswith(task.visible):
                return "the old tests do not say what they said"
            attack = Path(folder, task.attack)
            if attack.exists() and attack.read_text() == task.nothing:
                return "QA's test was weakened"
            Path(folder, "test_judge.py").write_text(task.suite("Judge", task.hidden))
            words = [sys.executable, "-m", "unittest", "-q"]
            ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        return f"its tests fail: {' '.join(FAILED.findall(ran.stderr))}" if ran.returncode else ""

    def _git(self, *words: str) -> bytes:
        return subprocess.run(["git", "--git-dir", str(self.hub.path), *words], capture_output=True, check=True).stdout
