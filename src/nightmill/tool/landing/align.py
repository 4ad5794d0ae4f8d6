"""Finding quoted lines of which some are wrong: a place where most of them stand in order, and no other like it.

A line that changes must be there as it was quoted, whole; what it stands in (lines further out, above it) as well. Other
lines may be missing, too many or misquoted, and stay as the file has them. But what is left of the quote could also be
another place much like one that is gone. Against that speak the lines that the file has only once: the more of the
quote is not there, and cannot be a slip, the more of them it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from typing import NamedTuple

from nightmill.tool.indent import indent
from nightmill.tool.landing.common import common, gaps, likes
from nightmill.tool.landing.locate import numbers, without_blank_edges
from nightmill.tool.landing.merge import Change, Unclear, already, changes, merged
from nightmill.tool.landing.near import places
from nightmill.tool.landing.page import Page, bare, depth, loose, plain
from nightmill.tool.landing.reading import Asked
from nightmill.tool.landing.slip import WORD, is_slip, is_word

__all__ = ["aligned"]

LEAST = 0.5
"""Of the quoted lines, this share must be there."""
MARGIN = 0.2
"""And the next best place must have so much less of them."""
LEAST_LIKE = 0.5
MOST_CELLS = 60_000
MOST_WIDE = 400
TELLING = 6
MOST_BROKEN = 6
FEWEST = 2
SHIFTED = 3
OTHER = 2
MOST_RIVALS = 200
"""Other places that are looked at, where a line is misquoted."""
ALONE = 3
"""Witnesses that it takes more where lines are indented otherwise; where some are not there; where a change has no neighbour."""


class Place(NamedTuple):
    """Where the quoted lines may be: the file's line of each that is there, what share of them is, and which."""

    pairs: list[int | None]
    share: float
    there: set[int]

    @property
    def span(self) -> range:
        """From the first line that is there to the last."""
        known = [at for at in self.pairs if at is not None]
        return range(known[0], known[-1] + 1)


class Sight(NamedTuple):
    """What became of each quoted line that is not blank: there, misquoted, there in another order, or anything else.

    *beside* has the file's line of each that is there or has something like it in its place.
    """

    beside: list[int | None]
    there: set[int]
    slips: set[int]
    moved: set[int]
    other: set[int]


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
        raise Unclear(
            f"two places are much like it (lines {numbers([each.span.start for each in (best, others[0])])})."
        )
    sight = _seen(page, quoted, keys, best)
    wanted = changes(quoted, put)
    _alone(page, quoted, keys, best, sight)
    _enough(page, quoted, best, sight, wanted, others[0].share if others else 0.0)
    for change in wanted:
        _certain(page, quoted, best, sight, change)
    return merged(page, best.pairs, quoted, wanted, beside=sight.beside)


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
    for at, other in common(keys, window):
        pairs[at] = low + other
    full = [at for at, key in enumerate(keys) if key]
    there = _wrapped(keys, page.loose, pairs) | {at for at in full if pairs[at] is not None}
    return Place(pairs, len(there) / max(1, len(full)), there)


def _wrapped(keys: Sequence[bytes], lines: Sequence[bytes], pairs: Sequence[int | None]) -> set[int]:
    """The quoted lines that the file has, too, only broken at other places."""
    known = [(at, line) for at, line in enumerate(pairs) if line is not None]
    if not known:
        return set()
    (first, top), (last, bottom) = known[0], known[-1]
    found = {
        at
        for asked, there in gaps(pairs, len(lines))
        if first < asked.start and asked.stop <= last and _joined(keys, asked) == _joined(lines, there)
        for at in asked
    }
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


def _seen(page: Page, quoted: Sequence[str], keys: Sequence[bytes], place: Place) -> Sight:
    beside = list(place.pairs)

    def like(at: int, line: int) -> float:
        match = SequenceMatcher(None, quoted[at].strip()[:MOST_WIDE], bare(page.lines[line]).strip()[:MOST_WIDE], False)
        return match.ratio() if match.quick_ratio() >= LEAST_LIKE else 0.0

    for asked, there in gaps(place.pairs, len(page.lines)):
        left, right = [at for at in asked if keys[at]], [line for line in there if page.loose[line]]
        for at, line in likes(left, right, like, least=LEAST_LIKE):
            beside[at] = line
    kept = {word for at in place.there for word in WORD.findall(quoted[at])}
    around = set(page.loose[max(0, place.span.start - len(quoted)) : place.span.stop + len(quoted)])
    slips, moved, other = set[int](), set[int](), set[int]()
    for at in [at for at, key in enumerate(keys) if key and at not in place.there]:
        near = beside[at]
        if keys[at] in around and len(keys[at]) >= TELLING:
            moved.add(at)
        elif near is not None and is_slip(
            page.text, plain(quoted[at]).strip(), plain(bare(page.lines[near])).strip(), kept
        ):
            slips.add(at)
        else:
            other.add(at)
    return Sight(beside, place.there, slips, moved, other)


