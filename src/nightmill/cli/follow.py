"""Following the ledger of a run and of its tasks until it ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nightmill.cli.screen import IDLE, say
from nightmill.desk.written import Written
from nightmill.event import TaskQueued

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightmill.cli.door import Door
    from nightmill.kept import Draft
    from nightmill.store.ledger import Entry
    from nightmill.store.runs import Run

__all__ = ["entries", "live"]

LOOK = 0.05
"""Seconds between looks at the ledger."""

ALIVE, PATIENCE = 2.0, 8.0
"""Seconds between looks for a live worker, and how long none may be there before a person is told."""


def entries(door: Door, run: Run, *, wait: bool) -> Iterator[Entry | None]:
    """Entries of *run* and of the task runs that it starts, in order; with *wait* until it has ended.

    None says that there is nothing new just now, so that a live view can draw its clock.
    """
    seen = {run.id: 0}
    last = -1
    watch = _Watch(door)
    while True:
        over = door.runs.get(run.id).over
        newest = door.ledger.last()
        if newest != last:
            last = newest
            yield from _new(door, seen)
        if over or not wait:
            return
        yield None
        watch.look(time.monotonic())
        time.sleep(LOOK)


def live(door: Door, run: Run) -> Iterator[Entry | Draft | None]:
    """As `entries` until it has ended, and what is being written meanwhile: each state once, and that it is no more."""
    written = Written(door.database, run.id)
    for entry in entries(door, run, wait=True):
        yield entry
        if entry is None:
            yield from written.fresh(time.monotonic())


class _Watch:
    """Tells the person once when nobody works on what they wait for."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._next = 0.0
        self._absent: float | None = None
        self._told = False

    def look(self, now: float) -> None:
        if now < self._next:
            return
        self._next = now + ALIVE
        if self._door.alive():
            self._absent, self._told = None, False
            return
        self._absent = now if self._absent is None else self._absent
        if not self._told and now - self._absent >= PATIENCE:
            self._told = True
            say(IDLE)


def _new(door: Door, seen: dict[str, int]) -> list[Entry]:
    found: list[Entry] = []
    todo = list(seen)
    while todo:
        run = todo.pop()
        fresh = door.ledger.read(after=seen[run], run=run)
        found += fresh
        seen[run] = fresh[-1].seq if fresh else seen[run]
        queued = [entry.event() for entry in fresh if entry.name == TaskQueued.name]  # others may be of a newer version
        children = [told.child for told in queued if isinstance(told, TaskQueued)]
        todo += [child for child in children if child not in seen]
        seen.update((child, 0) for child in children if child not in seen)
    return sorted(found, key=lambda entry: entry.seq)
