"""What happens to runs when their workers die."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nightmill.durable import Bounds, Engine, Recovery
from nightmill.errors import SandboxError
from nightmill.store import Database, Workers

VICTIM = Path(__file__).with_name("victim.py")
PATIENCE = 60.0

Start = Callable[..., subprocess.Popen[str]]


class Place:
    """A store, an engine's database and the notes of the victims that work on them."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.store = f"sqlite:///{folder}/ours.db"
        self.out = folder / "notes"
        self.out.touch()
        Database.open(self.store).close()

    def notes(self) -> list[list[str]]:
        return [line.split() for line in self.out.read_text().splitlines()]

    def count(self, kind: str) -> Counter[tuple[str, str]]:
        return Counter((run, step) for word, run, step, _ in self.notes() if word == kind)


def until(holds: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.01)
    return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(f"sqlite:///{tmp_path}/engine.db", tmp_path)


@pytest.fixture
def victim(place: Place) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(name: str, *options: object) -> subprocess.Popen[str]:
        words = [sys.executable, str(VICTIM), place.url, place.store, name, str(place.out), *map(str, options)]
        with place.out.with_name(f"{name}.err").open("w") as talk:
            started.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=talk, text=True))
        return started[-1]

    yield start
    for process in started:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_after_a_kill_another_worker_ends_every_run_and_repeats_no_finished_step(
    kind: str, place: Place, victim: Start, request: pytest.FixtureRequest
) -> None:
    if kind == "postgresql":
        place.url = request.getfixturevalue("fresh_postgres")
    first = victim("w1", "--start", 12, "--steps", 6, "--pause", 0.1)
    until(lambda: place.count("end").total() >= 30)
    first.kill()
    first.wait()
    ended, begun = place.count("end"), place.count("start")

    second = victim("w2", "--await", 12, "--steps", 6, "--pause", 0.01)
    said, _ = second.communicate(timeout=PATIENCE)

    assert second.returncode == 0
    assert said.splitlines() == ["ready", *(f"r{at} 15" for at in range(12))]
    again = {step: times for step, times in place.count("start").items() if times > 1}
    assert set(again) <= set(begun), "only what was under way at the kill may run again"
    # A body may have ended a moment before the kill and not have been recorded: at least once, and at most twice.
    assert max(place.count("start").values()) <= 2
    assert len(again) <= 10, "at most one step of each run that was running"
    assert len(set(again) & set(ended)) <= 10


def test_the_runs_of_a_killed_worker_go_to_those_that_live(place: Place, victim: Start) -> None:
    workers = [victim(f"w{at}", "--steps", 6, "--pause", 0.1, "--concurrency", 4) for at in range(2)]
    for each in workers:
        ready(each)
    asker = victim("asker", "--start", 8, "--await", 8, "--steps", 6, "--concurrency", 0)
    until(lambda: {name for *_, name in place.notes()} >= {"w0", "w1"})

    workers[0].kill()
    workers[0].wait()
    dead = len(place.notes())
    said, _ = asker.communicate(timeout=PATIENCE)

    assert asker.returncode == 0
    assert said.splitlines()[1:] == [f"r{at} 15" for at in range(8)]
    assert {name for *_, name in place.notes()[dead:]} <= {"w1"}
    assert max(place.count("start").values()) <= 2


def test_a_worker_that_was_only_frozen_finds_its_runs_gone_and_does_not_go_on(place: Place, victim: Start) -> None:
    zombie = victim("zombie", "--start", 1, "--steps", 5, "--pause", 0.5, "--host", "far", "--beat", 0.5)
    until(lambda: place.count("start")["r0", "2"])
    zombie.send_signal(signal.SIGSTOP)

    # On another host only silence tells, and it is taken for dead.
    heir = victim("heir", "--await", 1, "--steps", 5, "--pause", 0.01, "--host", "near", "--stale", 1)
    said, _ = heir.communicate(timeout=PATIENCE)
    assert said.splitlines() == ["ready", "r0 10"]
    zombie.send_signal(signal.SIGCONT)
    until(lambda: "taken for dead" in place.out.with_name("zombie.err").read_text())

    begun = place.count("start")
    assert begun == {("r0", str(at)): 1 + (at == 2) for at in range(5)}, (
        "the step that was frozen, and no other, ran twice"
    )
    assert {name for word, _, step, name in place.notes() if step in "34"} == {"heir"}


