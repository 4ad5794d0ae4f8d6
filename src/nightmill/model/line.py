"""The line before a gate: one at a time stands at its head, in the order in which they first came."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

__all__ = ["Line"]


class Line:
    """Who waits, and who is at the head. What a conversation has waited is not lost when it comes back later."""

    def __init__(self) -> None:
        self._numbers = count()
        self._places: dict[str, int] = {}
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._taken = False

    def __len__(self) -> int:
        return len(self._waiting) + self._taken

    def place(self, conversation: str) -> int:
        """The place of *conversation*, which keeps it until it leaves; of one without a name, a new one each time."""
        number = next(self._numbers)
        return self._places.setdefault(conversation, number) if conversation else number

    async def stand(self, place: int) -> None:
        """Wait at *place* until it is the head of the line. Whoever has been there calls `next`, whatever happened."""
        if not self._taken:
            self._taken = True
            return
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (place, id(called), called))
        try:
            await called
        except BaseException:
            self._waiting = [each for each in self._waiting if each[2] is not called]
            heapq.heapify(self._waiting)
            if called.done() and not called.cancelled():
                self.next()
            raise

    def next(self) -> None:
        """The head of the line is free: whoever is first takes it."""
        self._taken = False
        while self._waiting and not self._taken:
            called = heapq.heappop(self._waiting)[2]
            if not called.done():  # else it was cancelled
                called.set_result(None)
                self._taken = True

    def leave(self, conversation: str) -> None:
        """It got through: when it comes again, it is behind all others."""
        self._places.pop(conversation, None)
