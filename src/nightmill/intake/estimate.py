"""What a run of a blueprint will cost, from those before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from nightmill.event import RunQueued
from nightmill.store.ledger import Ledger
from nightmill.store.runs import Runs

__all__ = ["Past", "of", "past"]

MOST_RUNS = 500
NINE_TENTHS = 0.9


class Past(NamedTuple):
    """US dollars of *n* runs that ended with what was asked for: their median, and what nine of ten stayed within."""

    n: int
    median: float = 0.0
    most: float = 0.0


def past(ledger: Ledger, runs: Runs, *, project: str, blueprint: str) -> Past:
    """What runs of *blueprint* in *project* took, each with all that it started. Those with unknown prices do not count."""
    queued = [entry.event() for entry in ledger.read(names=(RunQueued.name,))]
    wanted = {
        each.run
        for each in queued
        if isinstance(each, RunQueued) and (each.project, each.blueprint, each.kind) == (project, blueprint, "task")
    }
    rows = runs.list(projects=[project])
    costs = []
    for row in [each for each in rows if each.id in wanted and each.state == "done"][:MOST_RUNS]:
        all_ = [each for each in rows if each.id == row.id or each.id.startswith(f"{row.id}-")]
        if all(each.priced for each in all_):
            costs.append(sum(each.cost for each in all_))
    return of(costs)


def of(spent: Sequence[float]) -> Past:
    """What runs took that took *spent* US dollars each."""
    costs = sorted(spent)
    if not costs:
        return Past(0)
    half = len(costs) // 2
    median = costs[half] if len(costs) % 2 else (costs[half - 1] + costs[half]) / 2
    return Past(len(costs), median, costs[math.ceil(NINE_TENTHS * len(costs)) - 1])
