"""What happened since yesterday evening, added up from the ledger: each entry is read once, whoever looks how often."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple

from nightmill import event as e
from nightmill.desk.door import Door
from nightmill.store import Entry

__all__ = ["EVENING", "Landed", "Night", "Nights", "Sums", "evening"]

EVENING = 18
"""The hour of the day at which a night begins."""
HOUR = 3600
KEPT = 48 * HOUR
"""Seconds of which the sums are kept: more than any night is long."""
PAGE = 5_000
"""Entries that are read at once."""
SKEW = 120.0
"""Seconds by which clocks of workers may differ."""

COUNTED = (e.RunQueued.name, e.TurnFinished.name, e.RunDone.name, e.RunStopped.name, e.PullRequestMerged.name)


@dataclass(slots=True)
class Sums:
    """What one hour, or all of them, come to. *cost* is in US dollars; *unpriced* turns have no known price."""

    cost: float = 0.0
    tokens: int = 0
    turns: int = 0
    unpriced: int = 0
    asked: int = 0
    done: int = 0
    stopped: int = 0
    merged: int = 0

    def add(self, other: Sums) -> None:
        """Take *other* in."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Landed(NamedTuple):
    """A pull request that was merged."""

    at: float
    run: str
    project: str
    number: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """From *since* (Unix seconds) to now. *hours*: each by its beginning, without a gap; *landed* the newest first."""

    since: float
    hours: tuple[tuple[float, Sums], ...]
    all: Sums
    landed: tuple[Landed, ...]


@dataclass(slots=True)
class Nights:
    """The nights of a store, as far as anybody asked. Safe in threads."""

    door: Door
    _seen: int = -1
    _sums: dict[tuple[int, str], Sums] = field(default_factory=dict)
    _landed: list[Landed] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def since(self, since: float, *, now: float, projects: Collection[str] | None = None) -> Night:
        """What happened from *since*, less than two days before *now*, in *projects* (None: all). Blocks."""
        with self._lock:
            self._read(now)
            first, last = int(since // HOUR), int(now // HOUR)
            hours: dict[int, Sums] = defaultdict(Sums)
            for (hour, project), sums in self._sums.items():
                if first <= hour and (projects is None or project in projects):
                    hours[hour].add(sums)
            landed = [each for each in self._landed if each.at >= first * HOUR]
        whole = Sums()
        for sums in hours.values():
            whole.add(sums)
        return Night(
            since=first * HOUR,
            hours=tuple((hour * HOUR, hours[hour]) for hour in range(first, last + 1)),
            all=whole,
            landed=tuple(each for each in reversed(landed) if projects is None or each.project in projects),
        )

    def _read(self, now: float) -> None:
        """Take in what was told since the last time; the first time, of the days that are kept."""
        if self._seen < 0:
            self._seen = self.door.ledger.before(now - KEPT - SKEW)
        newest = self.door.ledger.last()
        while self._seen < newest:
            page = self.door.ledger.read(after=self._seen, names=COUNTED, limit=PAGE)
            self._take(page)
            self._seen = page[-1].seq if len(page) == PAGE else max(newest, page[-1].seq if page else 0)
        oldest = int((now - KEPT) // HOUR)
        for key in [each for each in self._sums if each[0] < oldest]:
            del self._sums[key]
        self._landed = [each for each in self._landed if each.at >= oldest * HOUR]

    def _take(self, page: Collection[Entry]) -> None:
        projects = {run.id: run.project for run in self.door.runs.some({each.run for each in page})}
        for each in page:
            project, body = projects.get(each.run, ""), json.loads(each.body)
            sums = self._sums.setdefault((int(each.at // HOUR), project), Sums())
            sums.add(_worth(each.name, body))
            if each.name == e.PullRequestMerged.name:
                self._landed.append(Landed(each.at, each.run, project, body["number"], body["by"]))


def evening(now: float, *, zone: tzinfo | None = None) -> float:
    """The evening before the day of *now*, in *zone* (None: that of this machine), as Unix seconds."""
    here = datetime.fromtimestamp(now, UTC).astimezone(zone)
    began = here.replace(hour=EVENING, minute=0, second=0, microsecond=0) - timedelta(days=1)
    return began.timestamp()


def _worth(name: str, body: dict[str, Any]) -> Sums:
    match name:
        case e.TurnFinished.name:
            tokens = body["usage"].get("input", 0) + body["usage"].get("output", 0)
            return Sums(cost=body["cost"] or 0.0, tokens=tokens, turns=1, unpriced=body["cost"] is None)
        case e.RunQueued.name:
            return Sums(asked=not body.get("parent"))
        case e.RunDone.name:
            return Sums(done=1)
        case e.RunStopped.name:
            return Sums(stopped=1)
        case _:
            return Sums(merged=1)
