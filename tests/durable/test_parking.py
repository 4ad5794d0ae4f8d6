"""Runs that wait for long are in no process, and come back once, whoever wakes them and whenever."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOS

from nightmill.durable import Engine
from tests.durable.test_engine import tell
from tests.durable.test_recovery import Place, Start, launch, ready, victim

__all__ = ["victim"]

WEEKS = 3e6


async def parked(engine: Engine, run: str) -> None:
    """Wait until *run* has left this process for the database."""
    while run in engine._tasks or await engine._state(run) != "DELAYED":  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def test_a_run_that_waits_leaves_its_place_to_others_and_comes_back_to_where_it_was(url: str) -> None:
    hold, seen = list[Engine](), list[str]()

    async def note(word: str) -> str:
        seen.append(word)
        return word

    async def patient(run: str) -> list[Any]:
        before = await hold[0].step("before", note, f"before {run}")
        return [before, await hold[0].receive("go", WEEKS), await hold[0].step("after", note, f"after {run}")]

    async def quick(run: str) -> Any:
        return await hold[0].step("only", note, run)

    async def work(run: str) -> Any:
        return await (quick if run == "q" else patient)(run)

    async def story(engine: Engine) -> None:
        for run in ("a", "b"):
            await engine.start(run, "work", run)
            await parked(engine, run)
        await engine.start("q", "work", "q")
        assert await engine.result("q") == "q"
        await engine.send("b", "go", 2, key="go")
        await engine.send("a", "go", 1, key="go")
        assert await engine.result("a") == ["before a", 1, "after a"]
        assert await engine.result("b") == ["before b", 2, "after b"]
        assert not await engine.taken_up_again("a"), "to come back is no recovery"
        assert max(Counter(seen).values()) == 1

    tell(url, {"work": work}, story, hold=hold, concurrency=1, linger=0.05)


def test_a_wait_that_ends_by_the_clock_ends_then_although_nobody_has_the_run(url: str) -> None:
    hold = list[Engine]()

    async def work() -> Any:
        return [await hold[0].receive("go", 1.5), await hold[0].receive("go", 0.1)]

    async def story(engine: Engine) -> None:
        await engine.start("r", "work")
        await parked(engine, "r")
        assert await engine.result("r") == [None, None]

    tell(url, {"work": work}, story, hold=hold, concurrency=1, linger=0.05)


def test_a_parent_is_parked_with_its_child_and_comes_back_with_it(url: str) -> None:
    hold = list[Engine]()

    async def parent(name: str) -> list[Any]:
        await hold[0].start(f"{name}-child", "child", name)
        return [name, await hold[0].result(f"{name}-child")]

    async def child(name: str) -> Any:
        return await hold[0].receive("go", 2.0 if name == "clock" else WEEKS) if name != "quick" else "quick"

    async def story(engine: Engine) -> None:
        for name in ("clock", "person", "quick"):
            await engine.start(name, "parent", name)
            if name != "quick":
                await parked(engine, f"{name}-child")
                await parked(engine, name)
        assert await engine.result("quick") == ["quick", "quick"], "both places are free"
        assert await engine.result("clock") == ["clock", None]
        await engine.send("person-child", "go", "on", key="1")
        assert await engine.result("person") == ["person", "on"]

    tell(url, {"parent": parent, "child": child}, story, hold=hold, concurrency=1, linger=0.05)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_message_is_lost_that_comes_just_as_its_run_is_parked(url: str, seed: int) -> None:
    hold, linger, chance = list[Engine](), 0.03, random.Random(seed)

    async def work(run: str) -> list[Any]:
        return [await hold[0].receive("go", WEEKS) for _ in range(4)]

    async def talk(engine: Engine, run: str) -> None:
        await engine.start(run, "work", run)
        for at in range(4):
            await asyncio.sleep(chance.uniform(0, 4 * linger))
            await engine.send(run, "go", f"{run} {at}", key=str(at))

    async def story(engine: Engine) -> None:
        runs = [f"r{at}" for at in range(20)]
        await asyncio.gather(*(talk(engine, run) for run in runs))
        for run in runs:
            assert await asyncio.wait_for(engine.result(run), 60) == [f"{run} {at}" for at in range(4)]

    tell(url, {"work": work}, story, hold=hold, concurrency=4, linger=linger)


def test_who_dies_between_a_message_and_its_waking_is_made_good_by_who_sends_it_again(url: str) -> None:
    hold = list[Engine]()

    async def work() -> Any:
        return await hold[0].receive("go", WEEKS)

    async def story(engine: Engine) -> None:
        await engine.start("r", "work")
        await parked(engine, "r")
        await DBOS.send_async("r", {"value": "on"}, "go", idempotency_key="r/1")  # and here it dies
        assert await engine.status("r") == "queued"
        await engine.send("r", "go", "on", key="1")
        assert await engine.result("r") == "on"

    tell(url, {"work": work}, story, hold=hold, linger=0.05)


def test_a_run_that_is_told_nothing_stays_parked_whoever_rings(url: str) -> None:
    hold = list[Engine]()

    async def work() -> Any:
        return await hold[0].receive("go", WEEKS)

    async def story(engine: Engine) -> None:
        await engine.start("r", "work")
        await parked(engine, "r")
        rows = engine._rows
        assert [rows.wake("r"), rows.wake("nobody"), rows.park("r", "go"), rows.follow("r", "r")] == [False] * 4
        assert await engine.adopt(["test"]) == []
        assert await engine._state("r") == "DELAYED"
        await engine.cancel("r")
        assert await engine.status("r") == "cancelled"

    tell(url, {"work": work}, story, hold=hold, linger=0.05)


@pytest.fixture
def place(url: str, tmp_path: Path) -> Place:
    return Place(url, tmp_path)


def test_two_workers_and_their_deaths_lose_no_message_and_wake_no_run_twice(place: Place, victim: Start) -> None:
    options = ("--linger", 0.05, "--pause", 0.01, "--concurrency", 2)
    first, second = victim("w1", *options), victim("w2", *options)
    ready(first)
    ready(second)
    runs, chance = [f"r{at}" for at in range(12)], random.Random(7)

    async def talk(engine: Engine, run: str) -> None:
        await engine.start(run, "waits", run)
        for at in range(3):
            await asyncio.sleep(chance.uniform(0, 1.0))
            await engine.send(run, "go", at, key=str(at))

    async def die() -> None:
        await asyncio.sleep(0.8)
        first.kill()
        await asyncio.to_thread(first.wait)
        await asyncio.to_thread(lambda: ready(victim("w3", *options)))
        second.kill()
        await asyncio.to_thread(second.wait)

    async def story() -> None:
        engine = await launch(place.url, "asker", concurrency=0)
        try:
            await asyncio.gather(die(), *(talk(engine, run) for run in runs))
            for run in runs:
                assert await asyncio.wait_for(engine.result(run), 60) == [0, 1, 2]
        finally:
            await engine.close()

    asyncio.run(story())
    again = place.count("start")
    assert len(again) == 36
    assert sum(again.values()) <= 36 + 2 * 2, "only what was under way at a kill ran again"


def test_a_run_that_was_parked_when_all_workers_died_goes_on_with_the_next(place: Place, victim: Start) -> None:
    worker = victim("w1", "--linger", 0.05, "--concurrency", 1)
    ready(worker)

    async def story() -> None:
        engine = await launch(place.url, "asker", concurrency=0)
        try:
            await engine.start("r", "waits", "r")
            await parked(engine, "r")
            worker.kill()
            await asyncio.to_thread(worker.wait)
            for at in range(3):
                await engine.send("r", "go", at, key=str(at))
            await asyncio.to_thread(lambda: ready(victim("w2", "--linger", 0.05)))
            assert await asyncio.wait_for(engine.result("r"), 60) == [0, 1, 2]
        finally:
            await engine.close()

    asyncio.run(story())
    assert {name for *_, name in place.notes()} == {"w2"}
