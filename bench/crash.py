"""Kill everything at seeded moments of a run, let a new worker finish it, and look whether anything was lost or left.

A run is first played unharmed, to know its tree, its requests and how long each of its phases takes. Then it is played
again and again. Each time, at one moment of one phase, `nightmill run`, the worker and all that they started are
killed with signal 9 as one blow, and `nightmill worker` has to bring the run to the same end.

    python -m bench.crash [--kills N] [--seed N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.stage import SCRIPTED, Model, Stage, adopt_orphans, call, descendants, done, play, shell, until

__all__ = ["PHASES", "SCRIPT", "Blow", "Moment", "Unharmed", "moments", "strike", "unharmed"]

OLD = "def total(prices):\n    return sum(prices)\n"
WRONG = "def total(prices, discount=0):\n    return sum(prices) - discount\n"
RIGHT = "def total(prices, discount=0):\n    return sum(prices) * (100 - discount) / 100\n"
CASE = "\\n    def test_discount(self):\\n        self.assertEqual(prices.total([10, 20], 10), 27)\\n"

SCRIPT = play(
    {"text": "I look.", "tool_calls": [call("read_file", path="prices.py"), call("list_files")]},
    {"tool_calls": [call("edit_file", path="prices.py", edits=[{"old": OLD, "new": WRONG}])]},
    # What is appended would be there twice if a command ran again on what it had left.
    shell(
        "mkdir notes && for i in 1 2 3; do echo line $i >> notes/log.txt; sleep 0.05; done; ln -s log.txt notes/latest"
    ),
    shell(f"printf '{CASE}' >> test_prices.py; echo again >> notes/log.txt; sleep 60 >/dev/null 2>&1 &"),
    *done("Added.", text="It should do."),
    {"tool_calls": [call("edit_file", path="prices.py", edits=[{"old": WRONG, "new": RIGHT}])]},
    # Says how long the tests took: what a turn that runs again answers is not what it answered before.
    shell("python3 -m unittest -q; mv notes/latest notes/newest; echo third >> notes/log.txt; chmod +x prices.py"),
    done("Added and mended.", text="Now it does.")[0],  # what shows it was asked when it first handed over
)
LATENCY = 0.05
"""Seconds before each reply."""

PHASES = ("ask", "start", "plan", "hand over", "prepare", "work", "prove", "mend", "prove again", "change", "end")
"""The life of the run; each lasts until the next begins."""

WEIGHTS = (2, 2, 3, 2, 4, 10, 6, 6, 6, 6, 3)
"""How many of fifty kills each phase gets."""

BEGINS = {
    ("run_queued", "spec"): "start",
    ("run_started", "spec"): "plan",
    ("plan_made", "spec"): "hand over",
    ("phase/prepare/0", "task"): "prepare",
    ("phase/work/0", "task"): "work",
    ("phase/prove/0", "task"): "prove",
    ("phase/work/1", "task"): "mend",
    ("phase/prove/1", "task"): "prove again",
    ("phase/change/0", "task"): "change",
    ("run_done", "task"): "end",
}
"""Which event, by its key or name, of which kind of run begins a phase."""

AFTER = 0.1
"""Seconds after the last event that still belong to "end"."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When to kill: in *phase*, after *part* (0 to 1) of the time that it took unharmed."""

    phase: str
    part: float


@dataclass(frozen=True, slots=True)
class Unharmed:
    """What a run does when nobody harms it."""

    tree: str
    requests: Counter[tuple[str, int]]
    turns: Counter[str]
    lasts: dict[str, float]


@dataclass(slots=True)
class Blow:
    """One kill and what came of it. *again* are requests that were paid for once more; *faults* should be empty."""

    phase: str
    part: float
    after: float = 0.0
    event: str = ""
    killed: int = 0
    among: list[str] = field(default_factory=list)
    asked: bool = True
    seconds: float = 0.0
    again: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    litter: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not SCRIPTED.is_file():
        sys.exit(f"bench.crash needs the scripted model at {SCRIPTED}")
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="nightmill-crash-") as folder:
        blows = list(series(Path(folder), kills=options.kills, seed=options.seed))
    bad = sum(bool(blow.faults) for blow in blows)
    again = sum(len(blow.again) for blow in blows)
    print(f"{len(blows)} kills with seed {options.seed}: {len(blows) - bad} runs ended as if nothing had happened.")
    print(f"{again} requests that were in flight were asked once more, {len(blows) - again} kills cost nothing.")
    if options.json:
        plain = [asdict(blow) for blow in blows]
        options.json.write_text(json.dumps({"seed": options.seed, "failed": bad, "blows": plain}, indent=1))
    sys.exit(1 if bad else 0)


