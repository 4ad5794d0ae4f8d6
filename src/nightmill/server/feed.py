"""The ledger as it grows, for everybody who watches: one look at it serves all of them.

A watcher names the last entry that it has and gets every later one that it may see, once and in order. One that does
not read fast enough is let go: it comes again and names where it was, so nobody's memory is the server's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from nightmill.server.board import Board, Written
from nightmill.server.watcher import Item, Place, Wants, Watcher
from nightmill.store import Entry

__all__ = ["RESUME", "Feed", "Source"]

LOOK = 0.05
"""Seconds between two looks at the ledger, while anybody watches."""
PAGE = 500
"""Entries that are read at once."""
FIRST, PIECE = 16, 256 << 10
"""Entries that are read at first of what a watcher has missed, and bytes of them from then on: it may take none of them."""
PAST = 2
"""Who reads what they have missed at once: what happens now goes before it, however many come again together."""
KNOWN = 20_000
"""Runs whose project is remembered."""

RESUME = b"event: resume\ndata: {}\n\n"
"""Said to one that is let go: come again and name the last entry that you have."""


class Source(Protocol):
    """Where entries come from. Its methods block."""

    def last(self) -> int:
        """The number of the newest entry."""
        ...

    def read(self, *, after: int, limit: int, run: str | None = None) -> Sequence[Entry]:
        """Entries after number *after*, oldest first."""
        ...

    def places(self, runs: set[str]) -> dict[str, Place]:
        """The place of each of *runs* that there is."""
        ...


class Feed:
    """For one event loop. `serve` runs as long as the server does; while nobody watches it does nothing at all."""

    def __init__(self, source: Source, drafts: Written | None = None) -> None:
        """*drafts* has what runs write just now; None: nobody gets to see that."""
        self.source = source
        self.board = None if drafts is None else Board(drafts, self.places)
        self.watchers: set[Watcher] = set()
        self.seq = 0
        self._somebody = asyncio.Event()
        self._eye = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed")
        self._past = asyncio.Semaphore(PAST)
        self._places: OrderedDict[str, Place] = OrderedDict()

    async def serve(self) -> None:
        """Look at the ledger, and at what is being written, until cancelled."""
        await asyncio.gather(self._serve(), *([] if self.board is None else [self.board.serve()]))

    async def _serve(self) -> None:
        """A look that fails is made again, later and later."""
        wait = LOOK
        while True:
            await self._somebody.wait()
            try:
                grown = await self._look()
            except Exception:  # noqa: BLE001 - whatever the store has, watchers stay and hear of it when it is over
                wait = min(5.0, wait * 2)
            else:
                wait = 0.0 if grown else LOOK
            await asyncio.sleep(wait)

    @contextlib.contextmanager
    def watch(self, wants: Wants, *, newest: int, after: int, drafts: str = "") -> Iterator[Watcher]:
        """A watcher, to whom all entries come that follow both its *start* and *after*; *newest* was so a moment ago."""
        if not self.watchers:
            self.seq = newest
        watcher = Watcher(wants, self.seq, after, drafts=drafts)
        self.watchers.add(watcher)
        self._somebody.set()
        if drafts and self.board is not None:
            self.board.add(watcher)
        try:
            yield watcher
        finally:
            self.watchers.discard(watcher)
            if self.board is not None:
                self.board.remove(watcher)
            if not self.watchers:
                self._somebody.clear()

    async def frames(
        self, wants: Wants, *, after: int | None, alone: Callable[[], str | None] = lambda: None, drafts: str = ""
    ) -> AsyncGenerator[bytes]:
        """The stream for one watcher: what it has missed since *after* (None: nothing), then what comes, then `RESUME`.

        If what it has missed is all of one run, *alone* names that. It blocks, and is asked once what comes is kept for
        the watcher: a run that is started later is not among what it has missed. With what the run *drafts*, and what
        it started, write just now: these frames have no number, and are none to go on from.
        """
        newest = await asyncio.to_thread(self.source.last)
        seen = newest if after is None else min(after, newest)  # of a store that was put back, it may have seen more
        with self.watch(wants, newest=newest, after=seen, drafts=drafts) as watcher:
            yield b"retry: 1000\n\n"
            run = await asyncio.to_thread(alone) if seen < watcher.start else None
            limit = FIRST
            while seen < watcher.start:
                async with self._past:
                    page = await asyncio.to_thread(self.source.read, after=seen, limit=limit, run=run)
                    items = await self._items([entry for entry in page if entry.seq <= watcher.start])
                wanted = b"".join(item.frame for item in items if wants(item))
                seen = items[-1].seq if items and len(page) == limit else watcher.start
                limit = _next(limit, items)
                del page, items  # while it is not taken, only what is sent is held
                if wanted:
                    yield wanted
            while (more := await watcher.take()) is not None:
                yield more
            yield RESUME

    def close(self) -> None:
        """Let everybody go."""
        for watcher in list(self.watchers):
            watcher.let_go()

    async def _look(self) -> bool:
        page = await asyncio.get_running_loop().run_in_executor(self._eye, self._new)
        items = await self._items(page)
        for item in items:
            for watcher in self.watchers:
                watcher.offer(item)
        if items:
            self.seq = max(self.seq, items[-1].seq)  # `watch` may have begun anew meanwhile, further on
        return bool(items)

    def _new(self) -> Sequence[Entry]:
        return self.source.read(after=self.seq, limit=PAGE) if self.source.last() > self.seq else ()

    async def _items(self, entries: Sequence[Entry]) -> list[Item]:
        """*entries* as they go out. One about no run is of no project: only who sees all of them sees it."""
        places = await self.places({entry.run for entry in entries if entry.run})
        return [_item(entry, places.get(entry.run, Place())) for entry in entries]

    async def places(self, runs: set[str]) -> dict[str, Place]:
        """The place of each of *runs* that there is."""
        if unknown := runs - self._places.keys():
            self._places.update(await asyncio.to_thread(self.source.places, unknown))
        found = {run: self._places[run] for run in runs if run in self._places}
        while len(self._places) > KNOWN:
            self._places.popitem(last=False)
        return found


def _item(entry: Entry, place: Place) -> Item:
    told = {"seq": entry.seq, "at": entry.at, "run": entry.run, "project": place.project, "name": entry.name}
    head = json.dumps({**told, "key": entry.key, "hash": entry.hash})
    # The body is one line of ASCII already, see `store.chain.canonical`.
    frame = f'id: {entry.seq}\nevent: {entry.name}\ndata: {head[:-1]}, "body": {entry.body}}}\n\n'
    return Item(entry.seq, entry.run, place, frame.encode())


def _next(limit: int, items: Sequence[Item]) -> int:
    """How many entries to read after *items*, of which *limit* were asked for: about `PIECE` bytes of such as they are."""
    size = sum(len(item.frame) for item in items)
    return max(1, min(PAGE, limit * 4, PIECE * len(items) // size if size else PAGE))
