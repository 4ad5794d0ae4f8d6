"""How figures are summed up, judged and written."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Figure", "Spread", "spread", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What repeated measurements gave."""

    count: int
    least: float
    median: float
    p90: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table.

    Attributes:
        goal: What the median is to stay below, in *unit*; None: it is only told.
        detail: What else was seen.
        floor: The goal is what the median is to reach at least.
    """

    name: str
    unit: str
    values: Spread
    goal: float | None = None
    detail: str = ""
    floor: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the goal was; None: there is none."""
        if self.goal is None:
            return None
        return self.values.median >= self.goal if self.floor else self.values.median < self.goal


def spread(values: Sequence[float], *, scale: float = 1.0) -> Spread:
    """*values*, each times *scale*, summed up."""
    ordered = sorted(value * scale for value in values)
    return Spread(
        count=len(ordered),
        least=ordered[0],
        median=statistics.median(ordered),
        p90=ordered[min(len(ordered) - 1, int(len(ordered) * 0.9))],
        most=ordered[-1],
    )


def table(parts: Mapping[str, Mapping[str, Any]], *, program: str = "bench") -> Iterable[str]:
    """The lines of a Markdown table of *parts*, as they stand in the file of results."""
    yield f"| what | median (least – most) | goal | met | made by `python -m {program}` … |"
    yield "|---|---|---|---|---|"
    for name, part in parts.items():
        for figure in part["figures"]:
            yield _row(figure, name)
        if part["skipped"]:
            yield f"| {name} | not measured: {part['skipped']} | | | `{name}` |"


def _row(figure: Mapping[str, Any], part: str) -> str:
    values, unit = figure["values"], figure["unit"]
    told = f"**{short(values['median'])}{unit}**"
    if values["count"] > 1:
        told += f" ({short(values['least'])} – {short(values['most'])})"
    told += f", p90 {short(values['p90'])}" if values["count"] >= 20 else ""
    detail = f"; {figure['detail']}" if figure["detail"] else ""
    bound = "≥" if figure.get("floor") else "<"
    goal = "" if figure["goal"] is None else f"{bound} {short(figure['goal'])}{unit}"
    met = {True: "yes", False: "**no**", None: ""}[figure["met"]]
    return f"| {figure['name']} | {told}{detail} | {goal} | {met} | `{part}` |"


def short(value: float) -> str:
    """*value* in three digits that count."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
