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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

from bench.__main__ import PAGE, machine
from bench.stage import GIT, SCRIPTED, Model, Stage, adopt_orphans, call, end_all
from nightmill.cli.door import Door
from nightmill.line import submit
from nightmill.settings import load
from nightmill.store.runs import Run

__all__ = ["MODELS", "TASKS", "Ended", "Task", "harvest", "interval", "roles", "sow", "trees"]

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

SPEC = """# {title}

## Problem

{problem}

## Requirements

- R1: {must}

## Acceptance criteria

- AC1 (R1): {criterion}

## Out of scope

- Nothing else is changed.

## Tests

Run `python3 -m unittest -q`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is asked for, the files before and after it, and the turns of a developer who does it."""

    name: str
    problem: str
    must: str
    criterion: str
    before: Mapping[str, str]
    after: Mapping[str, str]
    turns: tuple[dict[str, Any], ...]


def said(text: str, *calls: dict[str, Any]) -> dict[str, Any]:
    return {"text": text, "tool_calls": list(calls)}


def done(*, by: str = "python3 -m unittest -q") -> dict[str, Any]:
    return said("That is all.", call("finish", summary="Done as asked.", evidence=[{"criterion": "AC1", "by": by}]))


def shell(command: str) -> dict[str, Any]:
    return said("I run it.", call("run_command", command=command))


TESTS = shell("python3 -m unittest -q")


def edit(path: str, *pairs: tuple[str, str]) -> dict[str, Any]:
    return said("I change it.", call("edit_file", path=path, edits=[{"old": old, "new": new} for old, new in pairs]))


def read(*paths: str) -> dict[str, Any]:
    return said("I look first.", *(call("read_file", path=path) for path in paths))


def todo(*states: str) -> dict[str, Any]:
    items = [{"text": f"part {at}", "state": state} for at, state in enumerate(states, 1)]
    return said("My list.", call("update_todo", items=items))


