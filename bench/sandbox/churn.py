"""Whether a snapshot is what was there: random changes of all kinds beside a service that writes all the time.

python -m bench.sandbox.churn HOME TURNS SEED: one run of so many turns, each restored and compared; tells it as JSON
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.figures import Figure, spread
from bench.sandbox.ground import Ground, Timer
from bench.sandbox.look import Looker, Looks, differences
from nightmill.sandbox import Command, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandbox, BubblewrapSandboxes
from nightmill.sandbox.freeze import frozen, mapped
from nightmill.sandbox.layers import remove
from nightmill.sandbox.packs import restore
from tests.sandbox.programs import CHURN, SERVICE

__all__ = ["Taken", "churn", "figures"]

RUNS, TURNS, AT_ONCE = 10, 100, 2
"""Runs, each with another seed; turns of each; how many runs are made side by side."""

Taken = tuple[str, Looks]
"""The id of a snapshot, and how the upper looked while all was held still for it."""


def figures(ground: Ground) -> Iterator[Figure]:
    """A thousand turns in ten runs."""
    turns = ground.rounds(TURNS)
    with Timer() as timer, ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(lambda seed: _one(ground.home / f"churn{seed}", turns, seed), range(RUNS)))
    count, wrong = sum(each["turns"] for each in told), [path for each in told for path in each["wrong"]]
    most = {name: max(each[name] for each in told) for name in ("entries", "links", "shut")}
    detail = (
        f"every one of {count:,} restored and compared in {timer.seconds:.0f} s; up to {most['entries']} entries, "
        f"{most['links']} groups of hard links, {most['shut']} files of mode 000; {sum(each['whole'] for each in told)} "
        f"consolidations{': ' + '; '.join(wrong[:5]) if wrong else ''}"
    )
    name = f"snapshots that differ from what was there, of {count:,} turns of churn beside a writing service"
    yield Figure(name=name, unit="", values=spread([len(wrong)]), goal=1.0, detail=detail)


def _one(home: Path, turns: int, seed: int) -> dict[str, Any]:
    words = [sys.executable, "-m", "bench.sandbox.churn", str(home), str(turns), str(seed)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(home: str, turns: str, seed: str) -> None:
    top = Path(home)
    top.mkdir()
    try:
        print(json.dumps(asyncio.run(whole(top, int(turns), seed))))
    finally:
        remove(top)


async def whole(home: Path, turns: int, seed: str) -> dict[str, Any]:
    """Churn, then restore each snapshot and compare."""
    log, run, layer = home / "looks", home / "run", home / "layer"
    for folder in (log, run, home / "back"):
        folder.mkdir()
    build(layer)
    (home / "back" / "packs").symlink_to(run / "packs")
    with Looker(log) as looker:
        sandbox = await BubblewrapSandboxes().open(Place(directory=run, layers=(layer,)))
        assert isinstance(sandbox, BubblewrapSandbox)
        try:
            taken, consolidated = await churn(sandbox, looker, turns=turns, seed=seed)
        finally:
            await sandbox.close()
        wrong = []
        for number, (name, expected) in enumerate(taken):
            restore(home / "back", name)
            found = looker.look(home / "back" / "upper")
            if found != expected:
                wrong.append(f"seed {seed}, turn {number}: {differences(log, expected, found)[:3]}")
    return {
        "turns": len(taken),
        "wrong": wrong,
        "whole": consolidated,
        "entries": max(looks.entries for _, looks in taken),
        "links": max(looks.links for _, looks in taken),
        "shut": max(looks.shut for _, looks in taken),
    }


def build(layer: Path) -> None:
    """A small checkout, for files from below to be changed, moved and hidden."""
    pick = random.Random(0)
    for folder in ("gone", "lower/one", "lower/two/deep"):
        (layer / "repo" / folder).mkdir(parents=True)
        for number in range(4):
            (layer / "repo" / folder / f"file{number}").write_bytes(pick.randbytes(3000 * number))
    (layer / "repo" / "kept.txt").write_text("kept\n")


async def churn(sandbox: BubblewrapSandbox, looker: Looker, *, turns: int, seed: str) -> tuple[list[Taken], int]:
    """So many turns in *sandbox*: the snapshot after each, and how often the chain was consolidated."""
    ready = asyncio.Event()
    service = Command(argv=("/usr/bin/python3", "-c", SERVICE), cwd="/work")
    running = asyncio.create_task(sandbox.run(service, output=lambda _: ready.set()))
    await ready.wait()
    taken, consolidated = [], 0
    for turn in range(turns):
        done = await sandbox.run(Command(argv=("/usr/bin/python3", "-c", CHURN, str(turn), seed, "shut"), cwd="/work"))
        assert done.exit == 0, done.text
        taken.append(take(sandbox, looker, f"turn{turn}"))
        if sandbox.packs.long:
            sandbox.packs.consolidate(name=f"whole{turn}")
            consolidated += 1
    running.cancel()
    await asyncio.wait([running])
    return taken, consolidated


def take(sandbox: BubblewrapSandbox, looker: Looker, name: str) -> Taken:
    """What `snapshot` does, with a look at what is there while it is held still."""
    assert sandbox.processes is not None
    with frozen(sandbox.processes.init_pid) as pids:
        found = sandbox.packs.take(name=name, hot=mapped(pids))
        return found, looker.look(sandbox.place.directory / "upper")


if __name__ == "__main__":
    main(*sys.argv[1:])
