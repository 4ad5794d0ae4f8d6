"""One that watches: what waits for it, and what it may see."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["MOST", "Item", "Place", "Wants", "Watcher"]

MOST, MOST_BYTES = 2_000, 1 << 20
"""Entries, and bytes of them, that wait for one watcher."""
BEAT = 15.0
"""Seconds without an entry after which a watcher hears that all is well."""

QUIET = b": all is well\n\n"


class Place(NamedTuple):
    """Where a run belongs: its project, and the runs *above* it, of which each started the one before."""

    project: str = ""
    above: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """An entry as it goes out: *frame* is its event of the stream, made once for everybody."""

    seq: int
    run: str
    place: Place
    frame: bytes


Wants = Callable[[Item], bool]


class Watcher:
    """One that watches. Made by `Feed.watch`, which names the run of whose drafts it gets the newest, "" for none."""

    def __init__(self, wants: Wants, start: int, after: int, *, drafts: str = "") -> None:
        """*start* is where the feed was: what comes before that it has to read itself, if it has seen less than that."""
        self.wants, self.start, self.after, self.drafts = wants, start, after, drafts
        self.lost = False
        self._shown: dict[str, bytes] = {}
        self._waiting: deque[Item] = deque()
        self._bytes = 0
        self._more = asyncio.Event()

    def offer(self, item: Item) -> None:
        """Put *item* by, if it is wanted; too many at once and it is let go."""
        if self.lost or item.seq <= max(self.start, self.after) or not self.wants(item):
            return
        self._waiting.append(item)
        self._bytes += len(item.frame)
        if len(self._waiting) > MOST or self._bytes > MOST_BYTES:
            self.lost = True
            self._waiting.clear()
        self._more.set()

    def show(self, item: Item) -> None:
        """Put what a run writes by, in place of what it wrote before: who is slow sees the newest of it."""
        if not self.lost and self.wants(item):
            self._shown[item.run] = item.frame
            self._more.set()

    def let_go(self) -> None:
        """It gets nothing more."""
        self.lost = True
        self._more.set()

    async def take(self) -> bytes | None:
        """The frames that wait, `QUIET` if there were none for long; None: it was let go."""
        if not self._waiting and not self._shown and not self.lost:
            self._more.clear()
            try:
                async with asyncio.timeout(BEAT):  # `wait_for` would make a task each time
                    await self._more.wait()
            except TimeoutError:
                return QUIET
        if self.lost:
            return None
        frames = b"".join([*(item.frame for item in self._waiting), *self._shown.values()])
        self._waiting.clear()
        self._shown.clear()
        self._bytes = 0
        return frames
