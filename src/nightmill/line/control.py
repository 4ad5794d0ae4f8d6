"""What people want of a run that is live in this process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from nightmill.errors import NightmillError
from nightmill.line.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["Cancelled", "Control"]

T = TypeVar("T")
AGAIN = "start it again with `nightmill run`"


class Cancelled(NightmillError):
    """A person cancelled the run."""


class Control:
    """The latest wish: "run", "pause" or "cancel", and whose it is. The worker sets it, the run looks at it.

    *words* is how many words people have said to the run: only if that is more than it heard does it look for them.
    *writing* is what it writes just now, which is shown while it is *watched*.
    """

    def __init__(self) -> None:
        self.wanted = "run"
        self.by = ""
        self.words = 0
        self.watched = False
        self.writing = Writing()
        self._cancelled = asyncio.Event()

    def want(self, wanted: str, by: str) -> None:
        """Take note of a wish; a cancelled run stays cancelled."""
        if self.wanted == "cancel":
            return
        self.wanted, self.by = wanted, by
        if wanted == "cancel":
            self._cancelled.set()

    def said(self, words: int) -> None:
        """Take note that people have said so many words by now."""
        self.words = max(self.words, words)

    async def unless_cancelled(self, work: Coroutine[Any, Any, T]) -> T:
        """Await *work*, and end it at once when the run is cancelled.

        Raises:
            Cancelled: If the run was cancelled before *work* ended.
        """
        if self._cancelled.is_set():
            work.close()
            raise Cancelled("the run was cancelled", hint=AGAIN)
        task = asyncio.ensure_future(work)
        bell = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait({task, bell}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise Cancelled("the run was cancelled", hint=AGAIN)
        finally:
            bell.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
                if not task.cancelled():
                    task.exception()  # what failed while it was being cancelled is of no interest any more
