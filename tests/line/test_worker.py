"""The worker's own loop: no run is lost between the engine, the ledger and the people who wait."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from nightmill import event
from nightmill.durable import Engine
from nightmill.durable.nouns import Stranded
from nightmill.line.assignment import write
from nightmill.line.steps import Body
from nightmill.line.worker import Worker
from tests.line.conftest import ADA, Script, World


@dataclass
class Asked(Script):
    """The engine as a worker's loop sees it; steps wait for the gate."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    nobodys: list[Stranded] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    sent: list[tuple[str, Any, str]] = field(default_factory=list)
    away: list[set[str]] = field(default_factory=list)

    @property
    def interrupted(self) -> set[str]:
        return self.away.pop(0) if self.away else set()

    async def taken_up_again(self, run: str) -> bool:
        return run in self.lost

    async def stranded(self) -> list[Stranded]:
        return self.nobodys

    async def step(self, name: str, body: Body) -> dict[str, Any]:
        await self.gate.wait()
        return await super().step(name, body)

    async def send(self, run: str, topic: str, body: Any, *, key: str) -> None:
        self.sent.append((run, body["wanted"], key))


def serve(world: World, engine: Asked) -> None:
    """A worker's loop until there is nothing to do."""
    asyncio.run(Worker(world.machines).serve(cast("Engine", engine), until_idle=0))


def queue(world: World, run: str, assignment: str = "a") -> None:
    asked = event.RunQueued(run=run, kind="spec", title="t", project="p", spec="s", model="m")
    world.machines.runs.create(asked, assignment=assignment)


def test_a_run_that_fails_of_a_fault_has_its_end_in_the_ledger_before_the_engine_ends_it(world: World) -> None:
    worker = Worker(world.machines)

    async def live() -> dict[str, Any]:
        ended, _ = await asyncio.gather(
            worker.workflows["spec"]("r1"), worker.serve(cast("Engine", Asked()), until_idle=0)
        )
        return cast("dict[str, Any]", ended)

    ended = asyncio.run(live())

    row = world.machines.runs.get("r1")
    assert (row.state, row.why, row.reason) == ("stopped", "failed", ended["reason"])


def test_a_run_that_the_engine_gave_up_is_not_shown_as_running(world: World) -> None:
    world.machines.ledger.append([event.RunStarted(run="r1", worker="dead")])
    spent = [Stranded(run=run, reason="taken up too often", over=True) for run in ("r1", "of-another-time")]
    serve(world, Asked(nobodys=spent))
    asyncio.run(world.machines.ledger.flush())

    row = world.machines.runs.get("r1")
    assert (row.state, row.why) == ("stopped", "failed")
    assert "too often" in row.reason


def test_a_run_that_waits_for_another_version_goes_on_waiting_and_the_log_says_so(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.machines.ledger.append([event.RunStarted(run="r1", worker="dead")])
    serve(world, Asked(nobodys=[Stranded(run="r1", reason="it was started under engine version '0'", over=False)]))
    asyncio.run(world.machines.ledger.flush())

    assert world.machines.runs.get("r1").state == "running"
    assert caplog.messages == [
        "run r1 waits for a worker that can go on with it: it was started under engine version '0'"
    ]


def test_a_worker_with_interrupted_runs_is_not_idle(world: World) -> None:
    engine = Asked(away=[{"r1"}, {"r1"}, {"r1"}])
    serve(world, engine)

    assert engine.away == [], "it stayed as long as something waited for the store"


def test_who_asked_first_is_first(world: World) -> None:
    for run in ("r2", "r3"):
        queue(world, run)
    engine = Asked()
    serve(world, engine)

    assert engine.started == [("r1", "spec"), ("r2", "spec"), ("r3", "spec")]


def test_a_body_that_was_slow_to_end_does_not_make_its_successor_deaf(world: World) -> None:
    """A worker that was taken for dead adopts its own runs while an old body may still clean up."""
    queue(world, "r2", world.machines.blobs.put(write(world.assignment())))

    async def story() -> dict[str, Any]:
        worker, engine = Worker(world.machines), Asked()
        loop = asyncio.ensure_future(worker.serve(cast("Engine", engine), until_idle=None))
        old, new = (asyncio.ensure_future(worker.workflows["spec"]("r2")) for _ in range(2))
        while not (loop.done() or worker.controls):  # noqa: ASYNC110 - nobody rings when a body begins
            await asyncio.sleep(0)
        old.cancel()
        await asyncio.wait({old})
        world.machines.runs.want("r2", "cancel", by=ADA)
        while "r2" in worker.controls and worker.controls["r2"].wanted != "cancel":  # noqa: ASYNC110 - nor when it hears
            await asyncio.sleep(0.01)
        engine.gate.set()
        ended: dict[str, Any] = await new
        loop.cancel()
        return ended

    assert asyncio.run(story())["why"] == "cancelled"


def test_a_run_that_waits_in_no_worker_hears_what_is_wanted_of_it_once_and_keeps_a_worker_up(world: World) -> None:
    queue(world, "r9")
    ledger, runs = world.machines.ledger, world.machines.runs
    ledger.append([event.RunPaused(run="r9", by=ADA), event.RunParked(run="r1", reason="x", needs="person", until=0.0)])
    runs.want("r9", "run", by=ADA)
    engine, worker = Asked(), Worker(world.machines)

    async def story() -> None:
        serving = asyncio.create_task(worker.serve(cast("Engine", engine), until_idle=0))
        while not engine.sent:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        assert not serving.done(), "who waits by the clock must find a worker"
        ledger.append([event.RunDone(run=run, change=0) for run in ("r1", "r9")])
        await serving

    asyncio.run(story())
    assert engine.sent == [("r9", "run", "wish-1")]


def test_only_a_run_that_a_worker_lost_is_told_as_recovered(world: World) -> None:
    for run in ("r1", "r9"):
        queue(world, run)
    world.machines.ledger.append([event.RunPaused(run=run, by=ADA) for run in ("r1", "r9")])
    engine, worker = Asked(lost=["r9"]), Worker(world.machines)
    worker._engine = cast("Engine", engine)
    worker._ready.set()

    async def story() -> None:
        for run in ("r1", "r9"):
            await worker.workflows["task"](run)
        await world.machines.ledger.flush()

    asyncio.run(story())
    told = {run: [entry.name for entry in world.machines.ledger.read(run=run)] for run in ("r1", "r9")}
    assert "run_recovered" not in told["r1"]
    assert "run_recovered" in told["r9"]