def series(folder: Path, *, kills: int, seed: int) -> Iterator[Blow]:
    """Each blow, told as it happens."""
    stage = Stage(folder / "s", settings={"TMPDIR": str(folder)})
    stage.build()
    stage.keep()
    with stage.model(SCRIPT, "--latency", str(LATENCY)) as model:
        usual = unharmed(stage, model)
        lasts = ", ".join(f"{phase} {usual.lasts[phase]:.2f}" for phase in PHASES)
        print(f"unharmed: tree {usual.tree[:10]}, {usual.requests.total()} requests; seconds: {lasts}")
        print(f"{'':>3} {'phase':<12}{'part':>5} {'after':>7} {'last event':<19}{'killed':>7}{'again in':>9}  result")
        for number, moment in enumerate(moments(kills, seed=seed), 1):
            blow = strike(stage, model, moment, usual)
            said = "; ".join(blow.faults) or (
                "as unharmed" if blow.asked else "was never asked for; done when asked again"
            )
            said += f"; asked again: {', '.join(blow.again)}" if blow.again else ""
            print(
                f"{number:>3} {blow.phase:<12}{blow.part:>5.2f} {blow.after:>6.2f}s {blow.event:<19}"
                f"{blow.killed:>7}{blow.seconds:>8.1f}s  {said}",
                flush=True,
            )
            yield blow


def moments(kills: int, *, seed: int) -> list[Moment]:
    """So many moments, spread over all phases; the same for the same *seed*."""
    draw = random.Random(seed)
    shares = [max(1, round(weight * kills / sum(WEIGHTS))) for weight in WEIGHTS]
    chosen = [phase for phase, share in zip(PHASES, shares, strict=True) for _ in range(share)]
    chosen += draw.choices(PHASES, WEIGHTS, k=max(0, kills - len(chosen)))
    counts = Counter(chosen)
    spread = []
    for phase in PHASES:  # one in each slice of the phase, so that no part of it is left out by chance
        spread += [Moment(phase, (at + draw.random()) / counts[phase]) for at in range(counts[phase])]
    draw.shuffle(spread)
    return spread[:kills]


# One life


def unharmed(stage: Stage, model: Model) -> Unharmed:
    """Play the run to its end and look at it."""
    stage.renew()
    before, spare = len(model.requests()), list(descendants())
    began = time.time()
    process = stage.ask(model)
    if process.wait(120):
        raise AssertionError((stage.folder / "said.log").read_text()[-2000:])
    times = {"ask": began}
    kinds = {run.id: run.kind for run in stage.runs()}
    for entry in stage.events():
        if phase := _begins(entry.name, entry.key, kinds[entry.run]):
            times.setdefault(phase, entry.at)
    ends = [*(times[phase] for phase in PHASES[1:]), stage.events()[-1].at + AFTER]
    stage.end(but=spare)
    return Unharmed(
        tree=stage.pulls()[0]["tree"],
        requests=paid(model, before),
        turns=turns(stage),
        lasts={phase: end - times[phase] for phase, end in zip(PHASES, ends, strict=True)},
    )


def strike(stage: Stage, model: Model, moment: Moment, usual: Unharmed, *, idle: float = 3.0) -> Blow:
    """Play the run, kill everything at *moment*, have a worker finish it, and compare."""
    stage.renew()
    blow = Blow(moment.phase, moment.part)
    before, spare, mounts = len(model.requests()), list(descendants()), mounted()
    began = time.monotonic()
    stage.ask(model)
    if moment.phase != "ask":
        until(lambda: moment.phase in begun(stage), seconds=120, what=f"{moment.phase} to begin")
    time.sleep(moment.part * usual.lasts[moment.phase])
    blow.after = time.monotonic() - began
    struck = stage.end(but=spare)
    blow.killed, blow.among = len(struck), sorted({_program(command) for command in struck.values()})
    told = stage.events()
    blow.event = told[-1].name if told else ""
    kept = replies(stage)
    began = time.monotonic()
    blow.asked = bool(stage.runs())
    if blow.asked:
        stage.call("worker", "--until-idle", str(idle))
    else:
        stage.call("run", "SPEC.md", *stage.named(model))
        stage.end(but=spare)
    blow.seconds = time.monotonic() - began
    blow.again, twice = asked_again(paid(model, before), usual.requests, kept)
    blow.faults = twice + [fault for look in LOOKS for fault in look(stage, usual)]
    blow.faults += [f"left running: {command}" for command in descendants(but=spare).values()]
    blow.faults += [f"left mounted: {line}" for line in mounted() - mounts if str(stage.folder) in line]
    blow.litter = litter(stage)
    return blow