def _tasks() -> Iterator[Task]:
    def task(name: str, before: str | dict[str, str], after: str | dict[str, str], *turns: dict[str, Any]) -> Task:
        one = f"{name}.py"
        return Task(
            name=name,
            problem=f"`{name}` does not do what its name says, as its callers noticed.",
            must=f"`{name}` MUST do what its name says, for every input that it takes.",
            criterion=f"`python3 -m unittest -q` exits 0 after `{name}` was changed as R1 says.",
            before={one: before} if isinstance(before, str) else before,
            after={one: after} if isinstance(after, str) else after,
            turns=turns,
        )

    yield task(
        "adding", "def adding(a, b):\n    return a - b\n", "def adding(a, b):\n    return a + b\n",
        read("adding.py"), edit("adding.py", ("a - b", "a + b")), TESTS, done(),
    )  # fmt: skip
    text = "def counting(words):\n    found = {}\n    for word in words:\n        found[word] = 1\n    return found\n"
    right = text.replace("found[word] = 1", "found[word] = found.get(word, 0) + 1")
    yield task(
        "counting", text, right,
        read("counting.py"), todo("doing", "pending"), edit("counting.py", ("found[word] = 1", "found[word] = found.get(word, 0) + 1")),
        TESTS, todo("done", "done"), done(),
    )  # fmt: skip
    yield task(
        "greeting", "def greeting(name):\n    return 'Hello'\n", "def greeting(name):\n    return f'Hello, {name}!'\n",
        said("I write it anew.", call("read_file", path="greeting.py"), call("search", pattern="greeting")),
        said("So.", call("write_file", path="greeting.py", content="def greeting(name):\n    return f'Hello, {name}!'\n")),
        TESTS, done(),
    )  # fmt: skip
    yield task(
        "halving", {"halving.py": "from doubling import two\n\n\ndef halving(x):\n    return x * two\n", "doubling.py": "two = 2\n"},
        {"halving.py": "from doubling import two\n\n\ndef halving(x):\n    return x / two\n", "doubling.py": "two = 2.0\n"},
        read("halving.py", "doubling.py"), edit("halving.py", ("x * two", "x / two")), edit("doubling.py", ("two = 2\n", "two = 2.0\n")),
        TESTS, done(),
    )  # fmt: skip
    yield task(
        "joining", "def joining(parts):\n    return ''.join(parts)\n\n\ndef other(parts):\n    return parts\n",
        "def joining(parts):\n    return ', '.join(parts)\n\n\ndef other(parts):\n    return list(parts)\n",
        read("joining.py"), edit("joining.py", ("''.join(parts)", "', '.join(parts)"), ("return parts\n", "return list(parts)\n")),
        TESTS, done(),
    )  # fmt: skip
    yield task(
        "keeping", "def keeping(path):\n    return open(path).read()\n",
        "def keeping(path):\n    with open(path) as file:\n        return file.read()\n",
        read("keeping.py"), shell("grep -n open keeping.py"),
        said("First a note.", call("remember", kind="discovery", text="keeping.py leaves its file open")),
        edit("keeping.py", ("    return open(path).read()\n", "    with open(path) as file:\n        return file.read()\n")), TESTS, done(),
    )  # fmt: skip
    yield task(
        "limiting", "LIMIT = 10\n\n\ndef limiting(n):\n    return n\n", "LIMIT = 10\n\n\ndef limiting(n):\n    return min(n, LIMIT)\n",
        shell("sed -n 1,20p limiting.py"), shell("sed -i 's/return n$/return min(n, LIMIT)/' limiting.py"), shell("git diff --stat"),
        TESTS, done(),
    )  # fmt: skip
    yield task(
        "naming", {"naming.py": "def old_name():\n    return 1\n"},
        {"naming.py": "def naming():\n    return 1\n", "NAMES.md": "old_name: naming\n"},
        read("naming.py"), edit("naming.py", ("old_name", "naming")),
        said("And a page.", call("write_file", path="NAMES.md", content="old_name: naming\n")), TESTS, done(),
    )  # fmt: skip
    many = (
        "".join(f"def piece_{n}(x):\n    return x + {n}\n\n\n" for n in range(60))
        + "def ordering(xs):\n    return xs\n"
    )
    yield task(
        "ordering", many, many.replace("return xs\n", "return sorted(xs)\n"),
        said("It is long.", call("search", pattern="def ordering", path="ordering.py")),
        said("There.", call("read_file", path="ordering.py", offset=235, limit=20)),
        edit("ordering.py", ("def ordering(xs):\n    return xs\n", "def ordering(xs):\n    return sorted(xs)\n")), TESTS, done(),
    )  # fmt: skip
    yield task(
        "pairing", "def pairing(a, b):\n    return a\n", "def pairing(a, b):\n    return (a, b)\n",
        read("pairing.py"), edit("pairing.py", ("return a\n", "return [a, b]\n")), done(),
        edit("pairing.py", ("return [a, b]\n", "return (a, b)\n")), TESTS, done(),
    )  # fmt: skip


TASKS = tuple(_tasks())
"""Ten, of four to seven turns: edits of one and of several files, whole files, commands, lists, notes, a wrong try."""

PROJECT = {
    "test_all.py": (
        "import unittest\n\nimport pairing\n\n\nclass All(unittest.TestCase):\n"
        "    def test_pairs_are_no_lists(self):\n        self.assertNotIsInstance(pairing.pairing(1, 2), list)\n"
    ),
    "nightmill.yaml": "language: python\ninstall: []\nchecks:\n- {name: tests, run: python3 -m unittest -q, format: exit, seconds: 60}\n",
    ".gitignore": "__pycache__/\n",
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
        reason=run.reason,
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
    return (middle - reach) / (1 + z * z / count), (middle + reach) / (1 + z * z / count)


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs with faults at one turn in five.")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--tight", type=int, default=60, help="runs beside them with a budget that they meet")
    parser.add_argument("--seed", default="7")
    parser.add_argument("--faults", default="", help="only these, by commas")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--json", type=Path, help=f"where to; default: {RESULTS.name}, and the table of the docs")
    options = parser.parse_args()
    if not SCRIPTED.is_file():
        sys.exit(f"bench: the scripted model is not at {SCRIPTED}; NIGHTMILL_SHARED names the folder above its own")
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
    faults += ("--faults", options.faults) if options.faults else ()
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
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text("\n".join([before + BEGIN, *lines, END + after]))


def _git(folder: Path, *words: str) -> str:
    ran = subprocess.run(
        ["git", *words], cwd=folder, env={**os.environ, **GIT}, check=True, capture_output=True, text=True
    )
    return ran.stdout.strip()


if __name__ == "__main__":
    main()
