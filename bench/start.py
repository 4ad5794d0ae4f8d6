"""How long a person waits: for the help, and from `nightmill run` to the first request at the model."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from bench.figures import Figure, Spread, spread
from bench.stage import PLAN, Model, Stage, call, done, play, until

__all__ = ["figures", "help_figures"]

PLANS = {"single": "the developer's, in its sandbox", "auto": "the architect's"}
"""Whose first request it is, by the setting `plan`."""
TIMES = 7


def help_figures(_stage: Stage) -> Iterator[Figure]:
    """Processor seconds of `nightmill --help`."""
    spent = [_cpu_of(sys.executable, "-m", "nightmill.cli", "--help") for _ in range(TIMES)]
    yield Figure(name="`nightmill --help`, CPU", unit=" s", values=spread(spent), goal=0.25)


def figures(stage: Stage) -> Iterator[Figure]:
    """Seconds from the start of `nightmill run` to its first request, on a project that worked before."""
    for alive, goal in ((True, 1.0), (False, 3.0)):
        for plan, whose in PLANS.items():
            name = f"`nightmill run` to the first request ({whose}), {'a' if alive else 'no'} worker alive"
            yield Figure(name=name, unit=" s", values=_first_request(stage, plan=plan, alive=alive), goal=goal)


def _first_request(stage: Stage, *, plan: str, alive: bool) -> Spread:
    stage.settings = {**stage.settings, "NIGHTMILL_PLAN": plan}
    with stage.model(script()) as model:
        _end_workers(stage)
        worker = stage.start("worker") if alive else None
        try:
            if alive:
                until(stage.beats, what="a worker")
            _first(stage, model, keep=alive)  # what a cold cache costs is not counted
            return spread([_first(stage, model, keep=alive) for _ in range(TIMES)])
        finally:
            if worker:
                worker.terminate()
                worker.wait(30)


def _first(stage: Stage, model: Model, *, keep: bool) -> float:
    before = len(model.requests())
    started = time.time()
    run = stage.ask(model)
    requests = until(lambda: model.requests(after=before), seconds=60, what="a request")
    assert run.wait(120) == 0, f"the run failed: see {stage.folder / 'said.log'}"
    if not keep:
        _end_workers(stage)
    return float(min(each["t_in"] for each in requests)) - started


def _end_workers(stage: Stage) -> None:
    for pid in stage.beats():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    until(lambda: not stage.beats(), what="the end of the worker")


def script() -> dict[str, Any]:
    """The shortest way to a pull request: one file, then the end."""
    calls = [call("write_file", path="NOTES.md", content="Prices are whole.\n"), call("finish", summary="A note.")]
    return play({"text": PLAN["title"], "tool_calls": calls}, done("A note.")[0])


def _cpu_of(*command: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
