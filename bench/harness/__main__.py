"""Measure nightmill's loop beside other agents, and write bench/harness.json and its table of docs/benchmarks.md.

python -m bench.harness            all parts, as `make bench-harness` does
python -m bench.harness peers …    some; the others' results stay as they are
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.figures import Figure, spread
from bench.harness import crowd
from bench.harness.peers import PEERS, install
from bench.harness.trajectory import LONG, SHORT, Told, ours, repository, script, theirs
from bench.stage import Stage, until
from bench.suite import Suite, need_scripted

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


def prepare() -> None:
    """Have the other agents, which are fetched the first time."""
    need_scripted()
    for peer in PEERS:
        with going_on(peer.name):
            install(peer)


SUITE = Suite(
    program="bench.harness",
    target="bench-harness",
    about="Measure the agents' loop beside other agents.",
    file="harness.json",
    parts={"peers": peers, "tokens": tokens, "crowd": crowd.figures},
    notes=(f"Beside {', '.join(f'`{peer.package}`' for peer in PEERS)}.",),
    prepare=prepare,
)

if __name__ == "__main__":
    SUITE.main()
