"""Time → place on a line: long waits are drawn short, so that the work between them stays legible."""

from __future__ import annotations

from typing import NamedTuple

from nightmill.report.timeline import Timeline
from nightmill.report.words import duration

__all__ = ["Scale", "Tick", "nice"]

LONG = 0.12
"""Share of the working time above which a gap is drawn short."""
SHORT = 7.0
"""Percent of the width that a gap drawn short gets, and all of them together at most `ALL_SHORT`."""
ALL_SHORT = 35.0
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
TICKS = 8
NICE = (0.1, 0.12, 0.16, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
CLOSE, CROWDED = 5.0, 12.0
"""Percent between labels: below the first one is left out, below the second where the screen is narrow."""


class Tick(NamedTuple):
    """A place on the axis, in percent. *minor*: left out where there is little room."""

    place: float
    label: str
    minor: bool


class Stretch(NamedTuple):
    """A piece of time and of the line. *short*: drawn shorter than its time."""

    start: float
    end: float
    left: float
    right: float
    short: bool


class Scale:
    """Maps times of *timeline* to percent of the width."""

    def __init__(self, timeline: Timeline) -> None:
        self.start, self.end = timeline.start, max(timeline.end, timeline.start + 0.001)
        self.stretches = _stretches(timeline, self.start, self.end)

    def place(self, at: float) -> float:
        """Percent of the width, 0 to 100."""
        for stretch in self.stretches:
            if at <= stretch.end:
                part = (max(at, stretch.start) - stretch.start) / (stretch.end - stretch.start)
                return round(stretch.left + part * (stretch.right - stretch.left), 3)
        return 100.0

    def short(self, start: float, end: float) -> bool:
        """Whether the time from *start* to *end* is drawn short."""
        return any(each.short and each.start <= start and end <= each.end for each in self.stretches)

    def ticks(self) -> list[Tick]:
        """Marks at round times since the start, none in a gap that is drawn short."""
        drawn = sum(each.end - each.start for each in self.stretches if not each.short)
        step = next((step for step in STEPS if drawn / step <= TICKS), nice(drawn / TICKS))
        middles = [(each.left + each.right) / 2 for each in self.stretches if each.short]
        ticks: list[Tick] = []
        for stretch in self.stretches:
            if stretch.short:
                continue
            number = -(-(stretch.start - self.start) // step)
            while (at := self.start + number * step) <= stretch.end:
                place = self.place(at)
                if not ticks or place - ticks[-1].place >= CLOSE:
                    minor = len(ticks) % 2 == 1 or any(abs(place - middle) < CROWDED for middle in middles)
                    ticks.append(Tick(place, duration(number * step) if number else "0", minor))
                number += 1
        return ticks


def nice(least: float) -> float:
    """The smallest of a few round numbers times a power of ten that is at least *least*."""
    size = 1.0
    while size < least:
        size *= 10
    while size / 10 >= least > 0:
        size /= 10
    return next(size * part for part in NICE if size * part >= least * 0.999)


def _stretches(timeline: Timeline, start: float, end: float) -> list[Stretch]:
    waits = [gap for gap in timeline.gaps if gap.end <= end]
    working = (end - start) - sum(gap.seconds for gap in waits)
    long = [gap for gap in waits if gap.seconds > max(LONG * working, 1.0)]
    width = min(SHORT, ALL_SHORT / len(long)) if long else 0.0
    drawn = (end - start) - sum(gap.seconds for gap in long)
    if drawn <= 0:
        return [Stretch(start, end, 0.0, 100.0, short=False)]
    rate = (100.0 - width * len(long)) / drawn
    stretches: list[Stretch] = []
    at, left = start, 0.0
    for gap in long:
        if gap.start > at:
            stretches.append(Stretch(at, gap.start, left, left := left + (gap.start - at) * rate, short=False))
        if gap.end > max(at, gap.start):
            stretches.append(Stretch(max(at, gap.start), gap.end, left, left := left + width, short=True))
        at = max(at, gap.end)
    if end > at:
        stretches.append(Stretch(at, end, left, 100.0, short=False))
    return stretches
