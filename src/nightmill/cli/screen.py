"""How commands print: data on standard output, talk on standard error, errors with their hint."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from nightmill.errors import NightmillError

__all__ = ["IN_JSON", "fail", "out", "print_json", "put", "safe", "say", "table", "when"]

IDLE = "no worker is alive: what is not over goes on when one is. Start one with: nightmill worker"
"""Said wherever a person could think that somebody is at work."""

WIDE, LEAST, GAP = 30, 8, 2
"""Characters that the last column of a table should have, that any may be cut to, and between two."""

CONTROL = {number: f"\\x{number:02x}" for number in (*range(9), *range(11, 32), 127, *range(128, 160))}
CONTROL |= {
    number: f"\\u{number:04x}" if number < 1 << 16 else f"\\U{number:08x}"
    for number in (
        *(0xAD, 0x061C, 0x200B, 0x200E, 0x200F, 0xFEFF),
        *range(0x2028, 0x202F),
        *range(0x2060, 0x206A),
        *range(0xFFF9, 0xFFFC),
        *range(0xE0000, 0xE0080),
    )
}
"""What moves the cursor, ends a line, turns the direction of writing or is not to be seen, and how it is shown instead."""


IN_JSON = {number: f"\\u{number:04x}" for number in (*(each for each in CONTROL if each > 126), *range(0xD800, 0xE000))}
"""What JSON leaves as it is and no terminal should get, with halves of characters, which no output takes: the same in JSON."""


def out() -> Console:
    """Standard output; plain when it is not a terminal."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def say(text: str, *, style: str = "") -> None:
    """Talk to the person, beside the data."""
    if not sys.stderr.isatty():  # plain, so that a worker need not load what draws
        sys.stderr.write(f"{safe(text)}\n")
        return
    from rich.console import Console

    Console(stderr=True, highlight=False).print(safe(text), style=style or None, markup=False, soft_wrap=True)


def fail(error: NightmillError) -> None:
    """Say what went wrong, which thing, what to do."""
    say(f"error: {error.message}", style="red")
    if error.hint:
        say(f"hint: {error.hint}")


def safe(text: str) -> str:
    """*text* without control characters: what a model or a repository wrote must not move the cursor."""
    return text.translate(CONTROL)


def put(text: str) -> None:
    """One line of data, as it may be in a terminal."""
    sys.stdout.write(f"{safe(' '.join(text.split()))}\n")
    sys.stdout.flush()


def print_json(value: Any) -> None:
    """*value* for programs, who read the same of what is written so that a terminal shows it."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str).translate(IN_JSON) + "\n")


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, spare: Sequence[str] = (), wrap: bool = False
) -> None:
    """A table as wide as the terminal, its rows below each other where not even short columns fit. Tabs when piped.

    Columns named in *spare* go first where it is narrow, then the widest give way, by more lines with *wrap*, else cut
    short. In a pipe the headings are talk.
    """
    lines = [[safe(" ".join(str(cell).split())) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        say("\t".join(headings))
        for row in lines:
            sys.stdout.write("\t".join(row) + "\n")
        return
    from rich.table import Table
    from rich.text import Text

    console = out()
    widths = [max(len(row[at]) for row in (headings, *lines)) for at in range(len(headings))]
    shown = list(range(len(headings)))
    for name in spare:
        if console.width - sum(widths[at] + GAP for at in shown[:-1]) < WIDE:
            shown.remove(headings.index(name))
    room = console.width - GAP * (len(shown) - 1)
    fitted = _fitted([*(widths[at] for at in shown[:-1]), min(widths[shown[-1]], WIDE)], room)
    if not fitted:
        _below_each_other(console, headings, lines)
        return
    fitted[-1] = min(widths[shown[-1]], room - sum(fitted[:-1]))
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for at, width in zip(shown, fitted, strict=True):
        whole = width == widths[at]
        grid.add_column(
            headings[at], width=width, no_wrap=whole or not wrap, overflow="fold" if wrap and not whole else "ellipsis"
        )
    for row in lines:
        grid.add_row(*(Text(row[at]) for at in shown))
    console.print(grid)


def _fitted(widths: Sequence[int], room: int) -> list[int]:
    """*widths* with the widest cut to one measure, so that all are within *room*; nothing, if they would be too short."""
    for most in range(max(widths), LEAST - 1, -1):
        cut = [min(width, most) for width in widths]
        if sum(cut) <= room:
            return cut
    return []


def _below_each_other(console: Console, headings: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    from rich.text import Text

    for number, row in enumerate(lines):
        if number:
            console.print()
        for heading, cell in zip(headings, row, strict=True):
            if cell:
                console.print(Text.assemble((f"{heading}: ", "bold"), cell))


def when(moment: float) -> str:
    """A time of day here, with the date if it is not today's."""
    then = datetime.fromtimestamp(moment).astimezone()
    return then.strftime("%H:%M:%S" if then.date() == datetime.now().astimezone().date() else "%Y-%m-%d %H:%M")
