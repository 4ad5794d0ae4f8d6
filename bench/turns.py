"""The price of a turn: from the end of a reply to the next request, with a model that answers at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.figures import Figure, spread
from bench.process import cpu
from bench.stage import Model, Stage, done, play, shell, until

__all__ = ["COMMANDS", "figures"]

COMMANDS = (
    "pwd",
    "ls -la",
    "git status --short",
    "cat prices.py",
    "cat test_prices.py",
    "git log --oneline -5",
    "grep -n def prices.py",
    "printf '\\ndef most(prices):\\n    return max(prices)\\n' >> prices.py",
    "cat prices.py",
    "sed -i 's/return sum(prices).*/return sum(prices)  # all/' prices.py",
    "git diff --stat",
    "printf '\\ndef least(prices):\\n    return min(prices)\\n' >> prices.py",
    "wc -l prices.py",
    "head -5 prices.py",
    "tail -5 prices.py",
    "grep -c return prices.py",
    "git diff | head -40",
    "ls",
    "git add -A",
    "git status --short",
)
"""What agents do all day: looks, and now and then a small change. Each is at least the start of a bash."""

ROUND = len(COMMANDS)
SHORT, LONG, TIMES = 20, 200, 3
LATENCY = 0.2
"""Seconds that the slower model takes: short for a real one, long enough to do things meanwhile."""

BOUNDS = {
    "NIGHTMILL_PLAN": "single",
    "NIGHTMILL_BUDGET_TURNS": "100000",
    "NIGHTMILL_BUDGET_TOKENS": "1000000000",
    "NIGHTMILL_BUDGET_MONEY": "100000",
    "NIGHTMILL_CONTEXT_TOKENS": "100000000",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Seconds of one turn.

    Attributes:
        gap: From the last byte of a reply to the head of the next request, at the model.
        command: Of it, the tool call: the way into the sandbox, the command itself, the way back.
        request: Of it, putting the next request together and sending it.
    """

    gap: float
    command: float = 0.0
    request: float = 0.0


def figures(stage: Stage) -> Iterator[Figure]:
    """Runs of 20 and of 200 turns, and beside them the same commands in a loop that does nothing else."""
    brief = [turn for _ in range(TIMES) for turn in ours(stage, SHORT)[0]]
    long, spent, bare = [], [], []
    for _ in range(TIMES):  # in turns, so that what else the machine does meets both
        taken, used = ours(stage, LONG)
        long.append(taken)
        spent.append(used)
        bare += least(stage, LONG)
    every = [turn for run in long for turn in run]
    slow, _ = ours(stage, 2 * ROUND, "--latency", str(LATENCY))
    yield _gap(f"gap per turn with its command, {SHORT} turns", brief, goal=20.0)
    yield _gap(f"gap per turn with its command, {LONG} turns", every, goal=20.0)
    yield _part("of it the command, in the sandbox", [turn.command for turn in every])
    yield _part("of it all else: checkpoint, snapshot, request", [turn.gap - turn.command for turn in every])
    yield _gap(f"gap per turn with its command, a model that takes {LATENCY:g} s", slow, goal=20.0)
    yield _gap("the same commands in a bare loop", bare, goal=None)
    grown = [_growth([turn.gap - turn.request for turn in run]) for run in long]
    whole = spread([_growth([turn.gap for turn in run]) for run in long]).median
    ends = f"turns {LONG - ROUND + 1}–{LONG} over {ROUND + 1}–{2 * ROUND}"
    detail = f"{ends}, the request's own growth taken off; with it {whole:.2f}"
    yield Figure(name="growth of the gap over a run", unit=" times", values=spread(grown), goal=1.25, detail=detail)
    yield Figure(name="CPU per turn, the worker's", unit=" ms", values=spread(spent, scale=1000), goal=50.0)


def ours(stage: Stage, count: int, *options: str) -> tuple[list[Turn], float]:
    """A run of so many turns by a worker that is alive: its turns, and the worker's processor seconds for each."""
    stage.settings = {**stage.settings, **BOUNDS}
    before = len(stage.events())
    with stage.model(script(count), *options) as model:
        seen = len(model.requests())
        worker = stage.start("worker")
        try:
            (pid,) = until(stage.beats, what="a worker")
            run = stage.ask(model)
            spent = _cpu(model, pid, first=seen + count // 10, last=seen + count)
            assert run.wait(120) == 0, f"the run failed: see {stage.folder / 'said.log'}"
            requests = model.requests(after=seen)
        finally:
            worker.terminate()
            worker.wait(30)
    told = stage.events()[before:]
    commands = [each.event().seconds for each in told if each.name == "tool_finished"]  # type: ignore[attr-defined]
    begun = [each.at for each in told if each.name == "turn_started"][1:]
    turns = [
        Turn(gap=after["t_in"] - reply["t_out"], command=command, request=after["t_in"] - at)
        for (reply, after), command, at in zip(_pairs(requests, count), commands, begun, strict=False)
    ]
    return turns, spent


def least(stage: Stage, count: int) -> list[Turn]:
    """The same commands in `bench.loop`."""
    folder = stage.folder / "bare"
    shutil.copytree(stage.repo, folder)
    with stage.model(script(count)) as model:
        seen = len(model.requests())
        program = [sys.executable, "-m", "bench.loop", model.url, str(folder)]
        subprocess.run(program, check=True, cwd=Path(__file__).resolve().parent.parent)
        pairs = _pairs(model.requests(after=seen), count)
    shutil.rmtree(folder)
    return [Turn(gap=after["t_in"] - reply["t_out"]) for reply, after in pairs]


def script(count: int) -> dict[str, Any]:
    """*count* commands, then the end."""
    return play(
        *(shell(COMMANDS[turn % ROUND]) for turn in range(count)),
        *done("Most and least.", text="Done."),
    )


def _pairs(requests: list[dict[str, Any]], count: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each reply with a command, and the request after it."""
    ordered = sorted(requests, key=lambda each: each["t_in"])
    assert all(each["status"] == 200 for each in ordered), ordered
    return list(pairwise(ordered))[:count]


def _cpu(model: Model, pid: int, *, first: int, last: int) -> float:
    """Processor seconds of *pid* per request, between the *first* and the *last* in the model's log."""
    at = _wait(model, first)
    start = cpu(pid)
    end = _wait(model, last)
    return (cpu(pid) - start) / (end - at)


def _wait(model: Model, count: int) -> int:
    """Wait for so many lines in the model's log and return how many there are; seldom, not to be in the way."""
    deadline = time.monotonic() + 120
    while (found := model.log.read_bytes().count(b"\n") if model.log.exists() else 0) < count:
        assert time.monotonic() < deadline, f"{found} of {count} requests"
        time.sleep(0.1)
    return found


def _growth(seconds: Sequence[float]) -> float:
    """The last round of commands over the second: the first one also warms things up."""
    return spread(seconds[-ROUND:]).median / spread(seconds[ROUND : 2 * ROUND]).median


def _gap(name: str, turns: Sequence[Turn], *, goal: float | None) -> Figure:
    return Figure(name=name, unit=" ms", values=spread([turn.gap for turn in turns], scale=1000), goal=goal)


def _part(name: str, values: Sequence[float]) -> Figure:
    return Figure(name=name, unit=" ms", values=spread(values, scale=1000))
