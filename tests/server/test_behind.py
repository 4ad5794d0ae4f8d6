"""Those who are behind: they have everything in the end, cost next to nothing until then, and hold up nobody."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import pytest

from bench.stage import until
from nightmill import event as e
from nightmill.server import process
from nightmill.server.feed import PAGE, Feed
from nightmill.server.past import FIRST
from nightmill.server.stretch import KEPT, PIECE
from nightmill.store import Entry
from nightmill.store.retention import forget
from tests.server.conftest import ROOT, House, frames, role
from tests.server.test_feed import Memory, numbers, steps


class Large(Memory):
    """A ledger of entries of 100 kB, and how many were read of each place."""

    def __init__(self) -> None:
        super().__init__()
        self.read_: list[tuple[int, int]] = []

    def read(self, *, after: int, limit: int, run: str | None = None) -> Sequence[Entry]:
        found = super().read(after=after, limit=limit, run=run)
        self.read_.append((after, len(found)))
        return [replace(entry, body='"' + "x" * 100_000 + '"') for entry in found]


async def told(frames_: AsyncGenerator[bytes], *, upto: int) -> list[int]:
    """The numbers that come, up to that one."""
    found: list[int] = []
    while not found or found[-1] < upto:
        frame = await anext(frames_)
        assert len(frame) < PIECE + 101_000
        found += [int(number) for number in re.findall(rb"^id: (\d+)$", frame, re.MULTILINE)]
    return found


def test_one_that_does_not_read_costs_one_piece_and_has_everything_once_it_reads() -> None:
    async def scenario() -> tuple[list[int], list[int], int]:
        memory = Large()
        feed = Feed(memory)
        serving = asyncio.create_task(feed.serve())
        slow, quick = (feed.frames(lambda _: True, after=None) for _ in range(2))
        await anext(slow)
        await anext(quick)
        heard: list[int] = []
        for number in range(10, 310, 10):
            memory.add(10)
            heard += await told(quick, upto=number)
        held = feed.tape.size
        late = await told(slow, upto=300)
        await slow.aclose()
        await quick.aclose()
        serving.cancel()
        return heard, late, held

    heard, late, held = asyncio.run(scenario())
    assert heard == late == list(range(1, 301)), "30 MB, of which the tape holds the last"
    assert held <= KEPT


def test_what_many_missed_is_read_once_for_all_of_them_wherever_each_begins() -> None:
    async def scenario() -> tuple[list[list[int]], list[tuple[int, int]], int]:
        memory = Large()
        memory.add(60)
        feed = Feed(memory)
        serving = asyncio.create_task(feed.serve())
        watching = [feed.frames(lambda _: True, after=number % 5) for number in range(40)]
        async with asyncio.timeout(60):
            found = await asyncio.gather(*(told(each, upto=60) for each in watching))
        for each in watching:
            await each.aclose()
        serving.cancel()
        return list(found), memory.read_, len(feed.past._pages)

    found, read, kept = asyncio.run(scenario())
    assert found == [list(range(number % 5 + 1, 61)) for number in range(40)]
    assert sum(size for _, size in read) < 60 + 5 * FIRST, "and not forty times as much"
    assert kept == 0, "once nobody misses anything"


def test_who_misses_little_does_not_wait_for_those_who_miss_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nightmill.server.past.KEPT", 0)
    monkeypatch.setattr("nightmill.server.stretch.KEPT", 400_000)

    class Slow(Large):
        """A ledger that says when the first page is asked for, and waits then."""

        def __init__(self) -> None:
            super().__init__()
            self.asked, self.go = threading.Event(), threading.Event()

        def read(self, *, after: int, limit: int, run: str | None = None) -> Sequence[Entry]:
            if limit < PAGE:
                self.asked.set()
                assert self.go.wait(60)
            return super().read(after=after, limit=limit, run=run)

    async def scenario() -> list[tuple[int, int]]:
        memory = Slow()
        memory.go.set()
        feed = Feed(memory)
        serving = asyncio.create_task(feed.serve())
        here = feed.frames(lambda _: True, after=None)
        await anext(here)
        memory.add(400)
        assert await told(here, upto=400) == list(range(1, 401))
        assert feed.tape.start > 390
        memory.asked.clear()
        memory.go.clear()
        far = [asyncio.create_task(told(feed.frames(lambda _: True, after=0), upto=400)) for _ in range(20)]
        assert await asyncio.to_thread(memory.asked.wait, 60)
        near = asyncio.create_task(told(feed.frames(lambda _: True, after=feed.tape.start - 2), upto=400))
        while len(feed.watchers) < 22:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        memory.read_.clear()
        memory.go.set()
        async with asyncio.timeout(60):
            await near
        before = list(memory.read_)
        for each in far:
            each.cancel()
        serving.cancel()
        return before

    before = asyncio.run(scenario())
    assert len([after for after, _ in before if after < 390]) <= 4


def test_words_that_were_deleted_are_not_told_from_memory(house: House) -> None:
    house.run("rone")
    with (
        house.program("ada@example.org", role("viewer")) as client,
        client.stream("GET", "/api/v1/events", params={"after": (start := house.door.ledger.last())}) as response,
    ):
        told_ = frames(response)
        house.tell(*steps("rone", 1, 2, 3), e.RunDone(run="rone"))
        first = [next(told_)["data"]["body"] for _ in range(4)]
        house.clock.now += 60
        forget(house.door.database, before=house.clock(), by=ROOT, at=house.clock())
        assert next(told_)["event"] == "entries_forgotten"
        with client.stream("GET", "/api/v1/events", params={"after": start}) as again:
            later = [each["data"]["body"] for each, _ in zip(frames(again), range(4), strict=False)]

    assert [each["round"] for each in first[:3]] == [1, 2, 3]
    assert later == [{"forgotten": True}] * 4


def test_what_happens_now_is_heard_however_many_come_again_and_wait_for_what_they_missed() -> None:
    class Heavy(Memory):
        """A ledger in which the past takes as long as a test wants."""

        def __init__(self) -> None:
            super().__init__()
            self.go, self.asked = threading.Event(), 0

        def read(self, *, after: int, limit: int, run: str | None = None) -> Sequence[Entry]:
            if limit < PAGE:  # of what somebody missed
                self.asked += 1
                assert self.go.wait(60)
            return super().read(after=after, limit=limit, run=run)

    async def scenario() -> tuple[bytes, int, int]:
        memory = Heavy()
        memory.add(100)
        feed = Feed(memory)
        serving = asyncio.create_task(feed.serve())
        now = feed.frames(lambda _: True, after=None)
        await anext(now)
        again = [asyncio.create_task(numbers(feed, after=0)) for _ in range(60)]
        while len(feed.watchers) < 61:
            await asyncio.sleep(0.01)
        memory.add(1)
        async with asyncio.timeout(60):
            heard = await anext(now)
        held = memory.asked
        memory.go.set()
        while any(each.seen < 101 for each in feed.watchers):
            await asyncio.sleep(0.01)
        await now.aclose()  # type: ignore[attr-defined]
        for each in again:
            each.cancel()
        serving.cancel()
        return heard, held, memory.asked

    heard, held, asked = asyncio.run(scenario())
    assert b"id: 101\n" in heard
    assert held == 1
    assert asked < 10


def test_what_somebody_missed_is_read_in_pieces_however_large_its_entries_are() -> None:
    memory = Large()
    memory.add(300)

    async def whole() -> int:
        feed, seen = Feed(memory), 0
        async for piece in feed.frames(lambda _: True, after=0):
            seen += piece.count(b"event: n\n")
            if seen == 300:
                break
        return seen

    assert asyncio.run(whole()) == 300
    assert max(size for _, size in memory.read_) <= FIRST
    assert [size for _, size in memory.read_].count(2) > 100


def test_who_takes_nothing_of_what_is_written_is_cut_off_with_all_that_is_kept_for_them(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STUCK", 0.5)
    house.run("rone")
    with house.program("ada@example.org", role("viewer")) as client, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", house.port))
        token = client.headers["Authorization"]
        head = f"GET /api/v1/events?after=0 HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\nAuthorization: {token}\r\n\r\n"
        sock.sendall(head.encode())
        until(lambda: house.site.feed.watchers)
        for number in range(40):
            house.tell(e.FactEmitted(run="rone", step=f"s{number}", fact="f", values={"x": "y " * 100_000}))
        until(lambda: not house.site.feed.watchers)
