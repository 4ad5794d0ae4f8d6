"""Measure, keep the results in bench/results.json, and write the table of docs/benchmarks.md from them.

python -m bench            all parts, as `make bench` does
python -m bench start …    some; the others' results stay as they are
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import process_steps, setup, start, turns, waiting
from bench.figures import Figure, spread, table
from bench.machine import machine, rounded, wait_for_calm
from bench.page import circumstances, put
from bench.stage import SCRIPTED, Stage, adopt_orphans, end_all

RESULTS = Path(__file__).resolve().parent / "results.json"
BEGIN, END = "<!-- bench: made by `make bench` -->", "<!-- /bench -->"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure nightmill.")
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument(
        "--calm", type=float, default=0.0, help="seconds to wait at most for a machine that is half idle"
    )
    options = parser.parse_args()
    chosen = options.part or list(PARTS)
    if not SCRIPTED.is_file():
        sys.exit(f"bench: the scripted model is not at {SCRIPTED}; NIGHTMILL_SHARED names the folder above its own")
    adopt_orphans()
    kept = json.loads(RESULTS.read_text())["parts"] if RESULTS.exists() else {}
    for name in chosen:
        wait_for_calm(options.calm)
        kept[name] = measured(name)
        parts = {each: kept[each] for each in PARTS if each in kept}
        RESULTS.write_text(json.dumps({"machine": machine(), "parts": parts}, indent=1, ensure_ascii=False) + "\n")
    write(parts)
    missed = [each["name"] for part in parts.values() for each in part["figures"] if each["met"] is False]
    print(f"goals missed: {'; '.join(missed) or 'none'}")


def stream(_stage: Stage) -> Iterator[Figure]:
    """In a process of its own: what is counted is its processor time."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        words = ["-W", "ignore", "-m", "bench.stream", "--streams", "50", "--json", file.name]
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, cwd=RESULTS.parent.parent)
        found = json.load(file)
    for row in found["rows"]:
        name = f"CPU per streamed reply of 2,000 tokens with two calls, {row['dialect']}"
        detail = f"the provider's SDK: {row['sdk_reply_ms']:.0f} ms"
        yield Figure(name=name, unit=" ms", values=spread([row["ours_ms"]]), goal=found["goal_ms"], detail=detail)


PARTS: dict[str, Callable[[Stage], Iterator[Figure]]] = {
    "help": start.help_figures,
    "start": start.figures,
    "turns": turns.figures,
    "waiting": waiting.figures,
    "steps": process_steps.figures,
    "stream": stream,
    "setup": setup.figures,
}


def measured(name: str) -> dict[str, Any]:
    """The figures of one part, on a stage of its own, with the load that the machine had."""
    load, began = os.getloadavg()[0], time.monotonic()
    found: list[Figure] = []
    skipped = ""
    with tempfile.TemporaryDirectory(prefix="nightmill-bench-", ignore_cleanup_errors=True) as folder:
        stage = Stage(Path(folder))
        try:
            if name in {"start", "turns", "waiting", "steps"}:
                stage.build()
                stage.keep()
            for figure in PARTS[name](stage):
                found.append(figure)
                print(f"{name}: {figure.name}: {figure.values.median:.3g}{figure.unit}", flush=True)
        except OSError as error:
            skipped = str(error)
            print(f"{name}: not measured: {skipped}", flush=True)
        finally:
            end_all()
    return {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "seconds": round(time.monotonic() - began),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "skipped": skipped,
        "figures": [rounded(asdict(figure) | {"met": figure.met}) for figure in found],
    }


def write(parts: dict[str, Any]) -> None:
    """Put the table between the marks of the page."""
    put([*circumstances(parts), "", *table(parts)], begin=BEGIN, end=END)


if __name__ == "__main__":
    main()
