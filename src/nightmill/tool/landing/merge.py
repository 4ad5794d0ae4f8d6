"""Three sides to one: what the model quoted, what it wants instead, and what the file has there.

Lines that the model means to keep stay as the file has them, however they were quoted. Lines that it means to replace
must be there, and nowhere else around: what nobody quoted is never overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from difflib import SequenceMatcher
from itertools import pairwise
from typing import NamedTuple

from nightmill.tool.indent import Move, indent, shift
from nightmill.tool.landing.page import Page, bare, end, loose, plain

__all__ = ["Change", "Unclear", "already", "changes", "merged"]


class Unclear(Exception):
    """The place is found, but what the new text would make of it is not certain; the message says why."""


class Change(NamedTuple):
    """The quoted lines *first* to *last* (none: an insertion before *first*) become *put*, which begins at *at* of all new."""

    first: int
    last: int
    put: list[str]


def changes(quoted: Sequence[str], put: Sequence[str]) -> list[Change]:
    """What *put* makes of *quoted*, white space behind lines aside; what both begin and end with is no change."""
    left, right = [line.rstrip() for line in quoted], [line.rstrip() for line in put]
    size = min(len(left), len(right))
    head = next((at for at in range(size) if left[at] != right[at]), size)
    tail = next((at for at in range(size - head) if left[-1 - at] != right[-1 - at]), size - head)
    inner = SequenceMatcher(None, left[head : len(left) - tail], right[head : len(right) - tail], autojunk=False)
    return [
        Change(head + first, head + last, list(put[head + start : head + stop]))
        for kind, first, last, start, stop in inner.get_opcodes()
        if kind != "equal"
    ]


def already(page: Page, quoted: Sequence[str], put: Sequence[str]) -> bool:
    """Whether all the new text is in the file, without being a part of the old one: the edit seems to be made."""
    old, new = ([loose(line) for line in lines] for lines in (quoted, put))
    part = any(old[at : at + len(new)] == new for at in range(len(old) - len(new) + 1))
    return not part and sum(map(bool, new)) > 1 and bool(page.find(new))


def merged(
    page: Page,
    pairs: Sequence[int | None],
    quoted: Sequence[str],
    wanted: Sequence[Change],
    *,
    beside: Sequence[int | None] = (),
    breaks: AbstractSet[int] = frozenset(),
) -> tuple[str, int]:
    """The text of *page* with *wanted* made, and the first line that it changed; *pairs* has the line of each quoted one.

    *beside* has the line also of those that are misquoted: new lines may stand next to them, they cannot be replaced.
    *breaks* are the quoted lines that only stand for some that are left out: what is next to one has a neighbour less.

    Raises:
        Unclear: If a line to be replaced has none, something stands between them, or new lines have no certain
            place or indentation.
    """
    lines = page.lines
    spans = [_span(lines, pairs, beside or pairs, change, breaks) for change in wanted]
    if any(left[1] > right[0] for left, right in pairwise(spans)):
        raise Unclear("its lines stand in another order in the file.")
    made = list(lines)
    for (start, stop), change in zip(reversed(spans), reversed(wanted), strict=True):
        if start == stop and _may_slide(page, pairs, quoted, change):
            raise Unclear("new lines double some that the file writes otherwise.")
        if not _is_new(page, (start, stop), quoted[change.first : change.last], change.put):
            raise Unclear("the file has it already.")
        put = _one_by_one(page, pairs, quoted, change)
        if put is None:
            move = _move(page, pairs, quoted, change)
            put = [_moved(line, move) for line in change.put]
        made[start:stop] = _ended(made, start, stop, put)
    return "".join(made), min((start for start, _ in spans), default=0)


def _may_slide(page: Page, pairs: Sequence[int | None], quoted: Sequence[str], change: Change) -> bool:
    """Whether an insertion could as well be made a line further, over one that is not there as it was quoted."""
    first, _, put = change
    over = [at for at, line in ((first - 1, put[-1]), (first, put[0])) if 0 <= at < len(quoted) and quoted[at] == line]
    there = [(bare(page.lines[line]), quoted[at]) for at in over if (line := pairs[at]) is not None]
    return any(found != found.rstrip() or found.strip() != line.strip() for found, line in there)


def _span(
    lines: Sequence[str],
    pairs: Sequence[int | None],
    beside: Sequence[int | None],
    change: Change,
    breaks: AbstractSet[int],
) -> tuple[int, int]:
    first, last, _ = change
    if any(line is not None for line in pairs[first:last]):
        found = [at for at in pairs[first:last] if at is not None]
        if None in pairs[first:last]:
            raise Unclear("lines to be replaced, or blank ones between them, are not as they were quoted.")
        if any(lines[at].strip() for at in range(found[0], found[-1]) if at not in found):
            raise Unclear("the file has lines between those to be replaced.")
        return found[0], found[-1] + 1
    if first < last:
        raise Unclear("a line to be replaced is not as it was quoted.")
    before = beside[first - 1] if first else None
    after = beside[first] if first < len(beside) else None
    if before is not None and (first == len(beside) or first in breaks or after == before + 1):
        return before + 1, before + 1
    if after is not None and (first == 0 or first - 1 in breaks):
        return after, after
    raise Unclear("a line next to the new ones is not as it was quoted.")


def _is_new(page: Page, span: tuple[int, int], gone: Sequence[str], put: Sequence[str]) -> bool:
    """Whether *put* is anything else than what the file has from there on, where that is more than was quoted."""
    new, old = ([loose(line) for line in lines] for lines in (put, gone))
    starts = (span[0], max(0, span[0] - len(new))) if not old else (span[0],)
    there = any(page.loose[at : at + len(new)] == new for at in starts)
    if new != old:
        return not (any(new) and there)
    has = [plain(bare(line)).strip() for line in page.lines[slice(*span)]]
    return has == [plain(line).strip() for line in gone]


def _one_by_one(page: Page, pairs: Sequence[int | None], quoted: Sequence[str], change: Change) -> list[str] | None:
    """The new lines, each indented as the file has the line that it takes the place of; None if they are not such."""
    old, lines = quoted[change.first : change.last], pairs[change.first : change.last]
    if len(old) != len(change.put) or any(
        indent(left) != indent(right) or (right.strip() and not left.strip())
        for left, right in zip(old, change.put, strict=True)
    ):
        return None
    made = []
    for at, line in zip(lines, change.put, strict=True):
        if at is None:
            return None
        made.append(indent(page.lines[at]) + line[len(indent(line)) :] if line.strip() else line)
    return made


def _move(page: Page, pairs: Sequence[int | None], quoted: Sequence[str], change: Change) -> Move | None:
    """How the new lines of *change* are moved to where the quoted ones stand in the file; None: there are none to move.

    Raises:
        Unclear: If there is no rule for it, neither for all lines nor for the nearest.
    """
    if not any(line.strip() for line in change.put):
        return None
    near = range(max(0, change.first - 1), min(len(quoted), change.last + 1))
    for spots in (range(len(quoted)), near):
        known = [(quoted[at], bare(page.lines[line])) for at in spots if (line := pairs[at]) is not None]
        move = shift([left for left, _ in known], [right for _, right in known])
        if move is not None and known:
            return move
    raise Unclear("old is indented otherwise than the file: quote its white space as it is.")


def _moved(line: str, move: Move | None) -> str:
    if move is None or not line.strip():
        return line
    made = move(line)
    if made is None:
        raise Unclear("new is indented otherwise than old: use the file's own white space in both.")
    return made


def _ended(lines: Sequence[str], start: int, stop: int, put: Sequence[str]) -> list[str]:
    """*put* with the line ends that belong between *start* and *stop* of *lines*; a file's unfinished end stays one."""
    near = lines[start:stop] or lines[max(0, start - 1) : start] or lines[:1]
    newline = next((found for line in [*near, *lines[:1]] if (found := end(line))), "\n")
    made = [line + newline for line in put]
    if stop == len(lines) and lines and not end(lines[-1]):
        if start == stop and made:
            made[0] = newline + made[0]
        made[-1:] = [bare(line) for line in made[-1:]]
    return made
