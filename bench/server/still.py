"""The server that nobody asks anything, and its first page where there are ten thousand runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2

from bench import process
from bench.figures import Figure, spread
from bench.server.served import PROJECT, Served
from nightmill import event as e
from nightmill.cli.door import Door
from nightmill.store.runs import Runs

__all__ = ["home", "idle"]

REST, MINUTE = 10.0, 60.0
MANY, TIMES = 10_000, 100


def idle(folder: Path) -> Iterator[Figure]:
    """Without and with a worker, whose own figures stand beside."""
    for workers in (0, 1):
        served = Served(folder / str(workers), workers=workers)
        served.let_in(1)
        seconds = served.start()
        begun = process.cpu(served.pid)
        time.sleep(REST)
        name = "`nightmill serve`, idle" + (", a worker beside it" if workers else "")
        pids = {"": [served.pid], "its worker": process.below(served.pid)[:1]}
        before = {each: sum(map(process.cpu, found)) for each, found in pids.items()}
        time.sleep(MINUTE)
        used = {each: sum(map(process.cpu, found)) - before[each] for each, found in pids.items()}
        held = process.memory(served.pid)
        told = f"RSS {held.rss:.0f} MB" + (
            f"; the worker {process.total(pids['its worker']).pss:.0f} MB" if workers else ""
        )
        yield Figure(name=f"{name}: memory, PSS", unit=" MB", values=spread([held.pss]), goal=120.0, detail=told)
        told = f"the worker {used['its worker'] / MINUTE:.2%}" if workers else ""
        yield Figure(
            name=f"{name}: of a core", unit=" %", values=spread([used[""] / MINUTE * 100]), goal=0.5, detail=told
        )
        if not workers:
            yield Figure(
                name="`nightmill serve` until it answers",
                unit=" s",
                values=spread([seconds]),
                detail=f"CPU {begun:.2f} s",
            )
        served.stop()


def home(folder: Path) -> Iterator[Figure]:
    """Ten thousand runs of a week, asked for a hundred times, one after the other."""
    served = Served(folder)
    served.let_in(1)
    _fill(served.door)
    served.start()
    headers = {"Cookie": f"nightmill={served.keys.begin('viewer0@example.org')}"}
    taken = []
    with httpx2.Client(base_url=served.url, headers=headers, timeout=60) as client:
        for _ in range(TIMES):
            began = time.perf_counter()
            answer = client.get("/")
            taken.append(time.perf_counter() - began)
            assert answer.status_code == 200
            assert "Mend number" in answer.text
    yield Figure(
        name="the first page with 10,000 runs, asked for and read",
        unit=" ms",
        values=spread(taken[5:], scale=1000),
        goal=150.0,
    )
    served.stop()


def _fill(door: Door) -> None:
    """One run a minute; of a hundred, ninety are done, five failed, and five are at work."""
    now = time.time()
    for number in range(MANY):
        runs = Runs(door.database, lambda number=number: now - (MANY - number) * 60)  # type: ignore[misc]
        title = f"Mend number {number}"
        queued = e.RunQueued(run=f"rhome{number}", kind="task", title=title, project=PROJECT, spec="s", model="m")
        runs.create(queued, assignment="a")
    for begin in range(0, MANY, 500):
        door.ledger.append([_end(number) for number in range(begin, begin + 500)])


def _end(number: int) -> e.Event:
    run = f"rhome{number}"
    if number % 100 < 5:
        return e.RunStarted(run=run, worker="w")
    if number % 100 < 10:
        return e.RunStopped(run=run, why="failed", reason="a check fails")
    return e.RunDone(run=run)
