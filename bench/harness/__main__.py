"""Measure nightmill's loop beside other agents, and write bench/harness.json and its table of docs/benchmarks.md.

python -m bench.harness            all parts, as `make bench-harness` does
python -m bench.harness peers …    some; the others' results stay as they are
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.figures import Figure, spread
from bench.harness import crowd
from bench.harness.peers import PEERS, install
from bench.harness.trajectory import LONG, SHORT, Told, ours, repository, script, theirs
from bench.stage import Model, Stage, until
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


ALIVE = "nightmill, a worker alive"
COLUMNS: tuple[tuple[str, str, Callable[[Told], float]], ...] = (
    ("gap per turn", " ms", lambda told: told.gap),
    ("start to the first request", " s", lambda told: told.start),
    ("CPU of 20 turns, with start and end", " s", lambda told: told.used.cpu),
    ("peak memory, PSS", " MB", lambda told: told.used.peak),
)


def peers(folder: Path) -> Iterator[Figure]:
    """Each in turn, several times; the first time of each warms its caches and does not count."""
    found: dict[str, list[Told]] = {}
    ways: dict[str, Callable[..., Told]] = {
        "nightmill": _alone(folder / "ours"),
        ALIVE: _beside(folder / "alive"),
        **{peer.name: partial(theirs, peer, folder=folder) for peer in PEERS},
    }
    with Stage(folder).model(script(SHORT)) as model:
        for again in range(TIMES + 1):
            for name, once in ways.items():
                with going_on(name):
                    told = once(model=model)
                    if again:
                        found.setdefault(name, []).append(told)
                        used = f"CPU {told.used.cpu:.1f} s"
                        print(f"{name}: start {told.start:.2f} s, gap {told.gap:.1f} ms, {used}", flush=True)
    for what, unit, of in COLUMNS:
        values = {name: spread([of(told) for told in all_]) for name, all_ in found.items()}
        best = min((each.median for name, each in values.items() if name not in {"nightmill", ALIVE}), default=None)
        for name, each in values.items():
            if name != ALIVE or not what.startswith("peak"):  # which is the worker's own
                goal = best if name in {"nightmill", ALIVE} else None
                yield Figure(name=f"{what}: {name}", unit=unit, values=each, goal=goal)


def _alone(folder: Path) -> Callable[..., Told]:
    """The way where no worker is there: each time on the same new home."""
    stage = stage_in(folder)
    stage.keep()

    def once(*, model: Model) -> Told:
        stage.renew()
        return ours(stage, model)

    return once


def _beside(folder: Path) -> Callable[..., Told]:
    """The way where a worker is there already and has worked once; what it does counts."""
    stage = stage_in(folder)

    def once(*, model: Model) -> Told:
        worker = stage.start("worker")
        until(stage.beats, what="a worker")
        ours(stage, model, beside=[worker.pid])
        told = ours(stage, model, beside=[worker.pid])
        worker.terminate()
        worker.wait(30)
        return told

    return once


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
