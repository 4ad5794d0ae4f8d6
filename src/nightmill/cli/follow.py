"""Following the ledger of a run and of its tasks until it ends."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightmill.cli.door import Door
    from nightmill.store.ledger import Entry
    from nightmill.store.runs import Run

__all__ = ["entries"]

LOOK = 0.05
"""Seconds between looks at the ledger."""


def entries(door: Door, run: Run, *, wait: bool) -> Iterator[Entry | None]:
    """Entries of *run* and of the task runs that it starts, in order; with *wait* until it has ended.

    None says that there is nothing new just now, so that a live view can draw its clock.
    """
    seen = {run.id: 0}
    last = -1
    while True:
        over = door.runs.get(run.id).over
        newest = door.ledger.last()
        if newest != last:
            last = newest
            yield from _new(door, seen)
        if over or not wait:
            return
        yield None
        time.sleep(LOOK)


def _new(door: Door, seen: dict[str, int]) -> list[Entry]:
    found: list[Entry] = []
    todo = list(seen)
    while todo:
        run = todo.pop()
        fresh = door.ledger.read(after=seen[run], run=run)
        found += fresh
        seen[run] = fresh[-1].seq if fresh else seen[run]
        children = [json.loads(entry.body)["child"] for entry in fresh if entry.name == "task_queued"]
        todo += [child for child in children if child not in seen]
        seen.update((child, 0) for child in children if child not in seen)
    return sorted(found, key=lambda entry: entry.seq)
