"""The timeline as inline SVG: places in percent, sizes in pixels, so that it fits any width without a script."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from markupsafe import Markup

from nightmill.report.element import element
from nightmill.report.nouns import Link
from nightmill.report.rows import AXIS, FOOT, NUMBERS, PHASE, READOUT, ROW, Rows
from nightmill.report.scale import Scale
from nightmill.report.text import one_line
from nightmill.report.timeline import Gap, Lane, Mark, Phase, Segment, Timeline
from nightmill.report.words import duration, speaker

__all__ = ["picture"]

WIDE, NARROW = 5.5, 15.0
"""Percent of a wide and of a narrow screen that a phase's name needs."""
MOST = 200
"""Turns of a lane that are drawn each for itself: of more, neighbours are one."""
NARROW_DIGIT = 4.5
"""Percent of a narrow screen that it needs."""
NEAR = 0.5
"""Percent of the width by which marks of one kind are apart."""
UPRIGHT = 70
"""Pixels that the name of a wait needs, which stands on its end."""
LAST = 92.0
"""Percent of the width from which on a label would not fit if it stood in the middle of what it names."""
DIGIT = 0.45
"""Percent of a wide screen that a digit above a turn needs, of three and more."""
SUMMED = ("ask", "stream", "tool")
WORDS = {"ask": "first byte", "stream": "stream", "tool": "tools", "failed": "failed", "backoff": "wait"}


def picture(
    timeline: Timeline, *, anchor: str, link: Link, sums: Mapping[str, str] = MappingProxyType({}),
    onward: Mapping[str, str] = MappingProxyType({}),
) -> Markup:  # fmt: skip
    """The drawing. A turn goes where *link* says, checks to the part of the page whose id begins with *anchor*.

    *sums* has what it all came to by the end of a turn, by where that turn goes; *onward* where one goes on from a
    checkpoint, by ROLE/TURN.
    """
    return _Picture(timeline, anchor, link, sums, onward).draw()


