"""A blueprint as an SVG picture: steps from the top down, loops and maps as frames, gates, and the way on failure.

The same blueprint gives the same bytes. It is drawn narrow, so that a phone shows it whole and legible, and says in
shapes and words whatever it says in colours.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from nightmill.blueprint.fitting import fitted, plain, width
from nightmill.blueprint.icons import ICONS, TONES, outline
from nightmill.blueprint.nouns import AgentStep, Blueprint, MapStep, RepeatStep, Step, StopStep, kind
from nightmill.blueprint.words import does, named, role, sees, short

__all__ = ["svg"]

WIDE, EDGE = 480, 14
RIGHT = WIDE - 44
"""Where boxes end; right of it runs the way of what fails."""
RAIL, SPINE = WIDE - 20, 226
GAP, GUTTER, INSET = 24, 30, 14
"""Pixels between boxes, and in a frame on its left and on its right."""
BIG, SMALL, BOLD = 15.0, 12.5, 1.13
LINE = 17
GATES = {
    "approve": "GATE · a person’s yes",
    "change": "GATE · proof, reviews and approvals of exactly this tree",
}


class Words(NamedTuple):
    """A line of a box: its text, and the class that says how it looks."""

    text: str
    look: str


class Ends(NamedTuple):
    """Heights at which something fails and leaves where it stands, each with the right edge of what fails."""

    y: int
    x: int


def svg(blueprint: Blueprint, *, styled: bool = True) -> str:
    """The picture, as the text of an SVG file of its own; not *styled*, for a page that has `static/drawing.css`."""
    return _Picture(blueprint).text(_style() if styled else "")


class _Picture:
    def __init__(self, blueprint: Blueprint) -> None:
        self.blueprint = blueprint
        self.parts: list[str] = []

    def text(self, style: str) -> str:
        read = self.blueprint
        y = self._head()
        y = self._terminal(y, f"takes {', '.join(read.inputs)}" if read.inputs else "starts")
        self._arrow(y, y + GAP)
        y, ends = self._steps(read.steps, EDGE, RIGHT, y + GAP)
        y = self._last(y, ends)
        title = f"{read.name}, version {read.version}: {plain(read.title)}"
        opened = (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="bp" viewBox="0 0 {WIDE} {y}" width="{WIDE}" height="{y}" '
            f'role="img" aria-label={quoteattr(title)}>'
        )
        page = f'<rect class="page" width="{WIDE}" height="{y}" rx="10"/>'
        styled = [f"<style>{style}</style>"] if style else []
        return "\n".join([opened, f"<title>{escape(title)}</title>", *styled, page, *self.parts, "</svg>", ""])

    # What stands around the steps

    def _head(self) -> int:
        read = self.blueprint
        y = 34
        for line in fitted(read.title or read.name, size=BOLD * 18, room=WIDE - 2 * EDGE - 4, most=2):
            self._say(line, EDGE + 2, y, "title")
            y += 23
        self._say(f"{read.name} · version {read.version}", EDGE + 2, y - 2, "note")
        return y + 14

    def _terminal(self, y: int, said: str) -> int:
        line = fitted(said, size=SMALL, room=RIGHT - EDGE - 40, most=1)[0]
        wide = min(int(width(line, SMALL)) + 34, RIGHT - EDGE)
        self.parts.append(f'<rect class="end" x="{SPINE - wide // 2}" y="{y}" width="{wide}" height="28" rx="14"/>')
        self._say(line, SPINE, y + 18, "small middle")
        return y + 28

    def _last(self, y: int, ends: list[Ends]) -> int:
        """The two ends of the run: that it is done, and that something failed."""
        self._arrow(y, y + GAP)
        outputs = ", ".join(self.blueprint.outputs)
        top = y + GAP
        bottom = self._terminal(top, f"done; gives {outputs}" if outputs else "done")
        if not ends:
            return bottom + EDGE
        y = bottom + 14
        first = min(each.y for each in ends)
        self.parts.append(f'<path class="fail" d="M{RAIL} {first}V{y}"/>')
        self._head_at(RAIL, y, "failhead")
        said = "the run ends: failed"
        wide = int(width(said, SMALL)) + 44
        left = WIDE - EDGE - wide
        self.parts.append(f'<path class="box fails" d="{outline("stop", left, y, wide, 34)}"/>')
        self._cross(left + 18, y + 17)
        self._say(said, left + 32, y + 21, "small")
        return y + 34 + EDGE

    # Steps

    def _steps(self, steps: tuple[Step, ...], left: int, right: int, y: int) -> tuple[int, list[Ends]]:
        """Draw *steps* from *y* down; where they end, and where something fails."""
        ends: list[Ends] = []
        for index, step in enumerate(steps):
            if index:
                self._arrow(y, y + GAP)
                y += GAP
            top = y
            draw = self._frame if isinstance(step, MapStep | RepeatStep) else self._box
            y = draw(step, left, right, y)
            if not step.may_fail and not isinstance(step, StopStep):
                ends.append(Ends(top + 22 if isinstance(step, MapStep | RepeatStep) else (top + y) // 2, right))
        if right == RIGHT:
            for each in ends:
                self._failing(each, RAIL)
        return y, ends

    def _frame(self, step: Step, left: int, right: int, y: int) -> int:
        """A loop or a map: a frame around its steps, which are drawn into it."""
        inside = getattr(step, "steps", ())
        outer, self.parts = self.parts, []
        at = self._header(step, left, right, y)
        first = at + (GAP if isinstance(step, RepeatStep) else 10)
        if isinstance(step, RepeatStep):
            self._arrow(at, first)
        bottom, ends = self._steps(inside, left + GUTTER, right - INSET, first)
        for each in ends:
            self._failing(each, right)
        if isinstance(step, RepeatStep):
            self._again(left + GUTTER // 2, first, bottom, left + GUTTER)
            bottom += 12
        bottom += 14
        drawn, self.parts = self.parts, outer
        size = f'x="{left}" y="{y}" width="{right - left}" height="{bottom - y}" rx="8"'
        if isinstance(step, MapStep):  # a pile of them
            behind = f'x="{left + 5}" y="{y + 5}" width="{right - left}" height="{bottom - y}" rx="8"'
            self.parts.append(f'<rect class="frame" {behind}/>')
        self.parts += [f'<rect class="frame" {size}/>', *drawn]
        return bottom

    def _header(self, step: Step, left: int, right: int, y: int) -> int:
        """What a frame says of itself."""
        lines = self._conditions(step, right - left - 60)
        lines += [Words(line, "name") for line in fitted(named(step), size=BOLD * BIG, room=right - left - 56)]
        said = short(does(step))
        said = said[0].upper() + said[1:]
        lines += [Words(line, "small") for line in fitted(said, size=SMALL, room=right - left - 56, most=3)]
        if isinstance(step, MapStep):
            lines.append(Words("each in a fork that is thrown away", "small"))
        if step.may_fail:
            lines.append(Words("if it fails, the run goes on", "note"))
        self._icon(kind(step), left + 12, y + 12)
        return self._lines(lines, left + 44, y + 12)

    def _box(self, step: Step, left: int, right: int, y: int) -> int:
        what = "wait" if isinstance(step, StopStep) and step.wait else kind(step)
        gate = GATES.get(what, "")
        y += 5 if gate else 0  # the arrow ends above its bar
        room = right - left - 60
        lines = self._conditions(step, room)
        lines += [Words(line, "name") for line in fitted(named(step), size=BOLD * BIG, room=room)]
        lines += [
            Words(line, look)
            for text, look in self._about(step)
            for line in fitted(short(text), size=SMALL, room=room, fixed=look == "code")
        ]
        if step.may_fail:
            lines.append(Words("if it fails, the run goes on", "note"))
        top = y + (24 if gate else 0)
        high = len(lines) * LINE + 22 + top - y
        self.parts.append(
            f'<path class="box {TONES[what]}{" gate" if gate else ""}" d="{outline(what, left, y, right - left, high)}"/>'
        )
        if gate:
            self._gate(gate, left, right, y, high)
        self._icon(what, left + 12, top + 13)
        self._lines(lines, left + 46, top + 12)
        return y + high

    def _about(self, step: Step) -> list[tuple[str, str]]:
        """What a box says below its name: the kind, who acts, what it does, what it is given."""
        what = kind(step)
        if acting := role(step):
            more = f" · goes on from {step.goes_on}" if isinstance(step, AgentStep) and step.goes_on else ""
            found = [(f"{what.upper()} · {acting}{more}", "kind")]
        elif what in {"approve", "stop"}:
            found = [(f"{'STOP · waits for a person' if getattr(step, 'wait', False) else what.upper()}", "kind")]
            found += [(getattr(step, what), "small")]
        else:
            found = [(what.upper(), "kind"), (does(step).removeprefix("runs "), "code" if what == "run" else "small")]
        return [*found, (f"sees {', '.join(sees(step))}", "note")] if sees(step) else found

    def _conditions(self, step: Step, room: float) -> list[Words]:
        lines = fitted(f"only if {short(step.when)}", size=SMALL, room=room - 16, most=2) if step.when else []
        return [Words(("◇ " if not index else "   ") + line, "when") for index, line in enumerate(lines)]

    # Pieces

    def _gate(self, said: str, left: int, right: int, y: int, high: int) -> None:
        """Posts on both sides, a striped bar across, and the word."""
        self.parts.append(f'<path class="bar" d="M{left} {y}H{right}"/><path class="stripes" d="M{left} {y}H{right}"/>')
        for x in (left, right):
            self.parts.append(f'<path class="post" d="M{x} {y - 7}V{y + high + 5}"/>')
        self._say(said, left + 12, y + 22, "gateword")

    def _again(self, x: int, first: int, bottom: int, left: int) -> None:
        """From the last step of a loop back to its first."""
        y, top = bottom + 12, first + 18
        way = f"M{SPINE} {bottom}V{y}H{x + 8}Q{x} {y} {x} {y - 8}V{top + 8}Q{x} {top} {x + 8} {top}H{left - 6}"
        self.parts += [f'<path class="flow" d="{way}"/>', f'<path class="head" d="M{left} {top}l-8 -4.5v9z"/>']

    def _failing(self, each: Ends, rail: int) -> None:
        self.parts.append(f'<path class="fail" d="M{each.x} {each.y}H{rail}"/>')
        self._cross(each.x, each.y)

    def _cross(self, x: int, y: int) -> None:
        self.parts.append(
            f'<circle class="crossed" cx="{x}" cy="{y}" r="6.5"/><path class="cross" d="M{x - 3} {y - 3}l6 6m0 -6l-6 6"/>'
        )

    def _arrow(self, start: int, end: int) -> None:
        self.parts.append(f'<path class="flow" d="M{SPINE} {start}V{end - 6}"/>')
        self._head_at(SPINE, end, "head")

    def _head_at(self, x: int, y: int, look: str) -> None:
        self.parts.append(f'<path class="{look}" d="M{x} {y}l-4.5 -8h9z"/>')

    def _icon(self, what: str, x: int, y: int) -> None:
        self.parts.append(f'<path class="icon {TONES[what]}" transform="translate({x} {y})" d="{ICONS[what]}"/>')

    def _lines(self, lines: list[Words], x: int, y: int) -> int:
        for line in lines:
            self._say(line.text, x, y + 13, line.look)
            y += LINE
        return y + 4

    def _say(self, text: str, x: int, y: int, look: str) -> None:
        self.parts.append(f'<text class="{look}" x="{x}" y="{y}" xml:space="preserve">{escape(text)}</text>')


@cache
def _style() -> str:
    """What the parts of a drawing look like, on one line."""
    return resources.files(__package__).joinpath("static/drawing.css").read_text("utf-8").strip().replace("\n", "")
