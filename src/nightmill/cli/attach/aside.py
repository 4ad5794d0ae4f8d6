"""What blocks, in threads beside the screen: what happens is followed, and what is asked for is done."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar

from nightmill.errors import EngineError, NightmillError
from nightmill.kept import Draft, Entry

__all__ = ["Follow", "aside", "known"]

T = TypeVar("T")

ROOM = 2_000
"""Entries that are taken ahead of the screen."""


class Follow:
    """A thread that takes *entries*, and waits while nobody takes them from it.

    It is a daemon, and so holds up no end: what it waits for may not come.
    """

    def __init__(self, entries: Iterator[Entry | Draft | None]) -> None:
        self._entries = entries
        self._found: queue.Queue[Entry | Draft | NightmillError] = queue.Queue(ROOM)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._take, name="follow", daemon=True)
        self._thread.start()

    def taken(self, most: int) -> list[Entry | Draft | NightmillError]:
        """What has come, up to *most* of it; the error for which it ended, if it did, is the last."""
        found: list[Entry | Draft | NightmillError] = []
        with suppress(queue.Empty):
            while len(found) < most:
                found.append(self._found.get_nowait())
        return found

    def end(self) -> None:
        """Take no more; what is waited for may still come."""
        self._ends.set()

    def _take(self) -> None:
        try:
            for entry in self._entries:
                if entry is not None:
                    self._put(entry)
                if self._ends.is_set():
                    return
        except Exception as error:
            if (failed := known(error)) is None:
                raise
            self._put(failed)

    def _put(self, found: Entry | Draft | NightmillError) -> None:
        while not self._ends.is_set():
            with suppress(queue.Full):
                self._found.put(found, timeout=0.2)
                return


async def aside(do: Callable[[], T]) -> T:
    """What *do* gives, from a thread of its own, which nobody waits for at the end of the program.

    Raises:
        NightmillError: As *do* does.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if not done.done():
            done.set_exception(error) if error else done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        failed: Exception | None = None
        try:
            result = do()
        except Exception as error:  # noqa: BLE001 - it is raised where it is awaited
            failed = known(error) or error
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, name="aside", daemon=True).start()
    return await done


def known(error: Exception) -> NightmillError | None:
    """*error* as one of ours, if it is of the kind that a store far away or a full disk makes."""
    if isinstance(error, NightmillError):
        return error
    if isinstance(error, OSError) or type(error).__module__ == "sqlalchemy.exc":
        return EngineError(f"the store cannot be used: {getattr(error, 'orig', None) or error}")
    return None
