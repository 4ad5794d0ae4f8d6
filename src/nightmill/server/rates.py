"""How often somebody may try: a token bucket for each, in memory that stays bounded whoever knocks."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Rate", "Rates"]

MOST = 20_000
"""Buckets of one kind; of more, the one that was used least lately is forgotten, which by then is mostly full again."""


@dataclass(frozen=True, slots=True)
class Rate:
    """*burst* at once, and then one each *seconds*."""

    burst: int
    seconds: float


class Rates:
    """Buckets by kind and name. Who fills those of one kind has none of another forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._one = threading.Lock()
        self._kinds = defaultdict[str, OrderedDict[str, tuple[float, float]]](OrderedDict)

    def take(self, what: str, who: str, rate: Rate) -> float:
        """Let *who* do *what* once; 0 if they may, else the seconds until they may."""
        with self._one:
            now, buckets = self.clock(), self._kinds[what]
            left, at = buckets.pop(who, (float(rate.burst), now))
            left = min(float(rate.burst), left + (now - at) / rate.seconds)
            buckets[who] = (left - 1 if left >= 1 else left, now)
            while len(buckets) > MOST:
                buckets.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) * rate.seconds

    def give_back(self, what: str, who: str) -> None:
        """What *who* did last did not count: the next may come at once."""
        with self._one:
            if (found := self._kinds[what].get(who)) is not None:
                self._kinds[what][who] = (found[0] + 1, found[1])
