"""Measure, keep the results in bench/results.json, and write the table of docs/benchmarks.md from them.

python -m bench            all parts, as `make bench` does
python -m bench start …    some; the others' results stay as they are
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import calls, process_steps, setup, start, turns, waiting
from bench.figures import Figure, spread
from bench.stage import Stage
from bench.suite import Suite, need_scripted

CHECKOUT = Path(__file__).resolve().parent.parent


def staged(figures: Callable[[Stage], Iterator[Figure]]) -> Callable[[Path], Iterator[Figure]]:
    """*figures* of a stage that has a repository, and a home to come back to."""

    def part(folder: Path) -> Iterator[Figure]:
        stage = Stage(folder)
        stage.build()
        stage.keep()
        yield from figures(stage)

    return part


def bare(figures: Callable[[Stage], Iterator[Figure]]) -> Callable[[Path], Iterator[Figure]]:
    """*figures* of a stage with nothing on it."""
    return lambda folder: figures(Stage(folder))


def stream(_folder: Path) -> Iterator[Figure]:
    """In a process of its own: what is counted is its processor time."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        words = ["-W", "ignore", "-m", "bench.stream", "--streams", "50", "--json", file.name]
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, cwd=CHECKOUT)
        found = json.load(file)
    for row in found["rows"]:
        name = f"CPU per streamed reply of 2,000 tokens with two calls, {row['dialect']}"
        detail = f"the provider's SDK: {row['sdk_reply_ms']:.0f} ms"
        yield Figure(name=name, unit=" ms", values=spread([row["ours_ms"]]), goal=found["goal_ms"], detail=detail)


SUITE = Suite(
    program="bench",
    target="bench",
    about="Measure nightmill.",
    file="results.json",
    parts={
        "help": bare(start.help_figures),
        "start": staged(start.figures),
        "turns": staged(turns.figures),
        "calls": staged(calls.figures),
        "waiting": staged(waiting.figures),
        "steps": staged(process_steps.figures),
        "stream": stream,
        "setup": bare(setup.figures),
    },
    prepare=need_scripted,
)

if __name__ == "__main__":
    SUITE.main()
