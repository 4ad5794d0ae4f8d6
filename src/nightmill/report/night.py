"""A night as one line for each run: when it began and ended, beside the hours."""

from __future__ import annotations

from datetime import UTC, datetime

from markupsafe import Markup

from nightmill.report.element import element
from nightmill.report.words import Tone, duration

__all__ = ["clock", "dial", "stretch"]

HOUR, STEPS, MOST = 3600, (1, 2, 3, 6, 12, 24), 4
"""Seconds; every so many hours one is named, of at most so many."""
HIGH, BAR = 16, 8
LEAST = 0.6
"""Percent of the width that a bar has at least, so that it is seen."""


def clock(at: float) -> str:
    """The time of day where the server is."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M")


def dial(since: float, now: float) -> Markup:
    """The hours from *since* to *now*, named."""
    words = [
        element(
            "text",
            clock(at),
            x=f"{_place(at, since, now)}%",
            y=11,
            text_anchor="middle",
            class_="tick",
        )
        for at in _hours(since, now)
        if _place(at, since, now) < 85  # percent: there it says now
    ]
    words.append(element("text", "now", x="100%", y=11, text_anchor="end", class_="tick"))
    return element("svg", *words, class_="night", width="100%", height=HIGH, aria_hidden="true")


def stretch(start: float, end: float, *, since: float, now: float, tone: Tone) -> Markup:
    """When a run was under way, between *since* and *now*; nothing if that was before."""
    lines = [
        element("line", x1=f"{place}%", x2=f"{place}%", y1=0, y2=HIGH, class_="grid")
        for place in (_place(at, since, now) for at in _hours(since, now))
    ]
    told = f"from {clock(start)} to {clock(end)}, {duration(end - start)}" if end > since else "before that night"
    if end > since:
        left, right = _place(start, since, now), _place(end, since, now)
        wide = max(right - left, LEAST)
        bar = element(
            "rect",
            x=f"{min(left, 100 - wide):.3f}%",
            y=(HIGH - BAR) / 2,
            width=f"{wide:.3f}%",
            height=BAR,
            rx=2,
            class_=f"bar-of {tone}",
        )
        lines.append(bar)
    return element("svg", element("title", told), *lines, class_="night", width="100%", height=HIGH, role="img")


def _hours(since: float, now: float) -> list[float]:
    hours = max((now - since) / HOUR, 0.0)
    step = next((each for each in STEPS if hours / each <= MOST), STEPS[-1])
    return [since + number * step * HOUR for number in range(int(hours / step) + 1)]


def _place(at: float, since: float, now: float) -> float:
    return round(100 * min(max((at - since) / max(now - since, 1.0), 0.0), 1.0), 3)
