"""Finding quoted lines of which some are wrong: a place where most of them stand in order, and no other like it.

A line that changes must be there as it was quoted, whole; what it stands in (lines further out, above it) as well. Only
lines that tell where it is may be missing, too many or misquoted, and they stay as the file has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from typing import NamedTuple

from nightmill.tool.indent import shift
from nightmill.tool.landing.locate import numbers, without_blank_edges
from nightmill.tool.landing.merge import Change, Unclear, already, changes, merged
from nightmill.tool.landing.near import places
from nightmill.tool.landing.page import Page, bare, depth, loose
from nightmill.tool.landing.reading import Asked

__all__ = ["aligned"]

LEAST = 0.5
"""Of the quoted lines, this share must be there."""
MARGIN = 0.2
"""And the next best place must have so much less of them."""
LEAST_LIKE = 0.5
MOST_LOST = 0.25
"""Of the quoted lines, this share (or one line) may have no counterpart at all."""
MOST_CELLS = 60_000
WORD = re.compile(r"\w+")
COMMENT = re.compile(r"#|//|/?\*|--|<!--|[;%\"]")
PROSE = re.compile(r"[a-z]+")
DIGITS = re.compile(r"\d+")
LEAST_SAME = 0.8
LEAST_WORD = 0.6
MOST_WIDE = 400
TELLING = 6
SIGNS = 3
MOST_BROKEN = 6
CLOSE = 1
FEWEST = 2
NEXT = 0.5
BLANK = 0.1


class Place(NamedTuple):
    """Where the quoted lines may be: the file's line of each that is there, what share of them is, and which."""

    pairs: list[int | None]
    share: float
    there: set[int]


def aligned(page: Page, asked: Asked) -> tuple[str, int] | None:
    """The new text of the file and the first line that changed; None: most of the quoted lines are nowhere in order.

    Raises:
        Unclear: If another place has nearly as many, the lines to be changed are not there, or what is around them
            does not tell enough.
    """
    quoted, put = without_blank_edges(*asked.lines)
    keys = [loose(line) for line in quoted]
    if already(page, quoted, put):
        raise Unclear("the file has the new text already.")
    found = sorted((_place(page, keys, start) for start in places(page, keys)), key=lambda each: -each.share)
    if not found or found[0].share < LEAST:
        return None
    best = found[0]
    others = [each for each in found[1:] if not _overlap(each, best)]
    if others and others[0].share > best.share - MARGIN:
        starts = [next(at for at in each.pairs if at is not None) for each in (best, others[0])]
        raise Unclear(f"two places are much like it (lines {numbers(starts)}).")
    wanted = changes(quoted, put)
    beside = _beside(page, quoted, best.pairs)
    best = best._replace(there=best.there | _slips(page, quoted, best.pairs, beside))
    _known(page, quoted, best, beside)
    spots = [at for at in best.pairs if at is not None]
    near = {
        line for line in page.loose[max(0, spots[0] - len(quoted)) : spots[-1] + len(quoted)] if len(line) >= TELLING
    }
    for change in wanted:
        _certain(page, quoted, best, beside, change, near)
    return merged(page, best.pairs, quoted, wanted, beside=beside)


def _overlap(one: Place, other: Place) -> bool:
    """Whether half of the lines of *one* are those of *other*: then they are one place."""
    left, right = ({at for at in each.pairs if at is not None} for each in (one, other))
    return 2 * len(left & right) >= len(left)


def _place(page: Page, keys: Sequence[bytes], start: int) -> Place:
    slack = max(8, len(keys))
    low = max(0, start - slack)
    window = page.loose[low : start + len(keys) + slack]
    if len(keys) * len(window) > MOST_CELLS:
        return Place([None] * len(keys), 0.0, set())
    pairs: list[int | None] = [None] * len(keys)
    for at, other in _common(keys, window):
        pairs[at] = low + other
    full = [at for at, key in enumerate(keys) if key]
    there = _wrapped(keys, page.loose, pairs) | {at for at in full if pairs[at] is not None}
    return Place(pairs, len(there) / max(1, len(full)), there)


