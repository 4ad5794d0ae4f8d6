"""What each hour of a night came to, or each day of a month, as bars; their figures stand beside them as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from nightmill.report.element import element
from nightmill.report.scale import nice

__all__ = ["Hour", "hours"]

HEIGHT, TOP, FOOT = 96, 16, 20
GUTTER = 90.0
"""Percent of the width that bars may take; the rest is for the figures beside them."""
TICKS = 5
"""Of them that are named, about."""


class Hour(NamedTuple):
    """One hour, or one day: what it is called, its parts from the ground up (class, amount), and all that in words."""

    name: str
    parts: tuple[tuple[str, float], ...]
    told: str


def hours(bars: Sequence[Hour], *, title: str, unit: str = "") -> Markup:
    """The drawing; *unit* stands before the figures of its axis."""
    most = max((sum(amount for _, amount in bar.parts) for bar in bars), default=0.0)
    top = nice(most) if most > 0 else 1.0
    top = top if unit else max(top, 2.0)  # half a run is none
    width = GUTTER / max(len(bars), 1)
    every = max(1, round(len(bars) / TICKS))
    parts = _grid(top, unit)
    for index, bar in enumerate(bars):
        parts.append(_bar(bar, left=index * width, width=width, top=top))
        if index % every == 0:
            x, anchor = (f"{index * width + width / 2:.3f}%", "middle") if index else ("0", "start")
            parts.append(element("text", bar.name, x=x, y=TOP + HEIGHT + 15, text_anchor=anchor, class_="tick"))
    height = TOP + HEIGHT + FOOT
    return element("svg", element("title", title), *parts, class_="chart", width="100%", height=height, role="img")


def _grid(top: float, unit: str) -> list[Markup]:
    parts = []
    for value in (0.0, top / 2, top):
        y = TOP + HEIGHT - HEIGHT * value / top
        parts.append(element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid"))
        if value:
            parts.append(element("text", f"{unit}{value:g}", x="100%", y=y - 4, text_anchor="end", class_="tick"))
    return parts


def _bar(bar: Hour, *, left: float, width: float, top: float) -> Markup:
    ground, x, wide = float(TOP + HEIGHT), f"{left + width * 0.1:.3f}%", f"{width * 0.8:.3f}%"
    parts = [element("title", bar.told)]
    for kind, amount in bar.parts:
        height = HEIGHT * amount / top
        if height > 0:
            ground -= height
            y, tall = round(ground, 2), round(height, 2)
            parts.append(element("rect", x=x, width=wide, y=y, height=tall, class_=f"column {kind}"))
    return element("g", *parts)
