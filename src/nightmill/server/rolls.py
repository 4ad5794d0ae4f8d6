"""The chain of a ledger, gone through for those who ask the server: by one of them at a time."""

from __future__ import annotations

import threading

from nightmill.errors import NotYet
from nightmill.store import Broken, Ledger

__all__ = ["gone_through"]

ONE = threading.BoundedSemaphore(1)
"""Chains that are gone through at once: it reads all that there is."""


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
