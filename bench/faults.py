"""A thousand runs of ten tasks with a model and a provider that go wrong at one turn in five, in every way there is.

Each run has a title of its own, so that each meets faults of its own; a third of them speaks each dialect. A run is
right if the tree that it committed is the one that the task asks for; it may also stop with a reason that people see.
Beside them go runs with tight budgets, to see whether any bound is passed.

    python -m bench.faults [--runs N] [--tight N] [--seed N] [--faults A,B] [--workers N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

from bench.machine import machine
from bench.page import put
from bench.stage import GIT, Model, Stage, adopt_orphans, end_all
from bench.suite import need_scripted
from bench.tasks import PROJECT, SPEC, TASKS, Task
from nightmill.cli.door import Door
from nightmill.line import submit
from nightmill.settings import load
from nightmill.store.runs import Run

__all__ = ["MODELS", "Ended", "Sown", "build", "harvest", "interval", "roles", "sow", "trees"]

RESULTS = Path(__file__).resolve().parent / "faults.json"
BEGIN, END = "<!-- bench: made by `make bench-faults` -->", "<!-- /bench-faults -->"
RATE = 0.2
TIGHT = 0.03
"""US dollars of a run that is to meet its budget."""
PATIENT = 900.0
"""Seconds without any run that ends after which those that are left hang."""

MODELS = ("anthropic:claude-sonnet-4-5", "openai:gpt-4o", "openai-responses:gpt-5")

SETTINGS = {
    "NIGHTMILL_PLAN": "single",
    "NIGHTMILL_IDLE_READ": "2",
    "NIGHTMILL_PARK_SECONDS": "0.5",
    "NIGHTMILL_WORKERS": "24",
    "ANTHROPIC_API_KEY": "key",
    "OPENAI_API_KEY": "key",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sown:
    """A run that was asked for: *bound* is its budget in US dollars."""

    task: Task
    title: str
    bound: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended: *right* is whether its tree is what the task asks for."""

    task: str
    model: str
    state: str
    right: bool
    why: str
    reason: str
    cost: float
    bound: float
    turns: int
    tokens: int
    nudges: tuple[str, ...] = field(default=())

    @property
    def kind(self) -> str:
        """In a word: right, wrong, stopped with a reason, or hanging."""
        if self.state == "done":
            return "right" if self.right else "wrong"
        return "stopped" if self.state == "stopped" and self.reason else "hangs"


def roles(tasks: Sequence[Task]) -> dict[str, Any]:
    """The script: each task's developer is known by the first words of its title."""
    return {
        "roles": {
            task.name: {"system": "You are the developer", "user": f"The task {task.name},", "turns": list(task.turns)}
            for task in tasks
        }
    }


def build(stage: Stage) -> None:
    """One repository with the files of all tasks, taken in."""
    stage.repo.mkdir(parents=True)
    files = {**PROJECT, **{name: text for task in TASKS for name, text in task.before.items()}}
    for name, text in files.items():
        (stage.repo / name).write_text(text)
    _git(stage.repo, "init", "-q", "-b", "main")
    _git(stage.repo, "add", "--all")
    _git(stage.repo, "commit", "-q", "-m", "As it was")
    stage.call("init")


def trees(stage: Stage) -> dict[str, str]:
    """The tree that each task asks for."""
    found = {}
    for task in TASKS:
        for name, text in task.after.items():
            (stage.repo / name).write_text(text)
        _git(stage.repo, "add", "--all")
        found[task.name] = _git(stage.repo, "write-tree")
        _git(stage.repo, "reset", "-q", "--hard")
        _git(stage.repo, "clean", "-q", "-f", "-d")
    return found


