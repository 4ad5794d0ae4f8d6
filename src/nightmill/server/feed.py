"""The ledger as it grows, for everybody who watches: one look at it serves all of them.

A watcher names the last entry that it has and gets every later one that it may see, once and in order. What happens is
put on one tape, which all of them read at their own pace; who is further behind than the tape reaches reads the ledger
until they are on it. So a watcher costs the piece that it is given just now, however slow it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from nightmill import event as e
from nightmill.server.board import Board, Written
from nightmill.server.past import MOST, Past, following
from nightmill.server.stretch import Item, Place, Stretch, Wants
from nightmill.server.watcher import Watcher
from nightmill.store import Entry

__all__ = ["RESUME", "Feed", "Source"]

LOOK = 0.05
"""Seconds between two looks at the ledger, while anybody watches."""
PAGE = 500
"""Entries that are read at once."""
KNOWN = 20_000
"""Runs whose project is remembered."""

RIGHTS = frozenset(each.name for each in (e.PersonRemoved, e.GrantChanged, e.PasswordChanged, e.TokenRevoked))
"""Events after which somebody may not be told what follows."""

QUIET = b": all is well\n\n"
RESUME = b"event: resume\ndata: {}\n\n"
"""Said to one that is let go: come again and name the last entry that you have."""


class Source(Protocol):
    """Where entries come from. Its methods block, but `stirred`."""

    def stirred(self) -> bool:
        """Whether there may be more than at the last call; for microseconds."""
        ...

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
        self.ask: Callable[[], Awaitable[None]] = _nothing
        """Asks who may still watch, and ends the streams of others."""
        self.board = None if drafts is None else Board(drafts, self.places)
        self.watchers: set[Watcher] = set()
        self.tape = Stretch(0, 0)
        self._whole: Stretch | None = None
        """The tape, if a look found that it had all that there was."""
        self._behind: set[Watcher] = set()
        self.past = Past(self._read)
        self._somebody = asyncio.Event()
        self._eye = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed")
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
    def watch(
        self, wants: Wants, *, newest: int, seen: int, alone: Callable[[], str | None], drafts: str = ""
    ) -> Iterator[Watcher]:
        """A watcher that has *seen* all up to that number; *newest* was so a moment ago."""
        if not self.watchers:
            self.tape = Stretch(newest, newest)
        watcher = Watcher(wants, seen, alone=alone, drafts=drafts)
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
            self._here(watcher)

    async def frames(
        self, wants: Wants, *, after: int | None, alone: Callable[[], str | None] = lambda: None, drafts: str = ""
    ) -> AsyncGenerator[bytes]:
        """The stream for one watcher: what it has missed since *after* (None: nothing), then what comes, then `RESUME`.

        If all that it wants is of one run, as things stand, *alone* names that; it blocks. With what the run *drafts*, and
        what it started, write just now: these frames have no number, and are none to go on from.
        """
        newest = self.tape.end
        if not self.watchers or after is None or after > newest:
            newest = await asyncio.to_thread(self.source.last)
        seen = newest if after is None else min(after, newest)  # of a store that was put back, it may have seen more
        with self.watch(wants, newest=newest, seen=seen, alone=alone, drafts=drafts) as watcher:
            yield b"retry: 1000\n\n"
            while not watcher.gone:
                if watcher.seen < self.tape.start:
                    if piece := await self._missed(watcher):
                        yield piece
                elif piece := watcher.take(self.tape, upto=self.tape.end):
                    yield piece
                elif not await watcher.rest():
                    yield QUIET
            yield RESUME

    async def told(self, wants: Wants, *, over: asyncio.Event) -> AsyncGenerator[list[Item] | None]:
        """What happens from now on until it is *over*: first nothing, as soon as nothing is missed; None for more than is kept."""
        newest = self.tape.end if self.watchers else await asyncio.to_thread(self.source.last)
        with self.watch(wants, newest=newest, seen=newest, alone=lambda: None) as watcher:
            ending = asyncio.ensure_future(over.wait())
            ending.add_done_callback(lambda _: watcher.let_go())
            try:
                yield []
                while not watcher.gone:
                    found = [item for item in self.tape.after(watcher.seen) if wants(item)]
                    missed, watcher.seen = watcher.seen < self.tape.start, max(watcher.seen, self.tape.end)
                    if missed or found:
                        yield None if missed else found
                    else:
                        await watcher.rest()
            finally:
                ending.cancel()

    def close(self) -> None:
        """Let everybody go."""
        for watcher in list(self.watchers):
            watcher.let_go()

    async def _missed(self, watcher: Watcher) -> bytes:
        """The next piece of what *watcher* has missed; empty if it wants none of that."""
        self._behind.add(watcher)
        if watcher.seen >= watcher.goal:
            # Whether it is alone is asked once it is known up to where that counts: a run that is started later comes later.
            watcher.goal = self.tape.end
            few = watcher.goal - watcher.seen <= MOST
            watcher.run = None if few else await asyncio.to_thread(watcher.alone)
        after, goal, run, limit = watcher.seen, watcher.goal, watcher.run, watcher.limit
        near = self.tape.start - after < self.tape.end - self.tape.start  # no further from the tape than that is long
        async with self.past.page(after=after, goal=goal, run=run, limit=limit, near=near) as page:
            watcher.limit = following(watcher.limit, page)
            piece = watcher.take(page, upto=goal)
            self.past.count(len(piece))
        if watcher.seen >= self.tape.start:
            self._here(watcher)
        return piece

    def _here(self, watcher: Watcher) -> None:
        """*watcher* misses nothing any more; once that is so of all, no page is kept for another."""
        self._behind.discard(watcher)
        if not self._behind:
            self.past.forget()

    async def _look(self) -> bool:
        tape = self.tape
        if not self.source.stirred() and tape is self._whole:
            return False
        self._whole = None
        page = await asyncio.get_running_loop().run_in_executor(self._eye, self._new, tape.end)
        items = await self._items(page)
        if tape is not self.tape:  # all have left meanwhile, and others have come
            return False
        if not items:
            self._whole = tape
            return False
        names = {entry.name for entry in page}
        if e.EntriesForgotten.name in names:
            tape.forget()
            self.past.forget()
        if not names.isdisjoint(RIGHTS):
            await self.ask()
        tape.add(items)
        for watcher in self.watchers:
            watcher.offer(items)
        return True

    def _new(self, after: int) -> Sequence[Entry]:
        return self.source.read(after=after, limit=PAGE) if self.source.last() > after else ()

    async def _read(self, after: int, limit: int, run: str | None) -> list[Item]:
        return await self._items(await asyncio.to_thread(self.source.read, after=after, limit=limit, run=run))

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


async def _nothing() -> None:
    """Ask nobody."""


def _item(entry: Entry, place: Place) -> Item:
    told = {"seq": entry.seq, "at": entry.at, "run": entry.run, "project": place.project, "name": entry.name}
    head = json.dumps({**told, "key": entry.key, "hash": entry.hash})
    # The body is one line of ASCII already, see `store.chain.canonical`.
    frame = f'id: {entry.seq}\nevent: {entry.name}\ndata: {head[:-1]}, "body": {entry.body}}}\n\n'
    return Item(entry.seq, entry.name, entry.run, place, frame.encode())
