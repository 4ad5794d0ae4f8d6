"""The way of one edit: exact, then apart from what models misquote, then by what stands around it; one place or none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from nightmill.errors import ToolError
from nightmill.tool.landing.align import aligned
from nightmill.tool.landing.locate import elided, exactly, inline, numbers, whole
from nightmill.tool.landing.merge import Unclear, changes, merged
from nightmill.tool.landing.near import nearest
from nightmill.tool.landing.page import Page
from nightmill.tool.landing.reading import Asked, is_placeholder, readings

__all__ = ["Landed", "apply_edit", "apply_lines"]

MOST_FOUND = 1000
MOST_ENDS = 6
CLEARLY = 2
"""So many lines must speak for a place, or so many more than for another."""
NEWLINE = r"(?:\r\n|(?<!\r)\n)"
MARK = "\ufeff"
"""The byte order mark: not part of what anybody quotes."""


WAYS = {
    whole: "apart from white space and signs",
    elided: "around what it leaves out",
    inline: "apart from its signs",
    aligned: "by the lines around it",
}


class Landed(NamedTuple):
    """A file with an edit made: its text, where it changed first, and how the place was found: "" is exactly."""

    text: str
    at: int
    how: str = ""


def apply_edit(text: str, *, old: str, new: str, everywhere: bool = False) -> Landed:
    """*text* with *old* replaced by *new*.

    Raises:
        ToolError: If *old* is empty (except in an empty text), not found, found more than once, or found in a way
            that leaves open what *new* means there.
    """
    if old == new:
        raise ToolError("old and new are the same text.")
    mark = MARK if text.startswith(MARK) else ""
    text, old, new = text[len(mark) :], old.removeprefix(MARK), new.removeprefix(MARK)
    if not old and text:
        raise ToolError("old is empty: quote some lines of the file, or use write_file for a new file.")
    asked = Asked(old.replace("\r\n", "\n"), new.replace("\r\n", "\n"))
    asked = asked._replace(new=_filled(asked))
    landed = _exact(text, asked, everywhere=everywhere) or _lenient(text, asked, everywhere=everywhere)
    return Landed(mark + landed.text, len(mark) + landed.at, landed.how)


def apply_lines(text: str, *, old: Sequence[str], new: Sequence[str]) -> Landed:
    """*text* with the whole lines *old* replaced by *new*, as a patch has them.

    Raises:
        ToolError: As `apply_edit`.
    """
    asked = Asked("\n".join([*old, ""]), "\n".join([*new, ""]) if new else "")
    page = Page(text)
    found = exactly(page, old)
    if len(found) > 1:
        raise ToolError(
            f"the lines are found {len(found)} times (lines {numbers(found)}): give more lines around them."
        )
    if found:
        made = merged(page, list(range(found[0], found[0] + len(old))), old, changes(old, new))
        return Landed(made[0], page.offset(made[1]))
    return _first(page, [asked])


def _exact(text: str, asked: Asked, *, everywhere: bool) -> Landed | None:
    """Line ends do not count: where the model has its own, the file's are found, and put."""
    if "\r" not in text:
        starts = _all_starts(text, asked.old)
        spans = [(at, at + len(asked.old)) for at in starts]
    else:
        pattern = re.compile(NEWLINE.join(map(re.escape, asked.old.split("\n"))))
        spans = _all_spans(pattern, text)
    if not asked.old:
        spans = [(0, 0)]
    if not spans:
        return None
    if everywhere and asked.old:
        return _everywhere(text, asked, spans)
    if len(spans) > 1:
        where = numbers([text.count("\n", 0, start) for start, _ in spans])
        raise ToolError(f"old is found {len(spans)} times (lines {where}): quote more lines around it, or set all.")
    start, stop = spans[0]
    return Landed(text[:start] + _with_ends(text, asked.new, text[start:stop]) + text[stop:], start, asked.how)


def _all_starts(text: str, old: str) -> list[int]:
    """Where *old* is, overlaps too; at most as many as anybody wants to know."""
    starts: list[int] = []
    at = text.find(old) if old else -1
    while at >= 0 and len(starts) < MOST_FOUND:
        starts.append(at)
        at = text.find(old, at + 1)
    return starts


