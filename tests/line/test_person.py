"""A run that asks a person, on the real engine: it waits in no process, and whoever is at work then goes on with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from nightmill.durable import Bounds, Engine
from nightmill.line.control import Control
from nightmill.line.machines import Machines
from nightmill.line.steps import Waiting
from nightmill.line.worker import Worker
from nightmill.store import Ledger, Question
from tests.line.conftest import ADA, World

TREE = "a" * 40
QUESTION = Question(
    id="r1/approve/1", run="r1", step="approve", kind="approve", title="Merge it?", tree=TREE, policy="p",
    barred=("@agents.example",),
)  # fmt: skip

Story = Callable[[Engine], Awaitable[None]]


@dataclass
class Gate:
    """A worker whose tasks ask one question and give what was said."""

    machines: Machines
    begun: int = 0

    def serve(self, story: Story) -> None:
        """Launch an engine and a worker's loop, tell *story*, and stop both."""

        async def all_of_it() -> None:
            worker = Worker(self.machines)

            async def task(run: str) -> dict[str, Any]:
                self.begun += 1
                control = worker.controls[run] = Control()
                waiting = Waiting(run=run, machines=self.machines, steps=engine, control=control, rest=nothing)
                try:
                    found = await waiting.decided(QUESTION)
                    await self.machines.ledger.flush()
                    return {"state": found.state, "by": found.by, "tree": found.tree}
                finally:
                    del worker.controls[run]

            url = f"sqlite:///{self.machines.settings.home}/engine.db"
            bounds = Bounds(concurrency=1, linger=0.05)
            engine = await Engine.launch(url, executor_id=f"e{self.begun}", workflows={"spec": task}, bounds=bounds)
            serving = asyncio.ensure_future(worker.serve(engine, until_idle=None))
            try:
                await story(engine)
            finally:
                serving.cancel()
                await engine.close()

        asyncio.run(all_of_it())


async def nothing() -> None:
    """It holds no sandbox."""


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - another process's doing, as far as this one can tell
            await asyncio.sleep(0.01)


@pytest.fixture
def gate(world: World) -> Gate:
    return Gate(replace(world.machines, now=time.time))


def asked(gate: Gate) -> Callable[[], bool]:
    return lambda: gate.machines.runs.get("r1").state == "parked" and bool(gate.machines.questions.open())


def names(gate: Gate) -> list[str]:
    return [entry.name for entry in Ledger(gate.machines.database, lambda: 0.0).read(run="r1")]


def test_a_run_is_woken_by_the_yes_of_a_person(gate: Gate) -> None:
    async def story(engine: Engine) -> None:
        await until(asked(gate))
        gate.machines.questions.grant(QUESTION.id, by=ADA)
        assert await engine.result("r1") == {"state": "granted", "by": ADA, "tree": TREE}

    gate.serve(story)
    assert [name for name in names(gate) if name.startswith("question")] == ["question_asked", "question_decided"]


def test_a_run_waits_while_no_worker_is_alive_and_the_next_one_finds_what_was_said(gate: Gate) -> None:
    async def ask(engine: Engine) -> None:
        await until(asked(gate))
        await until(lambda: "r1" not in engine._tasks)

    async def go_on(engine: Engine) -> None:
        assert await engine.result("r1") == {"state": "refused", "by": ADA, "tree": TREE}

    gate.serve(ask)
    gate.machines.questions.refuse(QUESTION.id, by=ADA, because="it loses data")
    gate.serve(go_on)
    assert names(gate).count("question_asked") == 1


def test_what_somebody_else_wants_meanwhile_is_no_answer(gate: Gate) -> None:
    async def story(engine: Engine) -> None:
        await until(asked(gate))
        for times in (2, 3):
            gate.machines.runs.want("r1", "run", by=ADA)
            await until(lambda: names(gate).count("run_parked") == times)  # noqa: B023 - awaited here
        assert await engine.status("r1") in {"queued", "running"}
        gate.machines.questions.grant(QUESTION.id, by=ADA)
        assert (await engine.result("r1"))["state"] == "granted"

    gate.serve(story)
