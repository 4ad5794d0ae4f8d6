"""Put tasks into an order in which each comes after what it depends on."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from nightmill.errors import ToolError
from nightmill.plan.nouns import Task

__all__ = ["order"]


def order(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """*tasks*, each after those it depends on, and otherwise as they were given.

    Ids must be unique; a dependency on a task that is not there is no constraint.

    Raises:
        ToolError: If tasks depend on each other in a circle; the message shows one.
    """
    places = {task.id: place for place, task in enumerate(tasks)}
    waits = [{places[each] for each in task.depends if each in places} for task in tasks]
    after: list[list[int]] = [[] for _ in tasks]
    for place, needed in enumerate(waits):
        for each in needed:
            after[each].append(place)
    ready = [place for place, needed in enumerate(waits) if not needed]
    done: list[Task] = []
    while ready:
        place = heapq.heappop(ready)
        done.append(tasks[place])
        for other in after[place]:
            waits[other].discard(place)
            if not waits[other]:
                heapq.heappush(ready, other)
    if len(done) < len(tasks):
        circle = " \u2192 ".join(tasks[place].id for place in _circle(waits))
        raise ToolError(f"tasks depend on each other in a circle: {circle}", hint="remove one of these dependencies")
    return tuple(done)


def _circle(waits: Sequence[set[int]]) -> list[int]:
    """One circle among the tasks that still wait: each waits for the next one listed."""
    place = next(index for index, needed in enumerate(waits) if needed)
    seen: dict[int, int] = {}
    path: list[int] = []
    while place not in seen:
        seen[place] = len(path)
        path.append(place)
        place = min(waits[place])
    return [*path[seen[place] :], place]