def _gaps(pairs: Sequence[int | None]) -> Iterator[tuple[range, range]]:
    """The quoted lines that are not there, between two that are, and the lines that the file has in their place."""
    known = [(at, line) for at, line in enumerate(pairs) if line is not None]
    for (left, above), (right, below) in pairwise(known):
        if right - left > 1:
            yield range(left + 1, right), range(above + 1, below)


def _wrapped(keys: Sequence[bytes], lines: Sequence[bytes], pairs: Sequence[int | None]) -> set[int]:
    """The quoted lines that the file has, too, only broken at other places."""
    known = [(at, line) for at, line in enumerate(pairs) if line is not None]
    if not known:
        return set()
    (first, top), (last, bottom) = known[0], known[-1]
    found = {at for quoted, there in _gaps(pairs) if _joined(keys, quoted) == _joined(lines, there) for at in quoted}
    for by in range(1, MOST_BROKEN + 1):
        if first and top >= by and _joined(keys, range(first)) == _joined(lines, range(top - by, top)):
            found |= set(range(first))
        if last + 1 < len(keys) and _joined(keys, range(last + 1, len(keys))) == _joined(
            lines, range(bottom + 1, min(len(lines), bottom + 1 + by))
        ):
            found |= set(range(last + 1, len(keys)))
    return {at for at in found if keys[at]}


def _joined(lines: Sequence[bytes], which: range) -> bytes:
    return b"".join(lines[which.start : which.stop])


def _common(left: Sequence[bytes], right: Sequence[bytes]) -> list[tuple[int, int]]:
    """The heaviest common subsequence; lines that follow one another on both sides weigh more, blank ones little."""
    width = len(right) + 1
    none = float("-inf")
    total, ends = [[0.0] * width], [[none] * width]
    for line in left:
        above, before = total[-1], ends[-1]
        row, last = [0.0] * width, [none] * width
        weight = 1.0 if line else BLANK
        for at in range(1, width):
            best = max(above[at], row[at - 1])
            if right[at - 1] == line:
                here = weight + max(above[at - 1], before[at - 1] + NEXT)
                last[at] = here
                best = max(best, here)
            row[at] = best
        total.append(row)
        ends.append(last)
    return _traced(total, ends)


