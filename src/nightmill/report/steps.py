"""The steps of a run's blueprint, each below the one that it is in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nightmill import event as e

__all__ = ["Rung", "rungs"]


class Rung(NamedTuple):
    """A step that was done or failed: *depth* steps around it; *round* of its loop, 0 for the first or none."""

    depth: int
    name: str
    round: int
    told: e.StepFinished


def rungs(steps: Sequence[e.StepFinished]) -> list[Rung]:
    """*steps*, told in the order in which they ended, in the order in which one reads them."""
    ways = [_way(each.step) for each in steps]
    begun: dict[tuple[str, ...], int] = {}
    for number, way in enumerate(ways):
        for depth in range(1, len(way) + 1):
            begun.setdefault(tuple(name for name, _ in way[:depth]), number)

    def order(way: list[tuple[str, int]]) -> list[tuple[int, int]]:
        return [(begun[tuple(name for name, _ in way[: at + 1])], turn) for at, (_, turn) in enumerate(way)]

    found = []
    for way, each in sorted(zip(ways, steps, strict=True), key=lambda pair: order(pair[0])):
        again = way[-2][1] if len(way) > 1 else 0
        if each.state in {"done", "failed"}:
            found.append(Rung(len(way) - 1, way[-1][0], again if again > 1 else 0, each))
    return found


def _way(step: str) -> list[tuple[str, int]]:
    """The names of the steps on the way to *step*, and the round of each that is a loop."""
    parts = (part.partition(".") for part in step.split("/"))
    return [(name, int(turn or 0)) for name, _, turn in parts]
