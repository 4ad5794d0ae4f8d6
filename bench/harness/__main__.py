"""Measure nightmill's loop beside other agents, and write bench/harness.json and its table of docs/benchmarks.md.

python -m bench.harness            all parts, as `make bench-harness` does
python -m bench.harness peers …    some; the others' results stay as they are
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.figures import Figure, spread, table
from bench.harness import crowd
from bench.harness.peers import PEERS, install
from bench.harness.trajectory import LONG, SHORT, Told, ours, repository, script, theirs
from bench.machine import machine, rounded, wait_for_calm
from bench.page import circumstances, put
from bench.stage import SCRIPTED, Stage, adopt_orphans, end_all, until

RESULTS = Path(__file__).resolve().parent.parent / "harness.json"
BEGIN, END = "<!-- bench: made by `make bench-harness` -->", "<!-- /bench-harness -->"
TIMES = 3
SETTINGS = {
    "ANTHROPIC_API_KEY": "key",
    "NIGHTMILL_PLAN": "single",
    "NIGHTMILL_BUDGET_TURNS": "1000",
    "NIGHTMILL_BUDGET_TOKENS": "1000000000",
    "NIGHTMILL_BUDGET_MONEY": "100000",
}


def stage_in(folder: Path, **more: str) -> Stage:
    """A home with the repository of the trajectory taken in."""
    stage = Stage(folder, settings={**SETTINGS, **more})
    repository(stage.repo)
    stage.call("init")
    return stage


def peers(folder: Path) -> Iterator[Figure]:
    """Each in turn, several times; the first time of each warms its caches and does not count."""
    stage = stage_in(folder / "ours")
    stage.keep()
    found: dict[str, list[Told]] = {}
    alive: list[Told] = []
    with stage.model(script(SHORT)) as model:
        for again in range(TIMES + 1):
            for name, once in _all(stage, model, folder):
                with going_on(name):
                    told = once()
                    if again:
                        found.setdefault(name, []).append(told)
                        print(
                            f"{name}: start {told.start:.2f} s, gap {told.gap:.1f} ms, CPU {told.used.cpu:.1f} s",
                            flush=True,
                        )
        with going_on("nightmill, a worker alive"):
            alive = list(_alive(folder / "alive", model))
    for what, unit, of in (
        ("gap per turn", " ms", lambda told: told.gap),
        ("start to the first request", " s", lambda told: told.start),
        ("CPU of 20 turns, with start and end", " s", lambda told: told.used.cpu),
        ("peak memory, PSS", " MB", lambda told: told.used.peak),
    ):
        values = {name: spread([of(told) for told in all_]) for name, all_ in found.items()}
        best = min((each.median for name, each in values.items() if name != "nightmill"), default=None)
        for name, each in values.items():
            goal = best if name == "nightmill" else None
            yield Figure(name=f"{what}: {name}", unit=unit, values=each, goal=goal)
        if alive and not what.startswith("peak"):  # which is the worker's own
            ready = spread([of(told) for told in alive])
            yield Figure(name=f"{what}: nightmill, a worker alive", unit=unit, values=ready, goal=best)


def _alive(folder: Path, model: Any) -> Iterator[Told]:
    """The way where a worker is there already, whose work counts; the first time does not count here, either."""
    stage = stage_in(folder)
    worker = stage.start("worker")
    until(stage.beats, what="a worker")
    for again in range(TIMES + 1):
        told = ours(stage, model, beside=[worker.pid])
        if again:
            print(
                f"nightmill, a worker alive: start {told.start:.2f} s, gap {told.gap:.1f} ms, CPU {told.used.cpu:.1f} s",
                flush=True,
            )
            yield told
    worker.terminate()
    worker.wait(30)


def _all(stage: Stage, model: Any, folder: Path) -> Iterator[tuple[str, Callable[[], Told]]]:
    def own() -> Told:
        stage.renew()
        return ours(stage, model)

    yield "nightmill", own
    for peer in PEERS:
        yield peer.name, lambda peer=peer: theirs(peer, model, folder=folder)  # type: ignore[misc]  # bound at once


@contextmanager
def going_on(name: str) -> Iterator[None]:
    """Go on without an agent that cannot be had or does not go the way, and say so."""
    try:
        yield
    except (OSError, TimeoutError) as error:
        print(f"{name}: not measured: {error}", flush=True)


def tokens(folder: Path) -> Iterator[Figure]:
    """A hundred turns with 4.2 kB of output each: what is sent, and how much of it the provider's cache holds."""
    stage = stage_in(folder / "ours")
    with stage.model(script(LONG)) as model:
        own = ours(stage, model)
        others = {}
        for peer in PEERS:
            if peer.name in {"pi", "mini-swe-agent", "codex"}:
                with going_on(peer.name):
                    others[peer.name] = theirs(peer, model, folder=folder)
    for name, told in others.items():
        detail = (
            f"{own.given / 1e6:.2f} M against {told.given / 1e6:.2f} M, in {own.requests} and {told.requests} requests"
        )
        yield Figure(
            name=f"input tokens of 100 turns over those of {name}",
            unit=" %",
            values=spread([100 * own.given / told.given]),
            goal=40.0,
            detail=detail,
        )
    share = spread([100 * own.cached / own.given])
    yield Figure(
        name="input tokens from the provider's cache",
        unit=" %",
        values=share,
        goal=80.0,
        floor=True,
        detail="nightmill, the same 100 turns",
    )
    yield Figure(name="largest request", unit=" kB", values=spread([own.largest / 1000]))