def _traced(total: Sequence[Sequence[float]], ends: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    row, at, must = len(total) - 1, len(total[0]) - 1, False
    while row and at:
        if must or (ends[row][at] == total[row][at] and total[row][at] > max(total[row - 1][at], total[row][at - 1])):
            found.append((row - 1, at - 1))
            must = ends[row - 1][at - 1] + NEXT >= total[row - 1][at - 1] and ends[row - 1][at - 1] > 0
            row, at = row - 1, at - 1
        elif total[row - 1][at] >= total[row][at - 1]:
            row -= 1
        else:
            at -= 1
    return found[::-1]


def _known(page: Page, quoted: Sequence[str], place: Place, beside: Sequence[int | None]) -> None:
    """Raise `Unclear` unless nearly all of *quoted* are there, misquoted there, or there in another order."""
    full = [at for at, line in enumerate(quoted) if line.strip()]
    spots = [at for at in place.pairs if at is not None]
    near = set(page.loose[max(0, spots[0] - len(quoted)) : spots[-1] + len(quoted)])
    for at in (full[0], full[-1]):
        key = loose(quoted[at])
        if at not in place.there and not (key in near and len(key) >= TELLING and page.loose.count(key) == 1):
            raise Unclear(f"the line {quoted[at].strip()[:80]!r}, at the edge of old, is not as it was quoted.")
    known = [(quoted[at], bare(page.lines[line])) for at, line in enumerate(place.pairs) if line is not None]
    if shift([left for left, _ in known], [right for _, right in known]) is None:
        raise Unclear("its lines are indented otherwise, each in its own way.")
    lost = [at for at in full if at not in place.there and beside[at] is None and loose(quoted[at]) not in near]
    if len(lost) > max(1, MOST_LOST * len(full)):
        raise Unclear(f"the file has nothing like {quoted[lost[0]].strip()[:80]!r} there.")


def _certain(
    page: Page, quoted: Sequence[str], place: Place, beside: Sequence[int | None], change: Change, near: set[bytes]
) -> None:
    """Raise `Unclear` unless *change* can be meant at this spot only: it and a neighbour are there, and what it is in."""
    first, last, _ = change
    pairs = place.pairs
    if any(pairs[at] is None for at in range(first, last) if quoted[at].strip()):
        raise Unclear("a line to be replaced is not as it was quoted.")
    for at in _headers(quoted, change):
        if at not in place.there:
            raise Unclear(f"the line {quoted[at].strip()[:80]!r}, which the change is in, is not as it was quoted.")
    start, stop = _run(place.pairs, quoted, change)
    known = [at for at in pairs if at is not None]
    run = [loose(line) for line in quoted[start:stop]]
    spots = [at for at in page.find(run) if known[0] - len(run) < at <= known[-1]]
    if _other_near(quoted, place, change, near):
        raise Unclear("a line near the change is another one in the file.")
    if _twin_near(page, quoted, pairs, beside, change):
        raise Unclear("the file has two lines there that may be meant.")
    if not _supported(quoted, place, beside, change) or len(spots) != 1 or len(place.there) < FEWEST:
        raise Unclear("too few of the lines around it are as they were quoted.")


def _other_near(quoted: Sequence[str], place: Place, change: Change, near: set[bytes]) -> bool:
    """Whether a quoted line close to *change* is not there in any way: then it may be another place, much like it."""
    above = [at for at in range(change.first - 1, -1, -1) if len(loose(quoted[at])) >= SIGNS][:CLOSE]
    below = [at for at in range(change.last, len(quoted)) if len(loose(quoted[at])) >= SIGNS][:CLOSE]
    return any(at not in place.there and loose(quoted[at]) not in near for at in (*above, *below))


def _twin_near(
    page: Page, quoted: Sequence[str], pairs: Sequence[int | None], beside: Sequence[int | None], change: Change
) -> bool:
    """Whether a line that nobody quoted stands close to *change* and is much like one that it replaces."""
    found = [at for at in pairs[change.first : change.last] if at is not None]
    if not found:
        return False
    known = {at for at in beside if at is not None}
    extra = [at for at in range(min(known), max(known)) if at not in known and page.loose[at]]
    for at in range(change.first, change.last):
        line = quoted[at].strip()[:MOST_WIDE]
        like = (
            SequenceMatcher(None, line, bare(page.lines[each]).strip()[:MOST_WIDE], autojunk=False) for each in extra
        )
        if line and any(each.real_quick_ratio() >= LEAST_SAME and each.ratio() >= LEAST_SAME for each in like):
            return True
    return False


def _supported(quoted: Sequence[str], place: Place, beside: Sequence[int | None], change: Change) -> bool:
    """Whether the next line before *change* that is not blank, or the next one behind it, stands next to it in the file."""
    before = next((at for at in range(change.first - 1, -1, -1) if quoted[at].strip()), -1)
    after = next((at for at in range(change.last, len(quoted)) if quoted[at].strip()), len(quoted))
    spots = {at: beside[at] for at in range(before, after + 1) if 0 <= at < len(quoted)}
    left = [spots[at] for at in range(max(0, before), change.first + (change.first < change.last))]
    right = [spots[at] for at in range(max(0, change.last - (change.first < change.last)), min(len(quoted), after + 1))]
    one = before >= 0 and before in place.there and _in_a_row(left)
    other = after < len(quoted) and after in place.there and _in_a_row(right)
    return one or other


def _in_a_row(spots: Sequence[int | None]) -> bool:
    return all(left is not None and right == left + 1 for left, right in pairwise(spots))


def _slips(page: Page, quoted: Sequence[str], pairs: Sequence[int | None], beside: Sequence[int | None]) -> set[int]:
    found = [(at, line) for at, line in enumerate(beside) if line is not None and pairs[at] is None]
    return {at for at, line in found if _misspelt(page, quoted[at].strip(), bare(page.lines[line]).strip())}


def _run(pairs: Sequence[int | None], quoted: Sequence[str], change: Change) -> tuple[int, int]:
    """*change* and the quoted lines before and behind it that stand there, too, one behind the other."""
    start, stop = change.first, change.last
    if start == stop and start and pairs[start - 1] is not None:
        start -= 1
    elif start == stop and stop < len(pairs) and pairs[stop] is not None:
        stop += 1
    while 0 < start < stop and _follow(pairs, start - 1, start):
        start -= 1
    while start < stop < len(quoted) and _follow(pairs, stop - 1, stop):
        stop += 1
    return start, stop


def _follow(pairs: Sequence[int | None], left: int, right: int) -> bool:
    one, other = pairs[left], pairs[right]
    return one is not None and other is not None and one + 1 == other


def _misspelt(page: Page, quoted: str, found: str) -> bool:
    """Whether *quoted* is *found* with a slip: what differs is alike, and is nowhere in the file as it was quoted.

    A name that the file has elsewhere, or another number, is no slip but another thing.
    """
    if SequenceMatcher(None, quoted[:MOST_WIDE], found[:MOST_WIDE], autojunk=False).ratio() < LEAST_SAME:
        return False
    left, right = WORD.findall(quoted), WORD.findall(found)
    odd, real = [word for word in left if word not in right], [word for word in right if word not in left]
    one, other = " ".join(odd), " ".join(real)
    if one != other and DIGITS.sub("", one) == DIGITS.sub("", other):
        return False
    if COMMENT.match(quoted) and COMMENT.match(found) and all(PROSE.fullmatch(word) for word in odd):
        return True
    alike = not odd or SequenceMatcher(None, one, other, autojunk=False).ratio() >= LEAST_WORD
    return alike and (not odd or not all(_is_word(page.text, word) for word in odd))


def _is_word(text: str, word: str) -> bool:
    """Whether *word* stands in *text*, not as a part of another."""
    at = text.find(word)
    while at >= 0:
        around = text[max(0, at - 1) : at] + text[at + len(word) : at + len(word) + 1]
        if not WORD.search(around):
            return True
        at = text.find(word, at + 1)
    return False


def _headers(quoted: Sequence[str], change: Change) -> list[int]:
    """The quoted lines above *change* that stand further out than it, each further than the one below it."""
    inner = [line for line in [*quoted[change.first : change.last], *change.put] if line.strip()]
    least = min((depth(line) for line in inner), default=0)
    found = []
    for at in range(change.first - 1, -1, -1):
        line = quoted[at]
        if line.strip() and depth(line) < least:
            least = depth(line)
            found.append(at)
    return found


def _beside(page: Page, quoted: Sequence[str], pairs: Sequence[int | None]) -> list[int | None]:
    """*pairs* with the lines that are only misquoted: as many in a gap as the file has there, each like its like."""
    made = list(pairs)
    known = [(at, line) for at, line in enumerate(pairs) if line is not None]
    (first, top), (last, bottom) = known[0], known[-1]
    head = (range(first), range(max(0, top - first), top))
    more = len(quoted) - last
    tail = (range(last + 1, len(quoted)), range(bottom + 1, min(len(page.lines), bottom + more)))
    for asked, there in (head, *_gaps(pairs), tail):
        if len(asked) != len(there):
            continue
        for at, line in zip(asked, there, strict=True):
            one, other = quoted[at].strip()[:400], bare(page.lines[line]).strip()[:400]
            if SequenceMatcher(None, one, other, autojunk=False).ratio() >= LEAST_LIKE:
                made[at] = line
    return made
