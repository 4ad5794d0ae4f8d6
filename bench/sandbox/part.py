"""One part of the measurements, in a process of its own: what `__main__` starts, as a user without privileges.

python -m bench.sandbox.part NAME HOME FILES SHARE

Each line that it writes is a figure as JSON, or a question that its starter answers by a line: the memory of processes
which only that one may look at.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from bench.figures import Figure, spread
from bench.sandbox import churn, commands, copies, crowd, database, soak, turns
from bench.sandbox.ground import Ground, Timer

__all__ = ["LONG", "PARTS"]


def ground_itself(ground: Ground) -> Iterator[Figure]:
    """Make the repository that all others measure on."""
    with Timer() as timer:
        ground.build()
    size = sum(status.st_size for status in _statuses(str(ground.layer))) / 1e6
    told = f"{ground.files:,} files in the checkout; made in {timer.seconds:.0f} s"
    yield Figure(name="the repository, with `.git`", unit=" MB", values=spread([size]), detail=told)


def _statuses(top: str) -> Iterator[os.stat_result]:
    for folder, _, files in os.walk(top):
        yield from (os.lstat(f"{folder}/{name}") for name in files)


def ask(pids: list[int]) -> float:
    """Have the starter say what processes hold."""
    print(json.dumps({"pids": pids}), flush=True)
    return float(sys.stdin.readline())


PARTS: dict[str, Callable[[Ground], Iterator[Figure]]] = {
    "ground": ground_itself,
    "copies": copies.figures,
    "commands": commands.bare,
    "srt": lambda ground: commands.srt(ground, ask),
    "crowd": lambda ground: crowd.figures(ground, ask),
    "snapshots": turns.snapshots,
    "back": turns.back,
    "database": database.figures,
    "churn": churn.figures,
    "soak": soak.figures,
}
"""In the order in which they are made; "ground" makes what the others stand on."""

LONG = {"soak"}
"""Made only when asked for."""


def main(name: str, home: str, files: str, share: str) -> None:
    ground = Ground(home=Path(home), files=int(files), share=float(share))
    for figure in PARTS[name](ground):
        print(json.dumps({"figure": asdict(figure) | {"met": figure.met}}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
