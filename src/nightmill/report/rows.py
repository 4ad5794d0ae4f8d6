"""Where each lane of a timeline stands: the drawing and the names beside it are as high as each other."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from nightmill.blueprint.fitting import fitted, width
from nightmill.report.avatar import avatar, mill
from nightmill.report.element import element
from nightmill.report.timeline import ENGINE, Lane, Timeline
from nightmill.report.words import speaker

__all__ = ["AXIS", "FOOT", "NUMBERS", "PHASE", "READOUT", "ROW", "Rows", "names"]

PHASE, NUMBERS, ROW, FOOT, AXIS, READOUT = 22, 16, 18, 12, 22, 54
"""Heights in pixels."""
FACE, BESIDE, LETTER, WIDEST = 20, 28, 13.0, 150
"""Pixels: an avatar, where a name begins, its letters, and how wide it may be."""


class Rows:
    """The top and the height of each lane of *timeline*, and where they end."""

    def __init__(self, timeline: Timeline) -> None:
        self.tops: dict[str, int] = {}
        top = PHASE + 6
        for lane in timeline.lanes:
            self.tops[lane.name] = top
            top += self.height(lane)
        self.bottom = top

    def height(self, lane: Lane) -> int:
        """With what stands above and below its strips."""
        return NUMBERS + (1 if lane.name == ENGINE else lane.rows) * ROW + FOOT

    def strip(self, name: str) -> int:
        """The top of its first strip."""
        return self.tops[name] + NUMBERS


def names(timeline: Timeline) -> Markup:
    """Who has which lane: an avatar and a name each, of which a narrow screen shows the first."""
    rows = Rows(timeline)
    told = {lane.name: fitted(speaker(lane.name), size=LETTER, room=WIDEST, most=1)[0] for lane in timeline.lanes}
    wide = BESIDE + max((round(width(word, LETTER * 1.13)) for word in told.values()), default=0) + 10
    parts = [_name(lane.name, told[lane.name], top=rows.tops[lane.name]) for lane in timeline.lanes]
    return element("svg", *_join(parts), class_="names", width=wide, height=rows.bottom + 1)


def _name(name: str, word: str, *, top: int) -> list[Markup]:
    face = mill(size=FACE - 4) if name == ENGINE else avatar(name.partition("@")[0], size=FACE)
    at = element(
        "svg", face, x=2 if name == ENGINE else 0, y=top + NUMBERS - (1 if name == ENGINE else 3), overflow="visible"
    )
    rule = element("line", x1="0", x2="100%", y1=top + 0.5, y2=top + 0.5, class_="rule")
    text = element("text", word, x=BESIDE, y=top + NUMBERS + 12, class_="lane minor")
    return [rule, element("g", element("title", speaker(name)), at, text)]


def _join(parts: Sequence[list[Markup]]) -> list[Markup]:
    return [each for part in parts for each in part]
