"""How long the server takes for its pages: Night and the runs with 10,000 runs in the store, and a run of 300 turns.

python -m bench.pages            fill a store, ask for each page, print what it took
python -m bench.pages --runs N   with another number of runs
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa

from nightmill import event as e
from nightmill.desk.door import Door
from nightmill.settings import load
from nightmill.store import chain, tables
from nightmill.store.questions import Question
from tests.report.strangers import huge
from tests.report.telling import START
from tests.server.conftest import House, role
from tests.server.shelf import shelve

__all__ = ["fill", "main"]

RUNS, NIGHTS = 10_000, 30
PROJECTS = ("shop", "barn", "mill")
TURNS = 8
ASKED = 30
"""Times that each page is asked for."""
WAITING, OPEN = 12, 8
"""Questions that wait, and pull requests that are open in each project."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _house(Path(folder)) as house:
        fill(house.door, options.runs)
        long = shelve(house.door, huge(turns=300, size=4_000), later=time.time() - START - 3_600)
        with house.browser("ada@example.org", role("admin")) as client:
            pages = ("/", "/runs", "/runs?state=done&project=mill", f"/runs/{long}", f"/runs/{long}?turns=3")
            print(json.dumps({page: _asked(client, page) for page in pages}, indent=1))


def fill(door: Door, runs: int) -> None:
    """Put *runs* runs of the last month in the store, what they did, and what waits for people."""
    dice, now = random.Random(6), time.time()
    heads = {project: _hub(door, project) for project in PROJECTS}
    for begin in range(0, runs, 200):
        numbers = range(begin, min(begin + 200, runs))
        ages = {number: (1 - number / runs) * NIGHTS * 86_400 + 60 for number in numbers}
        facts = [fact for number in numbers for fact in _life(number, now - ages[number], dice)]
        with door.database.write() as connection:
            connection.execute(sa.insert(tables.run), [_row(number, now - ages[number]) for number in numbers])
            chain.append(connection, sorted(facts, key=lambda each: each.at))
            for number in numbers:  # an append dates all that it touches alike
                row = tables.run.c.id == _name(number)
                connection.execute(tables.run.update().where(row).values(updated=now - ages[number] + 600))
    for number in range(runs - WAITING, runs):
        asked = {"id": f"{_name(number)}/look", "run": _name(number), "step": "look", "kind": "answer"}
        door.questions.ask(Question(**asked, title="Which of the two?"))
    _open(door, heads, runs)


def _life(number: int, at: float, dice: random.Random) -> Iterator[chain.Fact]:
    run, last = _name(number), at + 600
    yield chain.fact(e.RunQueued(run=run, **_asked_for(number)), at=at)
    yield chain.fact(e.RunStarted(run=run, worker="mill-1"), at=at + 1)
    yield chain.fact(e.PhaseStarted(run=run, phase="work"), at=at + 2)
    for turn in range(1, TURNS + 1):
        usage = {"input": dice.randrange(5_000, 60_000), "output": dice.randrange(50, 900), "cache_read": 4_000}
        took: dict[str, Any] = {"record": "r" * 64, "snapshot": "s" * 24, "cost": dice.random() / 20, "calls": 2}
        told = e.TurnFinished(run=run, turn=turn, role="developer", model="m", usage=usage, seconds=4.0, **took)
        yield chain.fact(told, at=at + 60 * turn)
    if number % 10 == 9:
        yield chain.fact(e.RunStopped(run=run, why="failed", reason="the checks did not pass"), at=last)
        return
    yield chain.fact(e.PullRequestOpened(run=run, number=number + 1, branch="b", target="main", title="t"), at=last - 1)
    if number % 50 == 48:
        yield chain.fact(e.RunParked(run=run, reason="the key is refused", needs="time"), at=last)
        return
    yield chain.fact(e.RunDone(run=run, change=number + 1), at=last)
    yield chain.fact(
        e.PullRequestMerged(run=run, number=number + 1, commit="c" * 40, by="Ada <ada@example.org>"), at=last
    )


def _asked_for(number: int) -> dict[str, Any]:
    title = f"Mend part {number} of the {PROJECTS[number % 3]}, as it was asked for"
    return {"kind": "task", "title": title, "project": PROJECTS[number % 3], "spec": "s", "model": "m"}


def _row(number: int, at: float) -> dict[str, Any]:
    asked = _asked_for(number)
    named = {name: asked[name] for name in ("kind", "title", "project")}
    return {"id": _name(number), "parent": "", "assignment": "a" * 64, "created": at, "updated": at, **named}


def _name(number: int) -> str:
    return f"r{number:08x}"


def _hub(door: Door, project: str) -> list[str]:
    """A repository with a main branch, and commits beside it."""
    path = door.hub(project).path
    path.parent.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", path], check=True)
    tree = _git(path, "mktree")
    main = _git(path, "commit-tree", tree, "-m", "begin")
    _git(path, "update-ref", "refs/heads/main", main)
    return [_git(path, "commit-tree", tree, "-p", main, "-m", f"work {number}") for number in range(OPEN)]


def _git(path: Path, *words: str) -> str:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    ran = subprocess.run(["git", *who, "-C", path, *words], check=True, capture_output=True, input=b"")
    return ran.stdout.decode().strip()


def _open(door: Door, heads: dict[str, list[str]], runs: int) -> None:
    texts = dict.fromkeys(("title", "body", "branch", "verdict", "author", "base", "tree"), "t")
    rows = [
        {**texts, "project": project, "number": runs + at + 1, "key": f"{project}/{at}", "run": _name(at), "head": head}
        | {"target": "main", "passed": True, "state": "open", "opened": time.time() - 3_600}
        for project, each in heads.items()
        for at, head in enumerate(each)
    ]
    with door.database.write() as connection:
        connection.execute(sa.insert(tables.pull_request), rows)


def _asked(client: httpx2.Client, page: str) -> dict[str, Any]:
    took = []
    for _ in range(ASKED):
        began = time.perf_counter()
        answer = client.get(page, headers={"Accept": "text/html"})
        took.append(1000 * (time.perf_counter() - began))
        assert answer.status_code == 200, answer.text
    first, *rest = took
    return {
        "bytes": len(answer.content),
        "first_ms": round(first),
        "median_ms": round(statistics.median(rest)),
        "worst_ms": round(max(rest)),
    }


@contextmanager
def _house(folder: Path) -> Iterator[House]:
    door = Door(load(file={}, environment={}, flags={"home": folder / "home"}))
    house = House(door)
    house.clock.now = time.time()
    house.start()
    try:
        yield house
    finally:
        house.stop()
        door.ledger.close()
        door.database.close()


if __name__ == "__main__":
    main()