class _Picture:
    def __init__(
        self, timeline: Timeline, anchor: str, link: Link, sums: Mapping[str, str], onward: Mapping[str, str]
    ) -> None:
        self.timeline, self.anchor, self.link, self.scale = timeline, anchor, link, Scale(timeline)
        self.sums, self.onward = sums, onward
        self.order = {lane.name: index for index, lane in enumerate(timeline.lanes)}
        self.rows = Rows(timeline)
        self.bottom = self.rows.bottom

    def draw(self) -> Markup:
        timeline = self.timeline
        parts = [self.defs(), *self.grid()]
        parts += [self.phase(phase) for phase in timeline.phases]
        parts += [self.gap(gap) for gap in timeline.gaps]
        for lane in timeline.lanes:
            parts += self.lane(lane)
        parts += [self.mark(mark) for mark in timeline.marks]
        hint = element(
            "text",
            "Point at a turn, or tab to it, to see what it did and what it had come to; enter opens it.",
            x=0,
            y=self.bottom + AXIS + 17,
        )
        parts.append(element("g", hint, class_="hint"))
        turns = sum(len({each.turn for each in lane.segments}) for lane in timeline.lanes)
        return element(
            "svg",
            element("title", f"Timeline of {duration(timeline.end - timeline.start)}"),
            *parts,
            class_="timeline long" if turns > 45 else "timeline",  # narrower turns cannot be hit
            width="100%",
            height=self.bottom + AXIS + READOUT,
            role="group",
        )

    def defs(self) -> Markup:
        hatch = [
            element(
                "pattern",
                element("path", d="M0 0V6", class_=f"hatch {kind}"),
                id=f"{self.anchor}{kind}",
                width=6,
                height=6,
                patternUnits="userSpaceOnUse",
                patternTransform="rotate(45)",
            )
            for kind in ("wait", "person", "fail")
        ]
        return element("defs", *hatch)

    def grid(self) -> list[Markup]:
        parts = []
        for tick in self.scale.ticks():
            kind = " minor" if tick.minor else ""
            anchor = "start" if tick.place < 3 else "end" if tick.place > 97 else "middle"  # at the edge
            parts.append(self.line(tick.place, PHASE + 4, self.bottom + 4, f"grid{kind}"))
            label = element(
                "text",
                tick.label,
                x=f"{tick.place}%",
                y=self.bottom + AXIS - 4,
                text_anchor=anchor,
                class_=f"tick{kind}",
            )
            parts.append(label)
        return parts

    def line(self, place: float, top: float, bottom: float, kind: str) -> Markup:
        return element("line", x1=f"{place}%", x2=f"{place}%", y1=top, y2=bottom, class_=kind)

    def box(self, start: float, end: float, top: float, height: float, **more: str) -> Markup:
        left, right = self.scale.place(start), self.scale.place(end)
        width = max(round(right - left, 3), 0.05)
        return element("rect", x=f"{min(left, 99.9)}%", y=top, width=f"{width}%", height=height, **more)

    def inside(self, start: float, end: float, text: str) -> Markup:
        """A phase's name: nothing where it would not fit even on a wide screen, and never outside its box."""
        left, right = self.scale.place(start), self.scale.place(end)
        if right - left < WIDE:
            return Markup("")
        word = element("text", text, x=6, y=PHASE - 7, class_="name minor" if right - left < NARROW else "name")
        return element("svg", word, x=f"{left}%", y=0, width=f"{round(right - left, 3)}%", height=PHASE)

    def phase(self, phase: Phase) -> Markup:
        name = f"{phase.name} {phase.round + 1}" if phase.round else phase.name
        name = phase.step.rpartition("/")[2] or name if phase.name == "work" else name
        title = f"phase {name}: {duration(phase.end - phase.start)}{', under way' if phase.open else ''}"
        kind = "phase now" if phase.open and self.timeline.open else "phase"
        box = self.box(phase.start, phase.end, 0, PHASE, class_=kind)
        word = self.inside(phase.start, phase.end, name)
        return element("g", element("title", title), box, word)

    def gap(self, gap: Gap) -> Markup:
        kind = "person" if gap.needs == "person" else "fail" if gap.kind in {"lost", "silent"} else "wait"
        word = {"lost": "no worker", "silent": "no news"}.get(gap.kind, gap.kind)
        title = f"{word} for {duration(gap.seconds)}: {gap.label}"
        top, height = PHASE + 4, self.bottom - PHASE
        box = self.box(gap.start, gap.end, top, height, class_=f"gap {kind}", fill=f"url(#{self.anchor}{kind})")
        edge = self.line(self.scale.place(gap.start), top, top + height, f"edge {kind}")
        parts = [element("title", title), box, edge]
        if self.scale.short(gap.start, gap.end):
            middle = (self.scale.place(gap.start) + self.scale.place(gap.end)) / 2
            last = middle > LAST
            if height > UPRIGHT:
                name = element("text", word, text_anchor="middle", transform="rotate(-90)", dy="0.35em", class_="word")
                center = round(top + height / 2)
                parts.append(element("svg", name, x=f"{middle:.3f}%", y=center, overflow="visible", width=1, height=1))
            parts.append(
                element(
                    "text",
                    duration(gap.seconds),
                    x="100%" if last else f"{middle:.3f}%",
                    y=self.bottom + AXIS - 4,
                    text_anchor="end" if last else "middle",
                    class_="tick gap",
                )
            )
        return element("g", *parts, class_="wait")

    def lane(self, lane: Lane) -> list[Markup]:
        top = self.rows.tops[lane.name]
        parts = [element("line", x1="0", x2="100%", y1=top + 0.5, y2=top + 0.5, class_="rule")]
        turns: dict[int, list[Segment]] = defaultdict(list)
        for segment in lane.segments:
            turns[segment.turn].append(segment)
        parts += [self.engine(each, self.rows.strip(lane.name)) for each in turns.pop(0, ())]
        numbers, size = list(turns), max(1, -(-len(turns) // MOST))
        for at in range(0, len(numbers), size):
            group = numbers[at : at + size]
            parts.append(self.turn(group, [each for number in group for each in turns[number]], lane))
        foot = top + self.rows.height(lane) - FOOT
        parts += [self.notch(mark, foot, lane.name) for mark in self.apart(lane.marks)]
        return parts

    def apart(self, marks: Sequence[Mark]) -> Iterator[Mark]:
        """*marks* without those that would stand on one of their kind."""
        last: dict[str, float] = {}
        for mark in marks:
            place = self.scale.place(mark.at)
            if place - last.get(mark.kind, -NEAR) >= NEAR:
                last[mark.kind] = place
                yield mark

    def turn(self, group: Sequence[int], segments: Sequence[Segment], lane: Lane) -> Markup:
        """The turns of *group*, which are neighbours, as one that leads to the first of them."""
        number, named = group[0], f"turn {group[0]}" if len(group) == 1 else f"turns {group[0]} to {group[-1]}"
        start, end = min(each.start for each in segments), max(each.end for each in segments)
        top, height = self.rows.strip(lane.name), self.rows.height(lane)
        place = self.scale.place(end)
        lines = self.readout(f"{speaker(lane.name)}, {named}", segments, self.order[lane.name], group[-1])
        parts = [self.box(start, end, top - NUMBERS + 2, height - 3, class_="hit")]
        parts += [self.segment(each, top) for each in (segments if len(group) == 1 else joined(segments))]
        if place - self.scale.place(start) >= max(0.8, DIGIT * len(str(number))):
            kind = "number minor" if place - self.scale.place(start) < NARROW_DIGIT else "number"
            x = f"{self.scale.place(start)}%"
            parts.append(element("text", str(number), x=x, y=top - 4, dx=1, class_=kind))
        parts.append(self.line(place, PHASE, self.bottom + 4, "playhead"))
        parts += [
            element("text", line, x=0, y=self.bottom + AXIS + 17 * (1 + index), class_="readout")
            for index, line in enumerate(lines)
        ]
        label = f"{lines[0]}; {one_line(lines[1], most=60)}"
        return element("a", *parts, href=self.link(self.order[lane.name], number), class_="turn", aria_label=label)

    def readout(self, named: str, segments: Sequence[Segment], lane: int, turn: int) -> list[str]:
        """What the turns of *segments* did, and what the run had come to at the end of *turn*, the last of them."""
        start, end = min(each.start for each in segments), max(each.end for each in segments)
        spent: dict[str, float] = defaultdict(float)
        for each in segments:
            spent[WORDS.get(each.kind, each.kind)] += each.seconds
        told = ", ".join(f"{what} {duration(seconds)}" for what, seconds in spent.items())
        tools = "; ".join(dict.fromkeys(one_line(each.label, most=60) for each in segments if each.kind == "tool"))
        sums = self.sums.get(self.link(lane, turn))
        then = f"{duration(end - self.timeline.start)} after it was asked for"
        return [
            f"{named} · {duration(end - start)}: {told}",
            one_line(tools, most=160) or "no tool",
            f"{then}: {sums} so far" if sums else then,
        ]

    def segment(self, each: Segment, top: int) -> Markup:
        row = each.row if each.kind == "tool" else 0
        marks = {"lost": each.lost, "bad": not each.ok, "now": each.open}
        kind = " ".join([each.kind, *(name for name, holds in marks.items() if holds)])
        more = {"fill": f"url(#{self.anchor}{'fail' if each.kind == 'failed' or each.lost else 'wait'})"}
        hatched = each.lost or each.kind in {"failed", "backoff"}
        state = "lost with its worker, done again; " if each.lost else "failed; " if not each.ok else ""
        box = self.box(each.start, each.end, top + row * ROW, ROW - 3, class_=f"s {kind}", **(more if hatched else {}))
        title = element("title", f"{one_line(each.label, most=120)}: {state}{duration(each.seconds)}")
        return element("g", title, box)

    def engine(self, each: Segment, top: int) -> Markup:
        drawn = self.segment(each, top)
        if each.kind != "check":
            return drawn
        label = f"{each.label}, {duration(each.seconds)}"
        readout = element("text", label, x=0, y=self.bottom + AXIS + 17, class_="readout")
        hit = self.box(each.start, each.end, top - 3, ROW + 6, class_="hit")
        return element("a", hit, drawn, readout, href=f"#{self.anchor}checks", class_="turn", aria_label=label)

    def notch(self, mark: Mark, top: int, lane: str) -> Markup:
        shapes = {
            "snapshot": "M0 8V2",
            "nudge": "M-3 2H3L0 8Z",
            "said_done": "M-4 4L-1 7L4 1",
            "commit": "M0 1L4 5L0 9L-4 5Z",
            "preserved": "M0 1L4 5L0 9L-4 5Z",
            "change": "M0 1L4 5L0 9L-4 5Z",
        }
        path = element("path", d=shapes.get(mark.kind, "M0 8V2"), class_=f"mark {mark.kind}")
        drawn = self.at(mark, path, top)
        where = self.onward.get(f"{lane}/{mark.turn}") if mark.kind == "snapshot" else None
        if not where:
            return drawn
        grip = element("rect", x=-5, y=-2, width=10, height=FOOT, class_="grip")
        label = f"Go on from after turn {mark.turn} of {speaker(lane)}"
        # By keyboard the turn itself, opened, has it: a second stop for each would be a long way.
        return element("a", self.at(mark, grip, top), drawn, href=where, class_="onward", aria_label=label, tabindex=-1)

    def mark(self, mark: Mark) -> Markup:
        top = PHASE + 4
        line = element("line", x1=0, x2=0, y1=0, y2=self.bottom - top + 4, class_=f"across {mark.kind}")
        shape = element("path", d="M0 -5L5 0L0 5L-5 0Z", class_=f"mark {mark.kind}")
        return self.at(mark, Markup("").join((line, shape)), top)

    def at(self, mark: Mark, drawn: Markup, top: int) -> Markup:
        """*drawn* around the mark's place: an inner svg is what can stand at a percentage."""
        inner = element("svg", drawn, x=f"{self.scale.place(mark.at)}%", y=top, overflow="visible", width=1, height=1)
        return element("g", element("title", f"{mark.label} (at {duration(mark.at - self.timeline.start)})"), inner)


def joined(segments: Sequence[Segment]) -> list[Segment]:
    """What went well in neighbouring turns, one segment of each kind behind the other, as long as all of them."""
    kept = [each for each in segments if each.kind not in SUMMED or not each.ok or each.lost or each.open]
    summed = [each for each in segments if each not in kept]
    start = min((each.start for each in summed), default=0.0)
    end, made = max((each.end for each in summed), default=0.0), list[Segment]()
    for kind in SUMMED:
        if alike := [each for each in summed if each.kind == kind]:
            then = min(end, start + sum(each.seconds for each in alike))
            made.append(replace(alike[0], start=start, end=then, label=f"{len(alike)} together", row=0))
            start = then
    return [*made, *kept]
