"""Cost and context turn by turn, and where the time went, as inline SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from markupsafe import Markup

from nightmill.model import Usage
from nightmill.report.element import element
from nightmill.report.nouns import Link
from nightmill.report.scale import nice
from nightmill.report.words import duration, money, share, tokens
from nightmill.review.flake import wilson

__all__ = ["WORK", "Spent", "context", "cost", "gauge", "interval", "purse", "stripe", "time"]

HEIGHT, TOP, FOOT = 120, 16, 18
DIGIT = 2.6
"""Percent of a narrow screen that a digit below a bar needs."""
MOST = 150
"""Bars of a chart: narrower ones cannot be hit."""
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


def cost(turns: Sequence[Spent], *, link: Link) -> Markup:
    """Dollars per turn; a turn whose price is unknown has no bar, which its label says."""
    bars = []
    for number, each in _groups(turns, _together):
        cached = f"{share(each.usage.cache_read, each.usage.input)} of {tokens(each.usage.input)} in cached"
        label = f"{number}: {money(each.cost)}, {cached}, {tokens(each.usage.output)} out"
        bars.append(Bar(each, (("money", each.cost or 0.0),), label))
    return _chart(bars, title="Cost of each turn", unit=lambda value: f"${value:g}", link=link)


def context(turns: Sequence[Spent], *, link: Link) -> Markup:
    """What each request held, in tokens: read from the cache, written to it, new; and what the reply added."""
    bars = []
    for number, each in _groups(turns, lambda group: group[-1]):
        usage = each.usage
        new = max(usage.input - usage.cache_read - usage.cache_write, 0)
        label = (
            f"{number}: {tokens(usage.input)} in, of them {tokens(usage.cache_read)} cached and "
            f"{tokens(usage.input - usage.cache_read)} not; {tokens(usage.output)} out"
        )
        parts = (("cached", usage.cache_read), ("written", usage.cache_write), ("new", new), ("out", usage.output))
        bars.append(Bar(each, parts, label))
    return _chart(bars, title="Context by turn", unit=lambda value: tokens(round(value)), link=link)


def gauge(usage: Usage, *, size: int) -> Markup:
    """One bar of the *size* tokens that a model's context holds: what the last request and its reply filled of it."""
    whole = max(size, usage.input + usage.output, 1)
    parts = (("cached", usage.cache_read), ("new", usage.input - usage.cache_read), ("out", usage.output))
    left, drawn = 0.0, [element("rect", x=0, width="100%", y=0, height=14, class_="time waiting")]
    for kind, amount in parts:
        width = 100 * max(amount, 0) / whole
        drawn.append(element("rect", x=f"{left:.3f}%", width=f"{width:.3f}%", y=0, height=14, class_=f"column {kind}"))
        left += width
    told = f"{tokens(usage.input)} in, {tokens(usage.output)} out of {tokens(size)}"
    return element("svg", *drawn, class_="times", width="100%", height=14, role="img", aria_label=f"Context: {told}")


def purse(spent: float, held: float, most: float) -> Markup:
    """One bar of the *most* US dollars that may be spent: what was, and what calls under way may still cost."""
    whole = max(most, spent + held) or 1.0
    left, drawn = 0.0, [element("rect", x=0, width="100%", y=0, height=14, class_="time waiting")]
    for kind, amount in (("money", spent), ("written", held)):
        width = 100 * amount / whole
        drawn.append(element("rect", x=f"{left:.3f}%", width=f"{width:.3f}%", y=0, height=14, class_=f"column {kind}"))
        left += width
    told = f"{money(spent)} spent and {money(held)} held of {money(most)}"
    return element(
        "svg", element("title", told), *drawn, class_="times", width="100%", height=14, role="img", aria_label=told
    )


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


def _groups(turns: Sequence[Spent], joined: Callable[[Sequence[Spent]], Spent]) -> Iterator[tuple[str, Spent]]:
    """*turns* with their names; of more than `MOST` neighbours are *joined*, as many as are needed."""
    size = -(-len(turns) // MOST)
    for at in range(0, len(turns), max(size, 1)):
        group = turns[at : at + size]
        named = f"Turn {group[0].turn}" if size == 1 else f"Turns {group[0].turn} to {group[-1].turn}"
        yield named, joined(group)


def _together(group: Sequence[Spent]) -> Spent:
    known = [each.cost for each in group if each.cost is not None]
    usage = sum((each.usage for each in group), Usage())
    return Spent(group[0].lane, group[0].turn, usage, sum(known) if known else None)


def _chart(bars: Sequence[Bar], *, title: str, unit: object, link: Link) -> Markup:
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
        parts.append(_bar(bar, left=index * width, width=width, top=top, named=(index + 1) % every == 0, link=link))
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


def _bar(bar: Bar, *, left: float, width: float, top: float, named: bool, link: Link) -> Markup:
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
    if named:
        middle = f"{left + width / 2:.3f}%"
        number = str(bar.spent.turn)
        parts.append(element("text", number, x=middle, y=TOP + HEIGHT + 13, text_anchor="middle", class_="tick"))
    parts.append(element("text", bar.label, x=0, y=TOP + HEIGHT + FOOT + 14, class_="readout"))
    href = link(bar.spent.lane, bar.spent.turn)
    return element("a", *parts, href=href, class_="turn", aria_label=bar.label)


def interval(good: int, total: int) -> Markup:
    """How often something went well, as a dot, and between which rates the truth lies, as a bar (Wilson, 95 %)."""
    low, high = wilson(good, total)
    label = f"{good} of {total}: between {low:.0%} and {high:.0%} (95 %)" if total else "not yet known"
    parts = [
        element("title", label),
        element("line", x1="0", x2="100%", y1=8, y2=8, class_="scale"),
        element("rect", x=f"{low:.1%}", y=4, width=f"{high - low:.1%}", height=8, rx=4, class_="span"),
    ]
    if total:
        parts.append(element("circle", cx=f"{good / total:.1%}", cy=8, r=4, class_="rate"))
    return element("svg", *parts, class_="interval", width="100%", height=16, role="img", aria_label=label)


def stripe(ends: Sequence[bool], *, label: str) -> Markup:
    """How things ended one after the other, oldest first: a tall bar for each that went well, a short one for each that did not."""
    bars = [
        element(
            "rect",
            x=at * 8,
            y=2 if good else 10,
            width=6,
            height=14 if good else 6,
            rx=1,
            class_="good" if good else "bad",
        )
        for at, good in enumerate(ends)
    ]
    return element(
        "svg",
        element("title", label),
        *bars,
        class_="stripe",
        width=len(ends) * 8,
        height=18,
        role="img",
        aria_label=label,
    )
