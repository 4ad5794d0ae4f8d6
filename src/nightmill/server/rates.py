"""How often somebody may try: a token bucket for each, in memory that stays bounded whoever knocks."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Rate", "Rates"]

MOST = 20_000
"""Buckets that are kept; of more, the one that was used least lately is forgotten, which by then is mostly full again."""


@dataclass(frozen=True, slots=True)
class Rate:
    """*burst* at once, and then one each *seconds*."""

    burst: int
    seconds: float


class Rates:
    """Buckets by name. For one thread at a time: each call is one step of it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def take(self, what: str, who: str, rate: Rate) -> float:
        """Let *who* do *what* once; 0 if they may, else the seconds until they may."""
        now, name = self.clock(), (what, who)
        left, at = self._buckets.pop(name, (float(rate.burst), now))
        left = min(float(rate.burst), left + (now - at) / rate.seconds)
        self._buckets[name] = (left - 1 if left >= 1 else left, now)
        while len(self._buckets) > MOST:
            self._buckets.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) * rate.seconds

    def give_back(self, what: str, who: str) -> None:
        """What *who* did last did not count: the next may come at once."""
        if (found := self._buckets.get((what, who))) is not None:
            self._buckets[what, who] = (found[0] + 1, found[1])