def begun(stage: Stage) -> set[str]:
    """The phases that have begun, by the ledger; cheap enough to be asked all the time."""
    path = stage.home / "nightmill.db"
    query = "SELECT event.name, event.key, run.kind FROM event JOIN run ON run.id = event.run"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as store:
        rows = store.execute(query).fetchall()
    return {phase for row in rows if (phase := _begins(*row))}


def _begins(name: str, key: str | None, kind: str) -> str:
    """The phase that an event begins, "" for none; of its key the step does not count."""
    phase = "/".join((key or "").split("/")[:3])
    return BEGINS.get((name, kind)) or BEGINS.get((phase, kind)) or ""


def paid(model: Model, before: int) -> Counter[tuple[str, int]]:
    """How often each turn of each role was answered in full."""
    return Counter((line["role"], line["turn"]) for line in model.requests(after=before) if line["outcome"] == "ok")


def turns(stage: Stage) -> Counter[str]:
    """How often each turn was told to be finished."""
    return Counter(entry.key or "" for entry in stage.events("turn_finished"))


def replies(stage: Stage) -> Counter[str]:
    """How many replies each role has in its journal."""
    kinds = {run.id: {"spec": "architect", "task": "developer"}[run.kind] for run in stage.runs()}
    return Counter(kinds[path.parts[-3]] for path in stage.home.glob("runs/*/replies/*.json"))


def asked_again(
    found: Counter[tuple[str, int]], usual: Counter[tuple[str, int]], kept: Counter[str]
) -> tuple[list[str], list[str]]:
    """Which turns were paid for once more than usual, and what of that is a fault.

    The one in flight is forgiven: the model had answered, but the whole reply was not in the journal (*kept*).
    """
    more = found - usual
    again = [f"{role} {turn + 1}" for role, turn in sorted(more.elements())]
    faults = [f"{role} {turn + 1} was paid twice though kept" for role, turn in more if turn < kept[role]]
    faults += [f"{role} {turn + 1} was never asked for" for role, turn in usual - found]
    return again, faults + (["more than one turn was paid twice"] if len(again) > 1 else [])


# What must hold afterwards


def one_pull(stage: Stage, usual: Unharmed) -> list[str]:
    """Exactly one pull request, with the tree of the unharmed run."""
    trees = [pull["tree"] for pull in stage.pulls()]
    return [] if trees == [usual.tree] else [f"pull requests with the trees {trees}"]


def ended(stage: Stage, _usual: Unharmed) -> list[str]:
    """Both runs are done, and said so once."""
    states = {f"{run.id} is {run.state}: {run.reason}" for run in stage.runs() if run.state != "done"}
    told = Counter(entry.run for entry in stage.events("run_done"))
    return [*states, *([] if sorted(told.values()) == [1, 1] else [f"run_done was told {dict(told)}"])]


def told_once(stage: Stage, usual: Unharmed) -> list[str]:
    """Each turn finished once, and no row of the ledger was changed or lost."""
    broken = stage.broken()
    wrong = [f"the ledger is broken: {broken}"] if broken else []
    return wrong if turns(stage) == usual.turns else [*wrong, f"turns finished: {dict(turns(stage))}"]


def sound(stage: Stage, _usual: Unharmed) -> list[str]:
    """The hub is whole and unlocked."""
    locks = [f"left locked: {path}" for path in stage.hub.path.rglob("*.lock")]
    check = [
        "git",
        "-C",
        "/",
        f"--git-dir={stage.hub.path}",
        "fsck",
        "--full",
        "--strict",
        "--no-dangling",
        "--no-progress",
    ]
    ran = subprocess.run(check, capture_output=True, text=True, check=False)
    said = (ran.stdout + ran.stderr).strip()
    return locks + ([f"git fsck ({ran.returncode}): {said}"] if ran.returncode or said else [])


LOOKS: Sequence[Callable[[Stage, Unharmed], list[str]]] = (one_pull, ended, told_once, sound)


def litter(stage: Stage) -> list[str]:
    """Files that were being written when the blow fell and that nobody has removed."""
    marks = ("*.tmp", "*.part", "tmp_*", "incoming-*", ".hub.git.*")
    found = {path for mark in marks for path in stage.home.rglob(mark)}
    return sorted(str(path.relative_to(stage.home)) for path in found)


def mounted() -> set[str]:
    """The host's mounts."""
    return set(Path("/proc/self/mountinfo").read_text().splitlines())


def _program(command: str) -> str:
    """The name of a program, and for ours which command of it."""
    words = command.split()
    if "nightmill.cli" in words:
        return f"nightmill {words[words.index('nightmill.cli') + 1]}"
    return Path(words[0]).name if words else "?"


if __name__ == "__main__":
    main()