def _alone(page: Page, quoted: Sequence[str], keys: Sequence[bytes], place: Place, sight: Sight) -> None:
    """Raise `Unclear` if a misquoted line could as well be another one, around which all the same lines stand.

    Siblings that stand near each other are one place to whoever looks for lines in order.
    """
    kept = {word for at in sight.there for word in WORD.findall(quoted[at])}
    known = {at: line for at in sight.there if (line := place.pairs[at]) is not None}
    if not sight.slips or not known:
        return
    rarest = min(known, key=lambda at: page.loose.count(keys[at]))
    shifts = [line - known[rarest] for line in page.find([keys[rarest]]) if line != known[rarest]]
    for by in shifts[:MOST_RIVALS]:
        if any(line + by < 0 or page.loose[line + by : line + by + 1] != [keys[at]] for at, line in known.items()):
            continue
        for at in sight.slips:
            near = sight.beside[at]
            other = page.lines[near + by : near + by + 1] if near is not None and near + by >= 0 else []
            if other and is_slip(page.text, plain(quoted[at]).strip(), plain(bare(other[0])).strip(), kept):
                spots = numbers([place.span.start, place.span.start + by])
                raise Unclear(f"two places are much like it (lines {spots}).")


def _enough(
    page: Page, quoted: Sequence[str], place: Place, sight: Sight, wanted: Sequence[Change], second: float
) -> None:
    """Raise `Unclear` unless enough of the lines that the file has only once say that this is the place."""
    full = [at for at, line in enumerate(quoted) if line.strip()]
    for at in (full[0], full[-1]):
        if at in sight.other:
            raise Unclear(f"the line {quoted[at].strip()[:80]!r}, at the edge of old, is not as it was quoted.")
    once = [loose(quoted[at]) for at in place.there]
    once += [page.loose[line] for at in sight.slips if (line := sight.beside[at]) is not None]
    witnesses = sum(page.loose.count(line) == 1 for line in once)
    if witnesses < _needed(page, quoted, place, sight, wanted) + (second >= LEAST):
        at = min(sight.other or sight.slips or sight.moved or place.there)
        raise Unclear(f"the file has {quoted[at].strip()[:80]!r} otherwise, and too little else that tells the place.")


def _needed(page: Page, quoted: Sequence[str], place: Place, sight: Sight, wanted: Sequence[Change]) -> int:
    """How many witnesses it takes, by what speaks against the place; most against it speaks what comes together."""
    known = [line for line in sight.beside if line is not None]
    more = any(any(page.loose[left + 1 : right]) for left, right in pairwise(known))
    shifted = any(
        line is not None and indent(quoted[at]) != indent(page.lines[line])
        for at, line in enumerate(place.pairs)
        if quoted[at].strip()
    )
    kinds = sum(map(bool, (more, shifted, sight.slips, sight.moved, sight.other)))
    beside = [at for change in wanted for at in (*_neighbours(quoted, change), *_headers(quoted, change))]
    return (
        1
        + more
        + SHIFTED * shifted
        + bool(sight.other) * OTHER
        + len(sight.other)
        + any(at in sight.other for at in beside)
        + ALONE * any(not _supported(quoted, sight, change) for change in wanted)
        + max(0, kinds - 1)
    )


def _neighbours(quoted: Sequence[str], change: Change) -> list[int]:
    """The quoted lines next to *change*, on both sides, that are not blank; fewer at the edges."""
    before = [at for at in range(change.first) if quoted[at].strip()][-1:]
    return before + [at for at in range(change.last, len(quoted)) if quoted[at].strip()][:1]


def _certain(page: Page, quoted: Sequence[str], place: Place, sight: Sight, change: Change) -> None:
    """Raise `Unclear` unless *change* can be meant at this spot only, and all it replaces is there."""
    if any(place.pairs[at] is None for at in range(change.first, change.last) if quoted[at].strip()):
        raise Unclear("a line to be replaced is not as it was quoted.")
    start, stop = _run(place.pairs, quoted, change)
    run = [loose(line) for line in quoted[start:stop]]
    spots = [at for at in page.find(run) if place.span.start - len(run) < at < place.span.stop]
    if (run and len(spots) != 1) or len(place.there | sight.slips) < FEWEST:
        raise Unclear("too few of the lines around it are as they were quoted.")
    names = {word for at in sight.slips for word in WORD.findall(quoted[at])}
    real = {word for line in sight.beside if line is not None for word in WORD.findall(page.lines[line])}
    new = {word for line in change.put for word in WORD.findall(line)}
    if any(not is_word(page.text, word) for word in (names - real) & new):
        raise Unclear("new has a name that the file writes otherwise.")


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


def _supported(quoted: Sequence[str], sight: Sight, change: Change) -> bool:
    """Whether the next line before *change* that is not blank, or the next one behind it, stands next to it in the file."""
    before = next((at for at in range(change.first - 1, -1, -1) if quoted[at].strip()), -1)
    after = next((at for at in range(change.last, len(quoted)) if quoted[at].strip()), len(quoted))
    spots = {at: sight.beside[at] for at in range(before, after + 1) if 0 <= at < len(quoted)}
    left = [spots[at] for at in range(max(0, before), change.first + (change.first < change.last))]
    right = [spots[at] for at in range(max(0, change.last - (change.first < change.last)), min(len(quoted), after + 1))]
    sure = sight.there | sight.slips
    one = before >= 0 and before in sure and _in_a_row(left)
    other = after < len(quoted) and after in sure and _in_a_row(right)
    return one or other


def _in_a_row(spots: Sequence[int | None]) -> bool:
    return all(left is not None and right == left + 1 for left, right in pairwise(spots))
