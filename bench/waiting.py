"""What runs cost that only wait for a slow model: memory and idle processor time of their one worker."""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.figures import Figure, spread
from bench.process import Memory, below, cpu, memory, total
from bench.stage import Model, Stage, play, until
from nightmill.cli.door import Door
from nightmill.line import submit
from nightmill.settings import Settings

__all__ = ["figures"]

MANY = 100
LATENCY = 900.0
WATCHED = 3.0
"""Seconds over which the idle processor time is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One worker with so many *runs*.

    Attributes:
        worker: Its memory when all wait.
        sandboxes: All processes below it: those that keep the live sandboxes, and those in them.
        processes: How many those are.
        idle: Per cent of a core that the worker takes while nothing happens.
    """

    runs: int
    worker: Memory
    sandboxes: Memory
    processes: int
    idle: float


def figures(stage: Stage) -> Iterator[Figure]:
    """A worker with one run, and one with a hundred. PSS: memory shared with other programs is counted in part."""
    one, many = waiting(stage, 1), waiting(stage, MANY)
    detail = f"RSS {one.worker.rss:.0f} MB, at its peak {one.worker.peak:.0f} MB"
    yield _single("memory of a worker with 1 waiting run, PSS", " MB", one.worker.pss, goal=90.0, detail=detail)
    further = [(after - before) / (MANY - 1) for before, after in zip(one.worker, many.worker, strict=True)]
    detail = f"RSS {further[0]:.2g} MB; the whole worker with {MANY} runs: PSS {many.worker.pss:.0f} MB"
    yield _single("memory per further waiting run, PSS", " MB", further[1], goal=2.0, detail=detail)
    detail = f"{many.processes // MANY} processes, RSS {many.sandboxes.rss / MANY:.0f} MB"
    yield _single("memory of a run's live sandbox, PSS", " MB", many.sandboxes.pss / MANY, detail=detail)
    detail = f"with 1: {one.idle:.1f} %"
    yield _single(f"CPU of a worker while {MANY} runs wait", " % of a core", many.idle, detail=detail)


def _single(name: str, unit: str, value: float, *, goal: float | None = None, detail: str = "") -> Figure:
    return Figure(name=name, unit=unit, values=spread([value]), goal=goal, detail=detail)


def waiting(stage: Stage, runs: int) -> Waiting:
    """Start a worker and *runs*, and look at it when every one of them waits for its first reply.

    The home is thrown away after it: what waits there is of no use to anyone.
    """
    stage.renew()
    stage.settings = {"NIGHTMILL_WORKERS": str(runs + 1), "NIGHTMILL_IDLE_READ": str(LATENCY)}
    with stage.model(script()) as model:
        worker = stage.start("worker")
        try:
            (pid,) = until(stage.beats, what="a worker")
            for _ in range(runs):
                _ask(stage, model)
            until(lambda: _open(model) == runs, seconds=240, what=f"{runs} requests that wait")
            started = cpu(pid)
            time.sleep(WATCHED)
            spent = cpu(pid) - started
            sandboxes = below(pid)
            return Waiting(
                runs=runs,
                worker=memory(pid),
                sandboxes=total(sandboxes),
                processes=len(sandboxes),
                idle=100 * spent / WATCHED,
            )
        finally:
            worker.terminate()
            worker.wait(120)
            shutil.rmtree(stage.home)


def script() -> dict[str, Any]:
    """A developer who takes very long."""
    return play({"text": "…", "latency_s": LATENCY})


def _ask(stage: Stage, model: Model) -> None:
    settings = Settings(home=stage.home, model="anthropic:claude-sonnet-4-5", base_url=model.url, plan="single")
    door = Door(settings)
    try:
        submit.submit(
            submit.Ask(
                spec=stage.repo / "SPEC.md",
                root=stage.repo,
                base="",
                by="Ada <ada@example.org>",
                home=stage.folder,
                now=time.time,
            ),
            settings=settings,
            database=door.database,
            blobs=door.blobs,
            runs=door.runs,
            project=door.project(stage.repo),
        )
    finally:
        door.database.close()


def _open(model: Model) -> int:
    """Requests that the model has and has not answered."""
    with urllib.request.urlopen(f"{model.url}/_stats") as reply:
        return int(json.load(reply)["active"])