def test_adopting_twice_and_by_several_at_once_changes_nothing_more(place: Place, victim: Start) -> None:
    first = victim("w1", "--start", 6, "--steps", 50, "--pause", 0.05)
    until(lambda: len({run for _, run, *_ in place.notes()}) == 6)
    first.kill()
    first.wait()

    async def story() -> None:
        engine = await launch(place.url, "idle", concurrency=0)
        assert sorted(await engine.holds("w1")) == [f"r{at}" for at in range(6)]
        rounds = await asyncio.gather(*(engine.adopt(["w1"]) for _ in range(3)))
        assert {run for adopted in rounds for run in adopted} == {f"r{at}" for at in range(6)}
        assert await engine.adopt(["w1"]) == []
        assert {await engine.status(f"r{at}") for at in range(6)} == {"queued"}
        await engine.close()

    asyncio.run(story())


def test_runs_of_another_engine_version_are_listed_with_the_reason_until_a_worker_of_it_comes(
    place: Place, victim: Start
) -> None:
    old = victim("w1", "--start", 3, "--steps", 8, "--pause", 0.05, "--version", "0")
    until(lambda: place.count("end").total() >= 3)
    old.kill()
    old.wait()

    async def story() -> None:
        engine = await launch(place.url, "new")
        assert await engine.adopt(["w1"]) == []
        assert {each.run for each in await engine.stranded()} == {"r0", "r1", "r2"}
        assert {each.reason for each in await engine.stranded()} == {
            "it was started under engine version '0', and this is '1'"
        }
        await engine.close()

    asyncio.run(story())
    said, _ = victim("w2", "--await", 3, "--steps", 8, "--version", "0").communicate(timeout=PATIENCE)
    assert said.splitlines()[1:] == ["r0 28", "r1 28", "r2 28"]


def test_an_error_and_a_wait_survive_a_kill_and_come_out_as_the_class_they_were(place: Place, victim: Start) -> None:
    worker = victim("w1")
    ready(worker)

    async def ask() -> None:
        engine = await launch(place.url, "asker", concurrency=0)
        await engine.start("r0", "stops", "r0")
        await asyncio.to_thread(until, lambda: place.count("start"))
        worker.kill()
        await asyncio.to_thread(worker.wait)
        await engine.send("r0", "go", "on", key="go")
        await asyncio.to_thread(lambda: ready(victim("w2")))
        with pytest.raises(SandboxError, match="LimitReached turns on") as caught:
            await engine.result("r0")
        assert caught.value.hint == "raise it"
        await engine.close()

    asyncio.run(ask())
    # The kill may fall between the body and its record; a step whose error was recorded does not run again.
    assert place.count("start")["r0", "fail"] <= 2


def test_a_worker_that_leaves_hands_its_runs_over_at_once(place: Place, victim: Start) -> None:
    worker = victim("w1", "--start", 2, "--steps", 100, "--pause", 0.05, "--host", "far")
    until(lambda: len({run for _, run, *_ in place.notes()}) == 2)
    database = Database.open(place.store)
    ready(worker)
    worker.kill()
    worker.wait()
    Workers(database).leave("w1")

    heir = victim("w2", "--host", "near", "--steps", 100, "--pause", 0.01)
    until(lambda: any(name == "w2" for *_, name in place.notes()))
    assert [each.id for each in Workers(database).alive(stale_seconds=60)] == ["w2"]
    database.close()
    heir.kill()


def test_a_heart_that_stumbles_beats_on(place: Place) -> None:
    """Whatever goes wrong once: a worker without a heart is robbed of its runs and never learns it."""

    class Stumbling(Workers):
        beats = 0

        def beat(self, id: str) -> bool:
            self.beats += 1
            if self.beats == 1:
                raise OSError(24, "Too many open files")
            return super().beat(id)

    async def story() -> None:
        engine = await launch(place.url, "w1")
        workers = Stumbling(database)
        recovery = await Recovery(engine, workers, beat_seconds=0.01).join(version="1")
        await asyncio.to_thread(until, lambda: workers.beats > 1)
        await engine.close()
        await recovery.leave()

    database = Database.open(place.store)
    asyncio.run(story())
    database.close()


async def launch(url: str, name: str, *, concurrency: int = 1) -> Engine:
    async def idle(*_: str) -> None: ...

    bounds = Bounds(concurrency=concurrency)
    known = {"steps": idle, "stops": idle, "waits": idle}
    return await Engine.launch(url, executor_id=name, workflows=known, bounds=bounds, log=logging.getLogger("test"))