def sow(door: Door, stage: Stage, sown: Sequence[Sown], *, url: str) -> dict[str, Sown]:
    """Ask for a run of each; by their ids."""
    project, found = door.project(stage.repo), {}
    folder = stage.folder / "specs"
    folder.mkdir(exist_ok=True)
    for number, each in enumerate(sown):
        path = folder / f"{len(list(folder.iterdir()))}.md"
        task = each.task
        path.write_text(SPEC.format(title=each.title, problem=task.problem, must=task.must, criterion=task.criterion))
        flags = {
            "model": MODELS[number % 3],
            "base_url": url,
            "home": stage.home,
            "budget_money": each.bound,
            "plan": "single",
        }
        asked = submit.submit(
            submit.Ask(
                spec=path, root=stage.repo, base="", by="Ada <ada@example.org>", home=stage.folder, now=time.time
            ),
            settings=load(file={}, environment={}, flags=flags),
            database=door.database,
            blobs=door.blobs,
            runs=door.runs,
            project=project,
        )
        found[asked.id] = each
    return found


def harvest(door: Door, sown: Mapping[str, Sown], right: Mapping[str, str]) -> list[Ended]:
    """Wait until all are over, or nothing moves any more, and give how each ended."""
    begun = moved = time.monotonic()
    before = -1
    while True:
        rows = {run.id: run for run in door.runs.list() if run.id in sown}
        over = sum(run.over for run in rows.values())
        if over != before:
            before, moved = over, time.monotonic()
        rate = over / max(1e-9, time.monotonic() - begun)
        print(f"\r{over} of {len(sown)} over, {rate:.2f} a second ", end="", file=sys.stderr, flush=True)
        if over == len(sown) or time.monotonic() - moved > PATIENT:
            break
        time.sleep(1)
    print(file=sys.stderr)
    return [_ended(door, rows[id_], each, right) for id_, each in sown.items()]


def _ended(door: Door, run: Run, sown: Sown, right: Mapping[str, str]) -> Ended:
    home = door.settings.home
    children = door.runs.list(parent=run.id)
    told = [
        entry for child in children for entry in door.ledger.read(run=child.id, names=("commit_made", "agent_nudged"))
    ]
    made = [json.loads(entry.body)["tree"] for entry in told if entry.name == "commit_made"]
    return Ended(
        task=sown.task.name,
        model=run.model,
        state=run.state,
        right=made == [right[sown.task.name]],
        why=run.why,
        reason=run.reason.replace(str(home), "HOME"),
        cost=sum(child.cost for child in children),
        bound=sown.bound,
        turns=sum(child.turns for child in children),
        tokens=sum(child.tokens for child in children),
        nudges=tuple(json.loads(entry.body)["guard"] for entry in told if entry.name == "agent_nudged"),
    )


def interval(hits: int, count: int) -> tuple[float, float]:
    """The Wilson interval at 95% of a share (Wilson 1927), from 0 to 1."""
    if not count:
        return 0.0, 1.0
    z, share = 1.96, hits / count
    middle = share + z * z / (2 * count)
    reach = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - reach) / (1 + z * z / count), min(1.0, (middle + reach) / (1 + z * z / count))


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs with faults at one turn in five.")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--tight", type=int, default=60, help="runs beside them with a budget that they meet")
    parser.add_argument("--seed", default="7")
    parser.add_argument("--faults", default="", help="only these, by commas")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--json", type=Path, help=f"where to; default: {RESULTS.name}, and the table of the docs")
    options = parser.parse_args()
    need_scripted()
    adopt_orphans()
    load_before, begun = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nightmill-faults-", ignore_cleanup_errors=True) as folder:
        stage = Stage(Path(folder), settings=dict(SETTINGS))
        try:
            ended = _run(stage, options)
        finally:
            end_all()
    found = _summed(ended, options, load=(load_before, os.getloadavg()[0]), seconds=time.monotonic() - begun)
    (options.json or RESULTS).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    if options.json is None:
        _write(found)
    print(json.dumps({name: value for name, value in found.items() if name != "not_right"}, indent=1))


