"""Following the ledger of a run and of its tasks until it ends."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from nightmill.cli.screen import IDLE, say
from nightmill.event import TaskQueued
from nightmill.kept import Draft
from nightmill.store.drafts import Drafts, Mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightmill.cli.door import Door
    from nightmill.store.ledger import Entry
    from nightmill.store.runs import Run

__all__ = ["entries", "live"]

LOOK = 0.05
"""Seconds between looks at the ledger."""

GLANCE = 0.25
"""Seconds between looks at what is being written."""
AGAIN, STAYS = 5.0, 15.0
"""Seconds after which it is said again that somebody watches, and for how long that counts."""

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
    drafts, known = Drafts(door.database), dict[str, tuple[Mark, Draft]]()
    said = looked = -math.inf
    family: frozenset[str] = frozenset()
    for entry in entries(door, run, wait=True):
        yield entry
        if entry is not None or time.monotonic() - looked < GLANCE:
            continue
        looked = time.monotonic()
        if looked - said > AGAIN:
            family, said = drafts.watch([run.id], seconds=STAYS), looked
        marks = drafts.marks()
        new = [name for name in family & marks.keys() if name not in known or known[name][0] != marks[name]]
        found = drafts.read(new) if new else {}
        known |= found
        yield from (draft for _, draft in found.values())
        for name in known.keys() - marks.keys():
            yield replace(known.pop(name)[1], pieces=())


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
