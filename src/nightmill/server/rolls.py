"""The ledger, gone through for those who ask the server: its chain by one of them at a time, its words by each a few times."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from nightmill.errors import NotYet
from nightmill.server.problem import Refused
from nightmill.store import Broken, Ledger

__all__ = ["gone_through", "looked_through"]

ONE = threading.BoundedSemaphore(1)
"""Chains that are gone through at once: it reads all that there is."""
SEARCHES = 3
"""Searches of one person at once: each may go through 200,000 entries."""

looking = Counter[str]()
lock = threading.Lock()


def gone_through(ledger: Ledger) -> tuple[int, Broken | None]:
    """How many entries *ledger* has, and the first that does not hold.

    Raises:
        NotYet: If somebody has it gone through just now.
    """
    if not ONE.acquire(blocking=False):
        raise NotYet("somebody has it verified just now", hint="try again in a moment", seconds=2)
    try:
        return ledger.last(), ledger.verify()
    finally:
        ONE.release()


@contextmanager
def looked_through(who: str) -> Iterator[None]:
    """Let *who* look for something.

    Raises:
        Refused: If they look for as much as one may at once.
    """
    with lock:
        if looking[who] >= SEARCHES:
            raise Refused(
                429, f"you look for {SEARCHES} things already", hint="wait for one", headers={"Retry-After": "2"}
            )
        looking[who] += 1
    try:
        yield
    finally:
        with lock:
            looking[who] -= 1
            if not looking[who]:
                del looking[who]
