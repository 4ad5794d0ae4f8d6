"""What a run writes just now, on the stream: newest state only, by nobody's number, to those who may see the run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from nightmill.client import Client, Connection
from nightmill.kept import Draft, Entry, Piece
from nightmill.server.feed import Feed
from nightmill.store.drafts import Drafts, Mark
from tests.server.conftest import House, frames, role
from tests.server.test_feed import Memory, steps

EVIL = "<script>alert(1)</script>\n\nevent: run_done\ndata: {}"


@pytest.fixture(autouse=True)
def lasting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written counts however slow the machine is."""
    monkeypatch.setattr("nightmill.store.drafts.STAYS", 600.0)


def draft(run: str, text: str, *, attempt: str = "a") -> Draft:
    piece = Piece(kind="text", name="", text=text, cut=0)
    return Draft(run=run, role="developer", turn=3, attempt=attempt, pieces=(piece,))


def write(house: House, number: int, each: Draft) -> None:
    """As the worker of the run does."""
    Drafts(house.door.database).put([(number, each)], begun={each.attempt})


def test_it_is_seen_as_it_grows_without_a_number_and_when_it_is_gone(house: House) -> None:
    house.run("rone")
    write(house, 0, draft("rone", "I look"))
    with house.program("ada@example.org", role("viewer")) as client:
        asked = {"after": 0, "run": "rone", "drafts": "true"}
        with client.stream("GET", "/api/v1/events", params=asked) as response:
            told = frames(response)
            entry, first = next(told), next(told)
            assert house.door.runs.wanted(["rone"])["rone"].watched
            write(house, 1, draft("rone", EVIL))
            second = next(told)
            Drafts(house.door.database).put([], gone=[draft("rone", "")])
            third = next(told)
            house.tell(*steps("rone", 1))
            last = next(told)

    assert [each["event"] for each in (entry, first, second, third, last)] == [
        "run_queued",
        *["draft"] * 3,
        "phase_started",
    ]
    assert ["id" in each for each in (entry, first, second, third, last)] == [True, False, False, False, True]
    said = first["data"]
    assert said | {"pieces": []} == {
        "run": "rone", "project": "shop", "role": "developer", "turn": 3, "attempt": "a", "pieces": []
    }  # fmt: skip
    assert said["pieces"] == [{"kind": "text", "name": "", "text": "I look", "cut": 0, "by": ""}]
    assert second["data"]["pieces"][0]["text"] == EVIL
    assert third["data"]["pieces"] == []


def test_the_client_gives_it_between_the_entries_and_goes_on_after_the_last_entry(house: House) -> None:
    house.run("rspec")
    house.run("rspec-1", parent="rspec")
    house.run("rother")
    owner = house.let_in("ada@example.org", role("viewer"))
    token = house.site.keys.make("t", owner=owner, scopes=("view",), seconds=3600)
    connection = Connection(house.url, token, sleep=lambda _: None)
    seen: list[Entry | Draft] = []
    for each in Client(connection).stream("rspec", after=0, drafts=True):
        seen += [each] if each is not None else []
        if len(seen) == 2 and each is not None:
            write(house, 0, draft("rother", "Not this"))
            write(house, 0, draft("rspec-1", "I look"))
        if seen and isinstance(seen[-1], Draft):
            break
    connection.close()

    assert seen[2:] == [draft("rspec-1", "I look")]


def test_who_may_not_see_the_run_and_who_does_not_ask_see_none_and_nothing_is_watched(house: House) -> None:
    house.run("rshop")
    write(house, 0, draft("rshop", "I look"))
    with house.program("eve@example.org", role("viewer", "barn")) as client:
        refused = client.get("/api/v1/events", params={"run": "rshop", "drafts": "true"})
    heard = []
    with house.program("ada@example.org", role("viewer")) as client:
        for asked in ({"run": "rshop"}, {"drafts": "true"}):
            with client.stream("GET", "/api/v1/events", params={"after": "0", **asked}) as response:
                told = frames(response)
                heard.append(next(told)["event"])
                house.tell(*steps("rshop", 1))
                heard.append(next(told)["event"])

    assert refused.status_code == 404
    assert "draft" not in heard
    assert not house.door.runs.wanted(["rshop"])["rshop"].watched


class Written:
    """Drafts in memory that a test fills, and how often they are asked for."""

    def __init__(self) -> None:
        self.now: dict[str, tuple[Mark, Draft]] = {}
        self.asked: list[str] = []

    def watch(self, runs: Collection[str], *, seconds: float) -> None:
        self.asked.append(f"watch {' '.join(sorted(runs))}")

    def marks(self) -> dict[str, Mark]:
        self.asked.append("marks")
        return {run: mark for run, (mark, _) in self.now.items()}

    def read(self, runs: Collection[str]) -> dict[str, tuple[Mark, Draft]]:
        self.asked.append(f"read {' '.join(sorted(runs))}")
        return {run: self.now[run] for run in runs}

    def put(self, number: int, each: Draft) -> None:
        self.now[each.run] = Mark(each.attempt, number), each


def told(frame: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in frame.decode().splitlines() if line.startswith("data: ")]


def test_one_look_serves_all_who_watch_and_who_is_slow_gets_the_newest_alone() -> None:
    async def scenario() -> tuple[list[str], list[dict[str, Any]], int]:
        written = Written()
        feed = Feed(Memory(), written)
        serving = asyncio.create_task(feed.serve())
        await asyncio.sleep(0.3)
        assert not written.asked, "while nobody watches nothing is asked"
        watching = [feed.frames(lambda _: True, after=None, drafts=f"r{number % 3}") for number in range(30)]
        for each in watching:
            await anext(each)
        written.put(0, draft("r0", "one"))
        quick = told(await anext(watching[0]))
        for number in range(1, 4):
            written.put(number, draft("r0", f"{number} more"))
            quick += told(await anext(watching[0]))
        slow = [each for watcher in watching[1:] for each in told(await anext(watcher))]
        reads = [each for each in written.asked if each.startswith("read")]
        watched = [each for each in written.asked if each.startswith("watch")]
        assert watched == [*watched[:-1], "watch r0 r1 r2"]
        feed.close()
        serving.cancel()
        assert [each["pieces"][0]["text"] for each in quick] == ["one", "1 more", "2 more", "3 more"]
        return reads, slow, len(watching)

    reads, slow, count = asyncio.run(scenario())
    assert reads == ["read r0"] * 4
    assert [each["pieces"][0]["text"] for each in slow] == ["3 more"] * (count - 1)


def test_a_frame_of_a_draft_never_moves_where_a_watcher_goes_on() -> None:
    async def scenario() -> bytes:
        memory, written = Memory(), Written()
        feed = Feed(memory, written)
        serving = asyncio.create_task(feed.serve())
        written.put(0, replace(draft("r", "x" * 7_000), turn=1))
        found = b""
        frames_ = feed.frames(lambda _: True, after=0, drafts="r")
        while b"event: draft" not in found or b"id: 3" not in found:
            found += await anext(frames_)
            memory.add(1 if len(memory.entries) < 3 else 0)
        serving.cancel()
        return found

    found = asyncio.run(scenario())
    assert [line for line in found.splitlines() if line.startswith(b"id: ")] == [b"id: 1", b"id: 2", b"id: 3"]