def _run(stage: Stage, options: argparse.Namespace) -> list[Ended]:
    build(stage)
    right = trees(stage)
    faults = ("--fault-rate", str(RATE), "--seed", options.seed, "--slow", "3", "--retry-after", "0.2", "--no-cache")
    faults = (*faults, "--faults", options.faults) if options.faults else faults
    sown = [
        Sown(task=TASKS[at % len(TASKS)], title=f"The task {TASKS[at % len(TASKS)].name}, number {at}", bound=10.0)
        for at in range(options.runs)
    ]
    sown += [
        Sown(task=TASKS[at % len(TASKS)], title=f"The task {TASKS[at % len(TASKS)].name}, tight {at}", bound=TIGHT)
        for at in range(options.tight)
    ]
    with ExitStack() as stack:
        model: Model = stack.enter_context(stage.model(roles(TASKS), *faults))
        door = Door(load(file={}, environment={"NIGHTMILL_HOME": str(stage.home)}, flags={}))
        stack.callback(door.database.close)
        asked = sow(door, stage, sown, url=model.url)
        workers = [stage.start("worker") for _ in range(options.workers)]
        ended = harvest(door, asked, right)
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(60)
        kinds = Counter(line["fault"] for line in model.requests() if line.get("fault"))
        print("faults met:", dict(kinds.most_common()), file=sys.stderr)
    return ended


def _summed(
    ended: Sequence[Ended], options: argparse.Namespace, *, load: tuple[float, float], seconds: float
) -> dict[str, Any]:
    usual = [each for each in ended if each.bound > TIGHT]
    tight = [each for each in ended if each.bound == TIGHT]
    kinds = Counter(each.kind for each in usual)
    low, high = interval(kinds["right"], len(usual))
    return {
        "machine": machine(),
        "load": [round(each, 1) for each in load],
        "seconds": round(seconds),
        "seed": options.seed,
        "rate": RATE,
        "runs": len(usual),
        "right": kinds["right"],
        "right_interval": [round(low, 4), round(high, 4)],
        "stopped": kinds["stopped"],
        "wrong": kinds["wrong"],
        "hang": kinds["hangs"],
        "over_budget": sum(each.cost > each.bound for each in ended),
        "tight": {
            "runs": len(tight),
            **Counter(each.kind for each in tight),
            "dearest": max((e.cost for e in tight), default=0.0),
        },
        "turns": sum(each.turns for each in usual),
        "nudges": dict(Counter(name for each in usual for name in each.nudges).most_common()),
        "not_right": [asdict(each) for each in usual if each.kind != "right"],
    }


def _write(found: Mapping[str, Any]) -> None:
    """Put the figures between the marks of the page."""
    facts, share = found["machine"], found["right"] / max(1, found["runs"])
    low, high = found["right_interval"]
    rows = (
        (
            "runs that ended in the right tree",
            f"**{found['right']} of {found['runs']}** ({share:.1%}; 95%: {low:.1%}–{high:.1%})",
            "≥ 99%",
        ),
        ("stopped with a reason", str(found["stopped"]), "the rest"),
        ("wrong tree", str(found["wrong"]), "0"),
        ("hang", str(found["hang"]), "0"),
        ("dearer than their budget, tight ones too", str(found["over_budget"]), "0"),
    )
    lines = [
        f"{facts['cores']} cores, Linux {facts['kernel']}, Python {facts['python']}; load {found['load'][0]} → {found['load'][1]};",
        f"{found['seconds']} s for {found['runs'] + found['tight']['runs']} runs, seed {found['seed']}.",
        "", "| what | runs | goal |", "|---|---|---|", *(f"| {a} | {b} | {c} |" for a, b, c in rows), "",
    ]  # fmt: skip
    put(lines, begin=BEGIN, end=END)


def _git(folder: Path, *words: str) -> str:
    ran = subprocess.run(
        ["git", *words], cwd=folder, env={**os.environ, **GIT}, check=True, capture_output=True, text=True
    )
    return ran.stdout.strip()


if __name__ == "__main__":
    main()
