"""Rows of any number as a widget that draws only those in sight, and stays at their end while the end is in sight."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nightmill.cli.attach.scene import Row
from nightmill.cli.screen import when

__all__ = ["Pane", "Talk"]

ROOMY = 100
"""Columns from which each row says when it was."""
BODY = 400
"""Lines that are shown of what is opened."""


class Pane(ScrollView, can_focus=True):
    """Rows to read."""

    DEFAULT_CSS = """
    Pane { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; height: 1fr; }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.rows: Sequence[Row] = ()
        self._ends = self.stays
        self._places: list[tuple[int, int]] = []
        """Of each line: the number of its row among *rows*, and which of its lines it is."""

    def show(self, rows: Sequence[Row]) -> None:
        """Show *rows*; of those that were there before, what is in sight stays where it is."""
        line = self.scroll_offset.y
        top = self.rows[self._places[line][0]] if line < len(self._places) else None
        self.rows = tuple(rows)
        self.lay()
        if self._ends:
            self.scroll_end(animate=False, immediate=True)
        elif top is not None and (number := _where(rows, top)) is not None:
            self.scroll_to(y=self.first(number), animate=False, immediate=True)

    def first(self, number: int) -> int:
        """The first line of the row *number*."""
        return bisect_left(self._places, (number, 0))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Note whether its end is in sight: then it goes along with it."""
        super().watch_scroll_y(old_value, new_value)
        self._ends = self.stays and self.is_vertical_scroll_end

    stays = False
    """Whether it goes along with its end."""

    def lay(self) -> None:
        """Find the lines of all rows for the width that there is."""
        width = self.wide
        if width < 1:
            return
        self._places = [
            (number, offset) for number, row in enumerate(self.rows) for offset in range(len(self._lines(row, width)))
        ]
        self.virtual_size = Size(width, len(self._places))
        self.refresh()

    @property
    def wide(self) -> int:
        """Columns for a line."""
        return self.scrollable_content_region.width

    def on_resize(self, _: events.Resize) -> None:
        """Lay it anew for the new width."""
        self.lay()
        if self._ends:
            self.scroll_end(animate=False, immediate=True)

    def render_line(self, y: int) -> Strip:
        """The line that is at *y* in sight."""
        at, width, base = self.scroll_offset.y + y, self.wide, self.rich_style
        if at >= len(self._places):
            return Strip.blank(width, base)
        number, offset = self._places[at]
        row = self.rows[number]
        style = base + Style.parse(row.style) if row.style and not (row.body is not None and offset) else base
        style += self.tint(number) if not offset else Style.null()
        lines = self._lines(row, width)
        text = lines[offset] if offset < len(lines) else ""  # it has become shorter, or wider, since it was laid
        return Strip([Segment(text, style)]).adjust_cell_length(width, style)

    def tint(self, number: int) -> Style:
        """How the row *number* is set off."""
        del number
        return Style.null()

    def _lines(self, row: Row, width: int) -> list[str]:
        if row.laid is None or row.laid[0] != width:
            row.laid = (width, _laid(row, width))
        return row.laid[1]


class Talk(Pane):
    """A pane in which one row is the one that keys are about."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "to(-1)", "Up", show=False),
        Binding("down,j", "to(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "to(-1000000)", "First", show=False),
        Binding("end", "to(1000000)", "Newest", show=False),
        Binding("enter", "open", "Open"),
    ]
    stays = True

    class Opened(Message):
        """A row is to be opened or folded."""

        def __init__(self, row: Row) -> None:
            super().__init__()
            self.row = row

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.cursor: Row | None = None
        """None: the newest, whichever that is."""

    @property
    def at(self) -> int:
        """The number of the row that keys are about."""
        if self.cursor is None:
            return len(self.rows) - 1
        return _where(self.rows, self.cursor) or 0

    def tint(self, number: int) -> Style:
        """Set off the row that keys are about."""
        return Style(reverse=True) if self.has_focus and number == self._marked else Style.null()

    def lay(self) -> None:
        """Find the lines, and where the cursor is."""
        super().lay()
        self._marked = self.at

    _marked = -1

    def action_to(self, by: int) -> None:
        """Go *by* rows down."""
        if self.rows:
            self._go(min(max(self.at + by, 0), len(self.rows) - 1))

    def action_page(self, by: int) -> None:
        """Go a page down."""
        if self._places:
            line = self.first(self.at) + by * max(self.size.height - 1, 1)
            self._go(self._places[min(max(line, 0), len(self._places) - 1)][0])

    def action_open(self) -> None:
        """Open the row, or fold it."""
        if self.rows:
            self.post_message(self.Opened(self.rows[self.at]))

    def on_click(self, click: events.Click) -> None:
        """Go to the row that is clicked, and open it."""
        line = self.scroll_offset.y + click.y
        if line < len(self._places):
            self._go(self._places[line][0])
            self.action_open()

    def _go(self, number: int) -> None:
        newest = number == len(self.rows) - 1
        self.cursor, self._marked = None if newest else self.rows[number], number
        first = self.first(number)
        top, height = self.scroll_offset.y, self.size.height
        if newest:
            self.scroll_end(animate=False, immediate=True)
        elif first < top or first >= top + height:
            self.scroll_to(y=first if first < top else first - height + 1, animate=False, immediate=True)
        self.refresh()


def _where(rows: Sequence[Row], wanted: Row) -> int | None:
    """The number of *wanted* among *rows*, which is mostly near the end."""
    return next((number for number in range(len(rows) - 1, -1, -1) if rows[number] is wanted), None)


def _laid(row: Row, width: int) -> list[str]:
    head = f"{when(row.at)[-8:]:>8}  " if row.at and width >= ROOMY else ""
    head += f"{row.mark} " if row.mark else ""
    indent = " " * cell_len(head)
    first, *rest = _folded(row.text, width - len(indent), row.most)
    lines = [head + first, *(indent + each for each in rest)]
    for each in (row.body or ())[:BODY]:
        lines += [f"{indent}│ {line}" for line in _folded(each, width - len(indent) - 2, BODY)]
    if row.body and len(row.body) > BODY:
        lines.append(f"{indent}│ … {len(row.body) - BODY:,} lines more: nightmill show --html FILE {row.run}")
    return lines


def _folded(text: str, width: int, most: int) -> list[str]:
    """*text* in lines of *width* columns, at most *most*; the last of them says so if there is more."""
    lines, left = list[str](), text
    while len(lines) < most:
        fits = _fits(left, width)
        if fits >= len(left):
            return [*lines, left]
        space = left.rfind(" ", 0, fits + 1)
        end = space if space > fits // 2 else fits
        lines.append(left[:end])
        left = left[end:].lstrip(" ")
        if not left:
            return lines
    last = lines[-1]
    return [*lines[:-1], f"{last[: _fits(last, width - 1)]}…"]


def _fits(text: str, width: int) -> int:
    """How many characters of *text* have room in *width* columns: one at least."""
    start = text[: width + 1]
    if start.isascii():
        return max(min(len(start), width), 1)
    taken = 0
    for number, sign in enumerate(start):
        taken += cell_len(sign)
        if taken > width:
            return max(number, 1)
    return max(min(len(start), width), 1)
