"""The live ledger: nothing missed, nothing twice, nothing of what may not be seen, and nobody's memory is the server's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import psycopg
import pytest

from nightmill import event as e
from nightmill.server.feed import RESUME, Feed
from nightmill.server.stretch import Place
from nightmill.store import Entry
from tests.server.conftest import House, frames, role


def steps(run: str, *numbers: int) -> list[e.Event]:
    return [e.PhaseStarted(run=run, phase="work", round=number) for number in numbers]


def test_a_watcher_gets_what_it_missed_and_then_what_happens(house: House) -> None:
    house.run("rone")
    house.tell(*steps("rone", 1, 2))
    with house.program("ada@example.org", role("viewer")) as client:
        start = house.door.ledger.last()
        house.tell(*steps("rone", 3))
        with client.stream("GET", "/api/v1/events", params={"after": start}) as response:
            told = frames(response)
            first = next(told)
            house.tell(*steps("rone", 4))
            second = next(told)

    assert response.headers["content-type"].startswith("text/event-stream")
    assert [first["data"]["body"]["round"], second["data"]["body"]["round"]] == [3, 4]
    assert (first["event"], first["data"]["project"], int(second["id"])) == ("phase_started", "shop", start + 2)


def test_a_server_that_is_started_anew_goes_on_where_each_watcher_was(house: House) -> None:
    house.run("rone")
    seen: list[int] = []
    with house.program("ada@example.org", role("viewer")) as client:
        last = house.door.ledger.last()
        for begin in (0, 10, 20):
            house.tell(*steps("rone", *range(begin, begin + 5)))
            with client.stream("GET", "/api/v1/events", headers={"Last-Event-ID": str(last)}) as response:
                told = frames(response)
                got = [next(told) for _ in range(5)]
                seen += [each["data"]["body"]["round"] for each in got]
                last = int(got[-1]["id"])
                house.tell(*steps("rone", *range(begin + 5, begin + 10)))
                house.stop()
                rest = [each for each in told if each["event"] != "resume"]
                seen += [each["data"]["body"]["round"] for each in rest]
                last = int(rest[-1]["id"]) if rest else last
            house.start()
        with client.stream("GET", "/api/v1/events", headers={"Last-Event-ID": str(last)}) as response:
            told = frames(response)
            while seen[-1] != 29:
                seen.append(next(told)["data"]["body"]["round"])

    assert seen == list(range(30))


@pytest.mark.parametrize("house", ["postgresql"], indirect=True)
def test_a_database_that_hangs_up_on_everybody_is_gone_on_with_and_nothing_is_missed(
    house: House, fresh_postgres: str
) -> None:
    house.run("rone")
    with (
        house.program("ada@example.org", role("viewer")) as client,
        client.stream("GET", "/api/v1/events", params={"after": house.door.ledger.last()}) as response,
    ):
        told = frames(response)
        house.tell(*steps("rone", 1))
        seen = [next(told)["data"]["body"]["round"]]
        for number in (2, 3):
            with psycopg.connect(fresh_postgres, autocommit=True) as other:
                ended = other.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                ).fetchone()
            assert ended is not None
            assert ended[0] > 0
            house.tell(*steps("rone", number))
            seen.append(next(told)["data"]["body"]["round"])
        assert client.get("/api/v1/runs/rone").status_code in {200, 503}

    assert seen == [1, 2, 3]


def test_nobody_hears_of_a_project_that_they_may_not_see(house: House) -> None:
    house.run("rshop")
    house.run("rbarn", project="barn")
    with (
        house.program("ada@example.org", role("viewer", "barn")) as client,
        client.stream("GET", "/api/v1/events", params={"after": 0}) as response,
    ):
        told = frames(response)
        house.tell(*steps("rshop", 1), *steps("rbarn", 2), *steps("rshop", 3), *steps("rbarn", 4))
        heard = [next(told)["data"] for _ in range(3)]

    assert {each["run"] for each in heard} == {"rbarn"}
    assert [each["name"] for each in heard] == ["run_queued", "phase_started", "phase_started"]


def test_a_stream_of_one_run_is_of_what_it_started_too(house: House) -> None:
    house.run("rspec")
    house.run("rspec-1", parent="rspec")
    house.run("rother")
    with (
        house.program("ada@example.org", role("viewer")) as client,
        client.stream("GET", "/api/v1/events", params={"run": "rspec", "after": 0}) as response,
    ):
        told = frames(response)
        heard = [next(told)["data"]["run"] for _ in range(2)]
        house.tell(*steps("rother", 1), *steps("rspec-1", 2))
        heard.append(next(told)["data"]["run"])
        house.run("rspec-2", parent="rspec")
        house.run("rspec-2-1", parent="rspec-2")
        heard += [next(told)["data"]["run"] for _ in range(2)]

    assert heard == ["rspec", "rspec-1", "rspec-1", "rspec-2", "rspec-2-1"]


class Memory:
    """A ledger in memory that a test fills."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.looks = self.lasts = self._seen = 0

    def stirred(self) -> bool:
        self.looks += 1
        before, self._seen = self._seen, len(self.entries)
        return self._seen != before

    def add(self, number: int) -> None:
        for _ in range(number):
            seq = len(self.entries) + 1
            self.entries.append(Entry(seq=seq, at=0.0, run="r", name="n", key=None, body="{}", hash=""))

    def last(self) -> int:
        self.lasts += 1
        return len(self.entries)

    def read(self, *, after: int, limit: int, run: str | None = None) -> Sequence[Entry]:
        assert run is None
        return self.entries[after : after + limit]

    def places(self, runs: set[str]) -> dict[str, Place]:
        return dict.fromkeys(runs, Place("p"))


