"""Measure the server, keep the results in bench/server.json, and write their table of docs/benchmarks.md.

python -m bench.server            all parts, as `make bench-server` does
python -m bench.server live …     some; the others' results stay as they are
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.figures import Figure, table
from bench.machine import machine, rounded, wait_for_calm
from bench.page import circumstances, put
from bench.server import live, still
from bench.stage import adopt_orphans, end_all

RESULTS = Path(__file__).resolve().parent.parent / "server.json"
BEGIN, END = "<!-- bench: made by `make bench-server` -->", "<!-- /bench-server -->"

PARTS: dict[str, Callable[[Path], Iterator[Figure]]] = {
    "idle": still.idle,
    "home": still.home,
    "each": live.each,
    "crowd": live.crowd,
    "slow": live.slow,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the server.")
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument(
        "--calm", type=float, default=0.0, help="seconds to wait at most for a machine that is half idle"
    )
    options = parser.parse_args()
    adopt_orphans()
    kept = json.loads(RESULTS.read_text())["parts"] if RESULTS.exists() else {}
    for name in options.part or PARTS:
        wait_for_calm(options.calm)
        kept[name] = measured(name)
        parts = {each: kept[each] for each in PARTS if each in kept}
        RESULTS.write_text(json.dumps({"machine": machine(), "parts": parts}, indent=1, ensure_ascii=False) + "\n")
    put([*circumstances(parts), "", *table(parts, program="bench.server")], begin=BEGIN, end=END)
    missed = [each["name"] for part in parts.values() for each in part["figures"] if each["met"] is False]
    print(f"goals missed: {'; '.join(missed) or 'none'}")


def measured(name: str) -> dict[str, Any]:
    """The figures of one part, on a store of its own."""
    load, began = os.getloadavg()[0], time.monotonic()
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="nightmill-bench-", ignore_cleanup_errors=True) as folder:
        try:
            for figure in PARTS[name](Path(folder)):
                found.append(figure)
                print(f"{name}: {figure.name}: {figure.values.median:.3g}{figure.unit} {figure.detail}", flush=True)
        finally:
            end_all()
    return {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "seconds": round(time.monotonic() - began),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "skipped": "",
        "figures": [rounded(asdict(figure) | {"met": figure.met}) for figure in found],
    }


if __name__ == "__main__":
    main()
