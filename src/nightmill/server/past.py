"""What watchers missed, read from the ledger page by page: those who come again together are given the same pages."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import count

from nightmill.server.stretch import Item, Stretch

__all__ = ["FIRST", "MOST", "Past", "following"]

FIRST, MOST = 16, 500
"""Entries of the first page that is read for one who comes, and of any."""
PAGE = 256 << 10
"""Bytes of a page, about."""
KEPT = 8 << 20
"""Bytes of pages that are kept, for others who come to the same place."""
RATE = 64 << 20
"""Bytes in a second, for all together: what happens now, and whatever else this machine does, goes before what is past."""
CREDIT = 0.1
"""Seconds of that which are made up for, if it was slower than it may be."""

Read = Callable[[int, int, "str | None"], Awaitable[Sequence[Item]]]


class Past:
    """For one event loop. *read* gives entries after a number, at most so many, of one run or of all."""

    def __init__(self, read: Read) -> None:
        self.read = read
        self._turns = Turns()
        self._pages: OrderedDict[tuple[str | None, int], Stretch] = OrderedDict()
        self._size = 0
        self._free = 0.0

    @contextlib.asynccontextmanager
    async def page(self, *, after: int, goal: int, run: str | None, limit: int, near: bool) -> AsyncIterator[Stretch]:
        """Entries from right after number *after* on, of *run* or of all; *goal* is the number of one that is there.

        It is read with at most *limit* entries, if nobody was given it before. One has a page at a time. Who is *near*
        goes first: they soon miss nothing, however many are far behind. Those have turns, and so stay together.
        """
        async with self._turns.turn(0 if near else 1):
            await self._pace()
            if (found := self._kept(run, after)) is None:
                found = await self._new(after=after, goal=goal, run=run, limit=limit)
                self.count(found.size)
            yield found

    def count(self, size: int) -> None:
        """So many bytes were read, or are sent."""
        self._free += size / RATE

    def forget(self) -> None:
        """Keep nothing of what was read so far, nor of what is being read."""
        self._pages = OrderedDict()
        self._size = 0

    async def _pace(self) -> None:
        loop = asyncio.get_running_loop()
        if (wait := self._free - loop.time()) > 0:
            await asyncio.sleep(wait)
        self._free = max(self._free, loop.time() - CREDIT)

    async def _new(self, *, after: int, goal: int, run: str | None, limit: int) -> Stretch:
        pages = self._pages
        items = await self.read(after, limit, run)
        end = items[-1].seq if items else after
        page = Stretch(after, end if len(items) == limit else max(end, goal), items)
        if pages is self._pages:
            self._keep(run, page)
        return page

    def _kept(self, run: str | None, after: int) -> Stretch | None:
        found = self._pages.get((run, after)) or next(
            (page for (of, _), page in self._pages.items() if of == run and page.start <= after < page.end), None
        )
        if found is not None:
            self._pages.move_to_end((run, found.start))
        return found

    def _keep(self, run: str | None, page: Stretch) -> None:
        self._pages[run, page.start] = page
        self._size += page.size
        while self._size > KEPT or len(self._pages) > MOST:
            _, old = self._pages.popitem(last=False)
            self._size -= old.size


class Turns:
    """One at a time; of those who wait, the one with the least number goes first."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()

    @contextlib.asynccontextmanager
    async def turn(self, number: int) -> AsyncIterator[None]:
        """The turn of one with *number*."""
        if self._taken:
            mine = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (number, next(self._order), mine))
            try:
                await mine
            except asyncio.CancelledError:
                if mine.done() and not mine.cancelled():  # it was given the turn in the same moment
                    self._next()
                raise
        self._taken = True
        try:
            yield
        finally:
            self._next()

    def _next(self) -> None:
        while self._waiting:
            _, _, first = heapq.heappop(self._waiting)
            if not first.done():
                first.set_result(None)
                return
        self._taken = False


def following(limit: int, page: Stretch) -> int:
    """How many entries to read after *page*, for which *limit* were asked: about `PAGE` bytes of such as they are."""
    return max(1, min(MOST, limit * 4, PAGE * len(page.items) // page.size if page.size else MOST))