async def numbers(feed: Feed, *, after: int | None) -> list[int]:
    """The ids that come until it is let go."""
    found: list[int] = []
    async for frame in feed.frames(lambda _: True, after=after):
        found += [int(line[4:]) for line in frame.decode().splitlines() if line.startswith("id: ")]
        if frame == RESUME:
            break
    return found


def test_watchers_who_come_at_any_time_all_get_the_same_without_a_gap_or_a_double() -> None:
    async def scenario() -> list[list[int]]:
        memory = Memory()
        feed = Feed(memory)
        serving = asyncio.create_task(feed.serve())
        watching = []
        for number in range(41):
            memory.add(37)
            watching.append(asyncio.create_task(numbers(feed, after=number % 5)))
            await asyncio.sleep(0.01)
        while len(feed.watchers) < len(watching):
            await asyncio.sleep(0.01)
        for watcher in list(feed.watchers):
            while watcher.seen < memory.last():
                await asyncio.sleep(0.01)
        feed.close()
        found = await asyncio.gather(*watching)
        serving.cancel()
        return found

    found = asyncio.run(scenario())
    assert len(found) == 41
    for number, each in enumerate(found):
        assert each == list(range(number % 5 + 1, 41 * 37 + 1))


def test_one_that_comes_while_a_look_for_another_is_under_way_hears_nothing_twice() -> None:
    class Held(Memory):
        """A ledger whose first look takes until it is let on."""

        def __init__(self) -> None:
            super().__init__()
            self.begun, self.go, self.first = threading.Event(), threading.Event(), True

        def read(self, *, after: int, limit: int, run: str | None = None) -> Sequence[Entry]:
            found, first, self.first = super().read(after=after, limit=limit, run=run), self.first, False
            if first:
                self.begun.set()
                assert self.go.wait(60)
            return found

    async def scenario() -> list[int]:
        memory = Held()
        feed = Feed(memory)
        serving = asyncio.create_task(feed.serve())
        one = feed.frames(lambda _: True, after=None)
        await anext(one)
        memory.add(5)
        assert await asyncio.to_thread(memory.begun.wait, 60)
        await one.aclose()  # type: ignore[attr-defined]
        memory.add(5)
        other = feed.frames(lambda _: True, after=0)
        await anext(other)
        memory.go.set()
        found = [await anext(other)]
        memory.add(1)
        while not found[-1].count(b"id: 11\n"):
            found.append(await anext(other))
        serving.cancel()
        await other.aclose()  # type: ignore[attr-defined]
        return [int(line[4:]) for line in b"".join(found).decode().splitlines() if line.startswith("id: ")]

    assert asyncio.run(scenario()) == list(range(1, 12))


def test_while_nobody_watches_nothing_is_asked() -> None:
    class Asked(Memory):
        looks = 0

        def last(self) -> int:
            self.looks += 1
            return super().last()

    async def scenario() -> int:
        memory = Asked()
        feed = Feed(memory)
        serving = asyncio.create_task(feed.serve())
        await asyncio.sleep(0.3)
        serving.cancel()
        return memory.looks

    assert asyncio.run(scenario()) == 0


def test_a_ledger_into_which_nobody_writes_is_not_asked_again_and_what_comes_at_once_is_heard_whole() -> None:
    async def scenario() -> tuple[int, int]:
        memory = Memory()
        feed = Feed(memory)
        serving = asyncio.create_task(feed.serve())
        told = feed.frames(lambda _: True, after=None)
        await anext(told)
        memory.add(1_200)
        heard: list[int] = []
        while heard[-1:] != [1_200]:
            heard += [int(line[4:]) for line in (await anext(told)).decode().splitlines() if line.startswith("id: ")]
        assert heard == [*range(1, 1_201)]
        looks = memory.looks
        while memory.looks < looks + 2:
            await asyncio.sleep(0)
        lasts, looks = memory.lasts, memory.looks
        while memory.looks < looks + 3:
            await asyncio.sleep(0)
        serving.cancel()
        return lasts, memory.lasts

    before, after = asyncio.run(scenario())
    assert before == after
