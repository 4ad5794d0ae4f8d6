"""Lines of a diff made ready for the page, as many as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from nightmill.report.diff import File, Line, parse
from nightmill.report.text import plain, shown, visible

__all__ = ["FileView", "Row", "Rows", "apart", "files", "rows"]

PER_LINE = 90
"""Characters of markup around each line."""
LONGEST_LINE = 1000
LONG = 160
"""Rows above which a file is shown folded."""
MOST_FILES = 300


class Row(NamedTuple):
    """One line, ready: *text* is markup."""

    kind: str
    sign: str
    old: int
    new: int
    text: Markup


class Rows(NamedTuple):
    """The lines that fit, and how many did not."""

    rows: tuple[Row, ...]
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileView:
    """One file of a diff. *turns* are the ids and numbers of the turns whose edit tools wrote it."""

    path: str
    how: str
    added: int
    removed: int
    rows: Rows
    folded: bool
    turns: tuple[tuple[str, int], ...]


SIGNS = {"add": "+", "cut": "\N{MINUS SIGN}", "same": "", "hunk": "", "note": ""}


def rows(lines: Sequence[Line], room: int) -> Rows:
    """*lines* as rows until *room* characters of markup are used."""
    made: list[Row] = []
    for line in lines:
        row = Row(line.kind, SIGNS[line.kind], line.old, line.new, _text(line))
        room -= len(row.text) + PER_LINE
        if room < 0:
            break
        made.append(row)
    return Rows(tuple(made), len(lines) - len(made))


def files(diff: str, *, room: int, edited: dict[str, tuple[tuple[str, int], ...]]) -> tuple[list[FileView], int]:
    """The files of *diff* with the turns that *edited* them, and how many files were left out."""
    parsed = parse(diff)
    views: list[FileView] = []
    for file in parsed[:MOST_FILES]:
        made = rows(file.lines, max(room, PER_LINE * 4))
        room -= sum(len(row.text) + PER_LINE for row in made.rows)
        views.append(_view(file, made, edited))
    return views, max(0, len(parsed) - MOST_FILES)


def apart(lines: Sequence[Row]) -> list[tuple[Row, ...]]:
    """*lines* of one file as hunks, each with its head first; what stands before the first one is left out."""
    found: list[list[Row]] = []
    for line in lines:
        if line.kind == "hunk":
            found.append([line])
        elif found:
            found[-1].append(line)
    return [tuple(hunk) for hunk in found]


def _view(file: File, made: Rows, edited: dict[str, tuple[tuple[str, int], ...]]) -> FileView:
    return FileView(
        path=plain(file.path) or "a file without a name",
        how=", ".join(file.how),
        added=file.added,
        removed=file.removed,
        rows=made,
        folded=len(made.rows) > LONG,
        turns=edited.get(file.path, ()),
    )


def _text(line: Line) -> Markup:
    start, end = line.spot
    if len(line.text) > LONGEST_LINE:
        cut = shown(line.text, LONGEST_LINE)
        gap = Markup('<span class="cut">… {:,} characters left out …</span>').format(cut.left_out)
        return cut.head + (gap if cut.left_out else Markup("")) + cut.tail
    if start >= end:
        return visible(line.text)
    marked = Markup("<em>{}</em>").format(visible(line.text[start:end]))
    return visible(line.text[:start]) + marked + visible(line.text[end:])
