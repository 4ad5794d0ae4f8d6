"""The worker's own loop: no run is lost between the engine, the ledger and the people who wait."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from nightmill import event
from nightmill.durable import Engine
from nightmill.line.assignment import write
from nightmill.line.steps import Body
from nightmill.line.worker import Worker
from tests.line.conftest import ADA, Script, World


@dataclass
class Asked(Script):
    """The engine as a worker's loop sees it; steps wait for the gate."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    spent: list[str] = field(default_factory=list)
    away: list[set[str]] = field(default_factory=list)

    @property
    def interrupted(self) -> set[str]:
        return self.away.pop(0) if self.away else set()

    async def given_up(self) -> list[str]:
        return self.spent

    async def step(self, name: str, body: Body) -> dict[str, Any]:
        await self.gate.wait()
        return await super().step(name, body)

    async def send(self, run: str, topic: str, body: Any, *, key: str) -> None:
        pass


def serve(world: World, engine: Asked) -> None:
    """A worker's loop until there is nothing to do."""
    asyncio.run(Worker(world.machines).serve(cast("Engine", engine), until_idle=0))


def queue(world: World, run: str, assignment: str = "a") -> None:
    asked = event.RunQueued(run=run, kind="spec", title="t", project="p", spec="s", model="m")
    world.machines.runs.create(asked, assignment=assignment)


def test_a_run_that_fails_of_a_fault_has_its_end_in_the_ledger_before_the_engine_ends_it(world: World) -> None:
    ended = asyncio.run(Worker(world.machines).workflows["spec"]("r1"))

    row = world.machines.runs.get("r1")
    assert (row.state, row.why, row.reason) == ("stopped", "failed", ended["reason"])


def test_a_run_that_the_engine_gave_up_is_not_shown_as_running(world: World) -> None:
    world.machines.ledger.append([event.RunStarted(run="r1", worker="dead")])
    serve(world, Asked(spent=["r1", "of-another-time"]))
    asyncio.run(world.machines.ledger.flush())

    row = world.machines.runs.get("r1")
    assert (row.state, row.why) == ("stopped", "failed")
    assert "too often" in row.reason


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
