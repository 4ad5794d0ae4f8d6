"""Cost and context turn by turn, and where the time went, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from nightmill.model import Usage
from nightmill.report.nouns import turn_id
from nightmill.report.scale import nice
from nightmill.report.svg import element
from nightmill.report.words import duration, money, share, tokens

__all__ = ["WORK", "Spent", "context", "cost", "time"]

HEIGHT, TOP, FOOT = 120, 16, 18
DIGIT = 2.6
"""Percent of a narrow screen that a digit below a bar needs."""
GUTTER = 89.0
"""Percent of the width that bars may take; the rest is for the figures beside them."""
WORK = {
    "model": "model",
    "tools": "tools",
    "checks": "checks",
    "workspace": "workspace",
    "other": "the rest",
}


class Spent(NamedTuple):
    """What one turn took."""

    lane: int
    turn: int
    usage: Usage
    cost: float | None


class Bar(NamedTuple):
    """One turn's bar: parts from the ground up, (class, amount)."""

    spent: Spent
    parts: tuple[tuple[str, float], ...]
    label: str


def cost(turns: Sequence[Spent], *, anchor: str) -> Markup:
    """Dollars per turn; a turn whose price is unknown has no bar, which its label says."""
    bars = []
    for each in turns:
        cached = f"{share(each.usage.cache_read, each.usage.input)} of {tokens(each.usage.input)} in cached"
        label = f"Turn {each.turn}: {money(each.cost)}, {cached}, {tokens(each.usage.output)} out"
        bars.append(Bar(each, (("money", each.cost or 0.0),), label))
    return _chart(bars, title="Cost of each turn", unit=lambda value: f"${value:g}", anchor=anchor)


def context(turns: Sequence[Spent], *, anchor: str) -> Markup:
    """What each request held, in tokens: read from the cache, written to it, new; and what the reply added."""
    bars = []
    for each in turns:
        usage = each.usage
        new = max(usage.input - usage.cache_read - usage.cache_write, 0)
        label = (
            f"Turn {each.turn}: {tokens(usage.input)} in, of them {tokens(usage.cache_read)} cached and "
            f"{tokens(usage.input - usage.cache_read)} not; {tokens(usage.output)} out"
        )
        parts = (("cached", usage.cache_read), ("written", usage.cache_write), ("new", new), ("out", usage.output))
        bars.append(Bar(each, parts, label))
    return _chart(bars, title="Context by turn", unit=lambda value: tokens(round(value)), anchor=anchor)


def time(seconds: dict[str, float]) -> Markup:
    """One bar of the time in which something worked."""
    whole = sum(seconds.get(kind, 0.0) for kind in WORK) or 1.0
    left, parts = 0.0, list[Markup]()
    for kind, word in WORK.items():
        width = 100 * seconds.get(kind, 0.0) / whole
        if width > 0:
            title = element("title", f"{word}: {duration(seconds[kind])}, {share(seconds[kind], whole)}")
            box = element("rect", x=f"{left:.3f}%", width=f"{width:.3f}%", y=0, height=10, class_=f"time {kind}")
            parts.append(element("g", title, box))
        left += width
    told = ", ".join(f"{word} {duration(seconds.get(kind, 0.0))}" for kind, word in WORK.items())
    return element("svg", *parts, class_="times", width="100%", height=10, role="img", aria_label=f"Time: {told}")


def _chart(bars: Sequence[Bar], *, title: str, unit: object, anchor: str) -> Markup:
    say = unit if callable(unit) else str
    most = max((sum(amount for _, amount in bar.parts) for bar in bars), default=0.0)
    top = nice(most) if most > 0 else 1.0
    parts = [*_grid(top, say)]
    hint = element("text", "Hover or tab through for figures.", x=0, y=TOP + HEIGHT + FOOT + 14)
    parts.append(element("g", hint, class_="hint"))
    width = GUTTER / max(len(bars), 8)
    room = DIGIT * max((len(str(bar.spent.turn)) for bar in bars), default=1)
    every = next((step for step in (1, 2, 5, 10, 20, 50, 100) if step * width >= room), 200)
    for index, bar in enumerate(bars):
        parts.append(_bar(bar, left=index * width, width=width, top=top, every=every, anchor=anchor))
    return element(
        "svg",
        element("title", title),
        *parts,
        class_="chart",
        width="100%",
        height=TOP + HEIGHT + FOOT + 22,
        role="group",
    )


def _grid(top: float, say: object) -> list[Markup]:
    parts = []
    for value in (0.0, top / 2, top):
        y = TOP + HEIGHT - HEIGHT * value / top
        parts.append(element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid"))
        if value and callable(say):
            parts.append(element("text", str(say(value)), x="100%", y=y - 4, text_anchor="end", class_="tick"))
    return parts


def _bar(bar: Bar, *, left: float, width: float, top: float, every: int, anchor: str) -> Markup:
    hit = element("rect", x=f"{left:.3f}%", width=f"{width:.3f}%", y=0, height=TOP + HEIGHT + FOOT, class_="hit")
    parts, ground = [hit], float(TOP + HEIGHT)
    for kind, amount in bar.parts:
        height = HEIGHT * amount / top
        if height > 0:
            ground -= height
            x, wide = f"{left + width * 0.1:.3f}%", f"{width * 0.8:.3f}%"
            parts.append(
                element("rect", x=x, width=wide, y=round(ground, 2), height=round(height, 2), class_=f"column {kind}")
            )
    if bar.spent.turn % every == 0:
        middle = f"{left + width / 2:.3f}%"
        number = str(bar.spent.turn)
        parts.append(element("text", number, x=middle, y=TOP + HEIGHT + 13, text_anchor="middle", class_="tick"))
    parts.append(element("text", bar.label, x=0, y=TOP + HEIGHT + FOOT + 14, class_="readout"))
    href = f"#{turn_id(anchor, bar.spent.lane, bar.spent.turn)}"
    return element("a", *parts, href=href, class_="turn", aria_label=bar.label)
