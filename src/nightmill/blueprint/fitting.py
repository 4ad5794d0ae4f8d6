"""Text that fits: how wide it is, about, wrapped and cut for a drawing that no browser lays out."""

from __future__ import annotations

import textwrap
import unicodedata

__all__ = ["fitted", "plain", "width"]

NARROW, WIDE = frozenset("iljftr.,:;'|!()[]{} \"`·/\\-"), frozenset("mwMWQOGCD@%&—…_")
FIXED = 0.625
"""Of the height, the width of each letter where all have the same."""
SIZES = {"narrow": 0.38, "wide": 0.88, "usual": 0.61, "full": 1.05}
"""Of a letter's height, by what browsers measured with common system fonts; rather too much."""


def plain(text: str) -> str:
    """*text* on one line, without what cannot be seen, turns the writing round or is not allowed in XML."""
    seen = "".join(
        letter if letter.isprintable() else " " if letter.isspace() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
    return " ".join(seen.split())


def width(text: str, size: float) -> float:
    """The width of *text* in letters *size* pixels high, rather too wide; bold ones count as 1.13 times as high."""
    return size * sum(_letter(each) for each in text)


def fitted(text: str, *, size: float, room: float, most: int = 2, fixed: bool = False) -> list[str]:
    """*text* in at most *most* lines of *room*; what does not fit ends in "…". *fixed*: as code is written."""
    if fixed:
        return textwrap.wrap(plain(text), max(1, int(room / size / FIXED)), max_lines=most, placeholder=" …")
    lines: list[str] = []
    left = plain(text)
    while left and len(lines) < most:
        line, left = _line(left, size, room, last=len(lines) == most - 1)
        lines.append(line)
    return lines


def _line(text: str, size: float, room: float, *, last: bool) -> tuple[str, str]:
    count = _count(text, size, room)
    if count >= len(text):
        return text, ""
    if last:
        count = max(1, _count(text, size, room - width("…", size)))
        return text[:count].rstrip() + "…", ""
    space = text.rfind(" ", 1, count + 1)
    if space > count // 2:
        return text[:space], text[space + 1 :]
    return text[: max(1, count)], text[max(1, count) :].lstrip()


def _count(text: str, size: float, room: float) -> int:
    """How many letters of *text* fit."""
    for index, letter in enumerate(text):
        room -= size * _letter(letter)
        if room < 0:
            return index
    return len(text)


def _letter(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF":
        return SIZES["full"]
    if letter in NARROW:
        return SIZES["narrow"]
    return SIZES["wide" if letter in WIDE else "usual"] + (0.1 if letter.isupper() else 0.0)
