"""Two sequences of lines laid side by side: what is the same in both, and what is like what in the gaps between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

__all__ = ["common", "gaps", "likes"]

NEXT = 0.5
BLANK = 0.1
MOST_CELLS = 150


def common(left: Sequence[bytes], right: Sequence[bytes]) -> list[tuple[int, int]]:
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


def gaps(pairs: Sequence[int | None], size: int) -> Iterator[tuple[range, range]]:
    """What has no counterpart: the entries of *pairs* without one, and what of *size* lines stands in their place.

    Before the first pair and behind the last one, there are as many lines as entries, and two more.
    """
    known = [(at, line) for at, line in enumerate(pairs) if line is not None]
    if not known:
        return
    (first, top), (last, bottom) = known[0], known[-1]
    if first:
        yield range(first), range(max(0, top - first - 2), top)
    for (left, above), (right, below) in pairwise(known):
        if right - left > 1:
            yield range(left + 1, right), range(above + 1, below)
    if last + 1 < len(pairs):
        yield range(last + 1, len(pairs)), range(bottom + 1, min(size, bottom + len(pairs) - last + 2))


def likes(
    left: Sequence[int], right: Sequence[int], like: Callable[[int, int], float], *, least: float
) -> Iterator[tuple[int, int]]:
    """Pairs in order with the greatest likeness in all, each of *least* or more; none where there are too many to try."""
    if not left or not right or len(left) * len(right) > MOST_CELLS:
        return
    found = [[value if (value := like(one, other)) >= least else -1.0 for other in right] for one in left]
    best = [[0.0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for row, values in enumerate(found):
        for at, value in enumerate(values):
            taken = best[row][at] + max(0.0, value)
            best[row + 1][at + 1] = max(best[row][at + 1], best[row + 1][at], taken)
    row, at = len(left), len(right)
    while row and at:
        value = found[row - 1][at - 1]
        if best[row][at] == best[row - 1][at]:
            row -= 1
        elif best[row][at] == best[row][at - 1]:
            at -= 1
        else:
            yield left[row - 1], right[at - 1]
            row, at = row - 1, at - 1
