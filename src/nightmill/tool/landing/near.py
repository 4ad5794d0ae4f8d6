"""What a model is told when its edit finds no place: the lines of the file that come nearest."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nightmill.tool.landing.page import Page, bare, loose

__all__ = ["nearest"]

MOST_PLACES = 3
MOST_LINES = 40
MOST_CHARACTERS = 4000
MOST_OFTEN = 200
LEAST_ALIKE = 0.6
MOST_WORDS = 6
WORD = re.compile(r"\w{3,}")


def nearest(page: Page, quoted: Sequence[str]) -> str:
    """The places, at most three, where most of *quoted* stands, with line numbers; else the most alike line."""
    wanted = [loose(line) for line in quoted]
    starts = places(page, wanted)
    if not starts:
        starts = _alike(page, quoted)
    if not starts:
        return "No line of it is there: read the file again."
    shown, left = [], MOST_CHARACTERS
    for start in starts[:MOST_PLACES]:
        last = min(len(page.lines), start + min(len(wanted), MOST_LINES) + 1)
        text = "\n".join(f"{at + 1}\t{bare(page.lines[at])[:500]}" for at in range(max(0, start), last))[:left]
        left -= len(text)
        shown += [text] if text else []
    lines = "\n…\n".join(shown)
    return f"The nearest lines are:\n{lines}\nQuote them as they are."


def places(page: Page, wanted: Sequence[bytes]) -> list[int]:
    """First lines of where *wanted* may begin, those with most of it first, none of them within another."""
    votes = _votes(page, wanted)
    slack = max(4, len(wanted) // 2)
    near: dict[int, float] = {}
    for start, value in votes.items():
        near[start // slack] = near.get(start // slack, 0.0) + value
    score = {
        start: value + 0.5 * sum(near.get(start // slack + by, 0.0) for by in (-1, 0, 1))
        for start, value in votes.items()
    }
    chosen: list[int] = []
    for start in sorted(score, key=lambda each: (-score[each], each)):
        if all(abs(start - other) >= max(slack, len(wanted)) for other in chosen):
            chosen.append(start)
        if len(chosen) == 2 * MOST_PLACES:
            break
    return [max(0, start) for start in chosen]


def _votes(page: Page, wanted: Sequence[bytes]) -> dict[int, float]:
    """For each line that *wanted* could begin at, what speaks for it: long lines and rare ones do most."""
    found: dict[bytes, list[int]] = {line: [] for line in wanted if line}
    for at, line in enumerate(page.loose):
        if line in found:
            found[line].append(at)
    votes: dict[int, float] = {}
    for at, line in enumerate(wanted):
        hits = found.get(line, [])
        for hit in hits if len(hits) <= MOST_OFTEN else ():
            votes[hit - at] = votes.get(hit - at, 0.0) + len(line) / (len(line) + 4) + 1 / len(hits)
    return votes


def _alike(page: Page, quoted: Sequence[str]) -> list[int]:
    """Where a line is that has most words of the longest quoted one."""
    at, line = max(enumerate(quoted), key=lambda each: len(each[1].strip()))
    words = sorted(set(WORD.findall(line)), key=len)[-MOST_WORDS:]
    held = [sum(word in found for word in words) for found in page.lines]
    most = max(held, default=0)
    return [max(0, held.index(most) - at)] if words and most >= LEAST_ALIKE * len(words) else []