def _all_spans(pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    while len(spans) < MOST_FOUND and (found := pattern.search(text, spans[-1][0] + 1 if spans else 0)):
        spans.append(found.span())
    return spans


def _everywhere(text: str, asked: Asked, spans: Sequence[tuple[int, int]]) -> Landed:
    pattern = re.compile(NEWLINE.join(map(re.escape, asked.old.split("\n"))))
    made = pattern.sub(lambda found: _with_ends(text, asked.new, found[0]), text)
    return Landed(made, spans[0][0], asked.how)


def _with_ends(text: str, new: str, found: str) -> str:
    """*new* with the line ends that *found* has, or most lines of *text*."""
    usual = "\r\n" if 2 * text.count("\r\n") > text.count("\n") else "\n"
    newline = usual if "\n" not in found else "\r\n" if "\r\n" in found else "\n"
    return new.replace("\n", newline)


def _lenient(text: str, asked: Asked, *, everywhere: bool) -> Landed:
    """The first way that finds the place decides; what is only unclear to one may be clear to the next."""
    page = Page(text)
    ways = list(readings(asked))
    found = (_exact(text, read, everywhere=everywhere) for read in ways[1:])
    landed = next((each for each in found if each), None)
    if landed:
        return landed
    if everywhere:
        raise ToolError(f"old is not in the file. {nearest(page, ways[-1].lines[0])}")
    return _first(page, ways)


def _first(page: Page, asked: Sequence[Asked]) -> Landed:
    why = ""
    for (way, told), read in product(WAYS.items(), asked):
        try:
            made = way(page, read)
        except Unclear as unclear:
            why = why or str(unclear)
            continue
        if made:
            return Landed(made[0], page.offset(made[1]), read.how or told)
    as_quoted = f" as it was quoted: {why}" if why else "."
    raise ToolError(f"old is not in the file{as_quoted} {nearest(page, asked[0].lines[0])}")


def _filled(asked: Asked) -> str:
    """The new text with the old lines for which it only has a comment, such as "... existing code ...".

    Raises:
        ToolError: If it does not tell which.
    """
    put, quoted = asked.new.split("\n"), asked.old.split("\n")
    marks = [at for at, line in enumerate(put) if is_placeholder(line) and line not in quoted]
    if not marks or any(is_placeholder(line) for line in quoted):
        return asked.new
    for at in reversed(marks):
        ways = list(_fillings(quoted, put[:at], put[at + 1 :]))
        if len(ways) != 1:
            raise ToolError(
                f"new has {put[at].strip()!r} for lines that it does not repeat: write them, or quote less in old."
            )
        put = ways[0]
    if put == quoted:
        raise ToolError("new leaves out what it is to change: write the lines that change, and some around them.")
    return "\n".join(put)


def _fillings(quoted: Sequence[str], head: Sequence[str], tail: Sequence[str]) -> Iterator[list[str]]:
    """*head* and *tail* with the quoted lines between the ends of what they have in common with *quoted*."""
    for above in _ends(quoted, head):
        for left in _ends(quoted[::-1], tail[::-1]):
            if above <= len(quoted) - left:
                yield [*head, *quoted[above : len(quoted) - left], *tail]


def _ends(quoted: Sequence[str], head: Sequence[str]) -> list[int]:
    """Behind which of *quoted* the longest end of *head* stands, the likeliest few."""
    if head == quoted[: len(head)]:
        return [len(head)]
    runs = {at + 1: _run(quoted[: at + 1], head) for at, line in enumerate(quoted) if line == head[-1]}
    most = max(runs.values(), default=0)
    told = sum(bool(line.strip()) for line in head[len(head) - most :]) if most else 0
    clearly = 1 if told >= CLEARLY else CLEARLY
    return [at for at, run in runs.items() if run + clearly > most][:MOST_ENDS]


def _run(left: Sequence[str], right: Sequence[str]) -> int:
    """How many lines both end with."""
    size = min(len(left), len(right))
    return next((at for at in range(size) if left[-1 - at] != right[-1 - at]), size)
