"""One that watches: how far it is, and what it may see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from nightmill.server.past import FIRST
from nightmill.server.stretch import Item, Stretch, Wants

__all__ = ["Watcher"]

BEAT = 15.0
"""Seconds without an entry after which a watcher hears that all is well."""


class Watcher:
    """One that watches. Made by `Feed.watch`; *seen* is the number of the last entry that it needs no more.

    Attributes:
        alone: If all that it wants is of one run, as things stand, the name of that. It blocks.
        drafts: The run of whose drafts it gets the newest; "" for none.
        goal: While it reads what it missed: up to where; *run*: of which run alone, *limit*: how many entries at once.
    """

    def __init__(self, wants: Wants, seen: int, *, alone: Callable[[], str | None], drafts: str) -> None:
        self.wants, self.seen, self.alone, self.drafts = wants, seen, alone, drafts
        self.goal, self.limit = 0, FIRST
        self.run: str | None = None
        self.gone = False
        self._resting = False
        self._shown: dict[str, bytes] = {}
        self._more = asyncio.Event()

    def take(self, stretch: Stretch, *, upto: int) -> bytes:
        """The next piece that it wants of *stretch*, up to number *upto*, with what is shown to it; it has seen that then."""
        frames, self.seen = stretch.piece(self.wants, after=self.seen, upto=upto)
        if self._shown:
            frames = b"".join([frames, *self._shown.values()])
            self._shown.clear()
        return frames

    def offer(self, items: Sequence[Item]) -> None:
        """Say that *items* have come. One that waits for what comes wakes up if it wants any of them."""
        if not self._resting:
            return
        if any(item.seq > self.seen and self.wants(item) for item in items):
            self._more.set()
        else:
            self.seen = max(self.seen, items[-1].seq)

    def show(self, item: Item) -> None:
        """Put what a run writes by, in place of what it wrote before: who is slow sees the newest of it."""
        if not self.gone and self.wants(item):
            self._shown[item.run] = item.frame
            self._more.set()

    def let_go(self) -> None:
        """It gets nothing more."""
        self.gone = True
        self._more.set()

    async def rest(self) -> bool:
        """Wait for more; false: nothing has come for long."""
        self._resting = True
        self._more.clear()
        try:
            async with asyncio.timeout(BEAT):  # `wait_for` would make a task each time
                await self._more.wait()
        except TimeoutError:
            return False
        else:
            return True
        finally:
            self._resting = False