PARTS: dict[str, Callable[[Path], Iterator[Figure]]] = {"peers": peers, "tokens": tokens, "crowd": crowd.figures}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure nightmill's loop beside other agents.")
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument(
        "--calm", type=float, default=0.0, help="seconds to wait at most for a machine that is half idle"
    )
    options = parser.parse_args()
    if not SCRIPTED.is_file():
        sys.exit(f"bench: the scripted model is not at {SCRIPTED}; NIGHTMILL_SHARED names the folder above its own")
    adopt_orphans()
    for peer in PEERS:
        with going_on(peer.name):
            install(peer)
    kept = json.loads(RESULTS.read_text())["parts"] if RESULTS.exists() else {}
    for name in options.part or list(PARTS):
        wait_for_calm(options.calm)
        kept[name] = measured(name)
        parts = {each: kept[each] for each in PARTS if each in kept}
        RESULTS.write_text(json.dumps({"machine": machine(), "parts": parts}, indent=1, ensure_ascii=False) + "\n")
    write(parts)
    missed = [each["name"] for part in parts.values() for each in part["figures"] if each["met"] is False]
    print(f"goals missed: {'; '.join(missed) or 'none'}")


def measured(name: str) -> dict[str, Any]:
    """The figures of one part, with the load that the machine had."""
    load, began = os.getloadavg()[0], time.monotonic()
    found = []
    with tempfile.TemporaryDirectory(prefix="nightmill-harness-", ignore_cleanup_errors=True) as folder:
        try:
            for figure in PARTS[name](Path(folder)):
                found.append(figure)
                print(f"{name}: {figure.name}: {figure.values.median:.3g}{figure.unit}", flush=True)
        finally:
            end_all()
    return {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "seconds": round(time.monotonic() - began),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "skipped": "",
        "figures": [rounded(asdict(figure) | {"met": figure.met}) for figure in found],
    }


def write(parts: dict[str, Any]) -> None:
    """Put the table between the marks of the page."""
    packages = ", ".join(f"`{peer.package}`" for peer in PEERS)
    lines = [*circumstances(parts), f"Beside {packages}.", "", *table(parts, program="bench.harness")]
    put(lines, begin=BEGIN, end=END)


if __name__ == "__main__":
    main()
