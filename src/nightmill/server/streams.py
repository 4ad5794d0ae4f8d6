"""The streams that are open: whose they are, and whether those who have them may go on.

That is asked of the store for all streams of one session or token at once, beside what they are sent: a store that takes
its time holds up no event.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool

from nightmill.server.problem import Refused

__all__ = ["Bound", "Streams"]

AGAIN = 5.0
"""Seconds after which it is asked again whether somebody may still watch, and in which that is answered."""


class Bound(NamedTuple):
    """How many of one kind a person has at once, and what is said to one who wants more."""

    most: int
    said: str


class Shown:
    """A session or token that streams were opened with. *still* says whether they may go on, and blocks."""

    def __init__(self, still: Callable[[], bool]) -> None:
        self.still = still
        self.streams = 0
        self.over = asyncio.Event()


class Streams:
    """For one event loop. `serve` runs as long as the server does; while there are none it asks nothing."""

    def __init__(self) -> None:
        self.count: Counter[tuple[str, Bound]] = Counter()
        self._shown: dict[str, Shown] = {}
        self._some = asyncio.Event()

    @contextlib.contextmanager
    def one(self, who: str, shown: str, still: Callable[[], bool], *, bound: Bound) -> Iterator[asyncio.Event]:
        """Count one of *who*, who has *shown* that; what is given happens when it has to end.

        Raises:
            Refused: If they have as many as one may.
        """
        mine = (who, bound)
        if self.count[mine] >= bound.most:
            raise Refused(429, bound.said, hint="end one", headers={"Retry-After": "5"})
        group = self._shown.setdefault(shown, Shown(still))
        group.streams += 1
        self.count[mine] += 1
        self._some.set()
        try:
            yield group.over
        finally:
            self.count -= Counter([mine])
            group.streams -= 1
            if not group.streams and self._shown.get(shown) is group:
                del self._shown[shown]
            if not self._shown:
                self._some.clear()

    async def serve(self) -> None:
        """Ask again and again, until cancelled."""
        while True:
            await self._some.wait()
            await asyncio.sleep(AGAIN)
            await self.ask()

    async def ask(self) -> None:
        """Ask of all that are open, and end those that may not go on."""
        asked = list(self._shown.items())
        for (shown, group), still in zip(
            asked, await asyncio.gather(*(_still(group) for _, group in asked)), strict=True
        ):
            if not still:
                group.over.set()
                if self._shown.get(shown) is group:
                    del self._shown[shown]


async def _still(group: Shown) -> bool:
    try:
        async with asyncio.timeout(AGAIN):
            return await run_in_threadpool(group.still)
    except TimeoutError:
        return False
