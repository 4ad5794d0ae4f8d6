"""Finding quoted lines: whole, apart from what models misquote; in pieces with an ellipsis between; or inside lines."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from nightmill.errors import ToolError
from nightmill.tool.landing.merge import Change, Unclear, already, changes, merged
from nightmill.tool.landing.page import FORMS, Page, bare, depth, loose, plain
from nightmill.tool.landing.reading import Asked, is_elision

__all__ = ["elided", "exactly", "inline", "numbers", "whole"]

Made = tuple[str, int]
"""The new text of the file, and the first line of it that changed."""
MOST_SHOWN = 8
MOST_CHAINS = 200
FEWEST = 2


def whole(page: Page, asked: Asked) -> Made | None:
    """All quoted lines one behind the other, in the strictest form in which they are there at all, and there once.

    Raises:
        ToolError: If they are there more than once.
        Unclear: If they are there, but what the new text means is not certain.
    """
    quoted, put = asked.lines
    for wanted, made in ((quoted, put), without_blank_edges(quoted, put)):
        found = _strictest(page, wanted)
        if len(found) > 1:
            where = numbers(found)
            raise ToolError(
                f"old is found {len(found)} times, apart from white space (lines {where}): quote more lines."
            )
        if found and already(page, wanted, made):
            raise Unclear("the file has the new text already.")
        if found:
            pairs = range(found[0], found[0] + len(wanted))
            there, then = first_line_indented(page, wanted, made, found[0])
            return merged(page, list(pairs), there, changes(there, then))
    return _apart_from_blank_lines(page, *without_blank_edges(quoted, put))


def _apart_from_blank_lines(page: Page, quoted: list[str], put: list[str]) -> Made | None:
    full = [at for at, line in enumerate(quoted) if line.strip()]
    wanted = [loose(quoted[at]) for at in full]
    if len(full) < FEWEST:
        return None
    found = page.find_full(wanted)
    if len(found) > 1:
        where = numbers([page.full[at] for at in found])
        raise ToolError(f"old is found {len(found)} times, apart from blank lines (lines {where}): quote more lines.")
    if not found:
        return None
    if already(page, quoted, put):
        raise Unclear("the file has the new text already.")
    pairs: list[int | None] = [None] * len(quoted)
    for at, line in zip(full, page.full[found[0] : found[0] + len(full)], strict=True):
        pairs[at] = line
    for at in range(1, len(quoted)):
        before = pairs[at - 1]
        if pairs[at] is None and before is not None and not page.loose[before + 1]:
            pairs[at] = before + 1
    return merged(page, pairs, quoted, changes(quoted, put))


def numbers(found: Sequence[int]) -> str:
    """The line numbers of *found*, as many as anybody wants to know."""
    return ", ".join(str(line + 1) for line in found[:MOST_SHOWN])


def _strictest(page: Page, wanted: Sequence[str]) -> list[int]:
    found = page.find([loose(line) for line in wanted])
    for form in FORMS if found else ():
        formed = [form(line) for line in wanted]
        hits = [at for at in found if _is_there(page, at, formed, form)]
        if hits:
            return hits
    return found


def exactly(page: Page, wanted: Sequence[str]) -> list[int]:
    """Where the lines *wanted* stand, each as it is."""
    return [at for at in page.find([loose(line) for line in wanted]) if _is_there(page, at, wanted, str)]


def _is_there(page: Page, start: int, formed: Sequence[str], form: Callable[[str], str]) -> bool:
    lines = page.lines
    return all(form(bare(lines[at])) == line for at, line in enumerate(formed, start))


def without_blank_edges(quoted: Sequence[str], put: Sequence[str]) -> tuple[list[str], list[str]]:
    """Both without the blank lines at the edges, where both have as many there: then they are not what changes."""
    wanted, made = list(quoted), list(put)
    for edge in (0, -1):
        if _blank_edge(wanted, edge) == _blank_edge(made, edge) or not made:
            while wanted and not wanted[edge].strip():
                del wanted[edge]
                del made[edge : len(made) if edge else 1]
    return wanted, made


def _blank_edge(lines: Sequence[str], edge: int) -> int:
    return next((at for at, line in enumerate(lines[:: 1 if edge == 0 else -1]) if line.strip()), len(lines))


def first_line_indented(page: Page, quoted: list[str], put: list[str], start: int) -> tuple[list[str], list[str]]:
    """Both with the file's indentation of the first line, where only that line was quoted without any."""
    found = bare(page.lines[start])
    depth = found[: len(found) - len(found.lstrip(" \t"))]
    if not depth or len(quoted) < 2 or quoted[0][:1].isspace() or not quoted[0]:  # one line is simply further out
        return quoted, put
    full = [at for at, line in enumerate(quoted) if at and line.strip()]
    if not full or any(not bare(page.lines[start + at]).startswith(_depth(quoted[at])) for at in full):
        return quoted, put
    if any(_depth(bare(page.lines[start + at])) != _depth(quoted[at]) for at in full):
        return quoted, put
    first = depth + put[0] if put and put[0] and not put[0][:1].isspace() else None
    return [depth + quoted[0], *quoted[1:]], put if first is None else [first, *put[1:]]


def _depth(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def elided(page: Page, asked: Asked) -> Made | None:
    """Pieces of the quoted lines with lines between them that both texts leave out, and that stay as they are.

    Raises:
        ToolError: If a piece that changes could be at more than one place.
        Unclear: If the new text does not leave out what the old one does.
    """
    quoted, put = asked.lines
    olds, news = _pieces(quoted), _pieces(put)
    if len(olds) == 1:
        return None
    if len(olds) != len(news):
        raise Unclear("old leaves lines out that new does not (or the other way round): leave out the same in both.")
    parts = [each for each in zip(olds, news, strict=True) if any(line.strip() for line in [*each[0], *each[1]])]
    parts = [without_blank_edges(*each) for each in parts]
    if any(not old for old, _ in parts):
        raise Unclear("new lines stand next to an ellipsis: quote a line there.")
    places = [_strictest(page, old) for old, _ in parts]
    if not all(places):
        return None
    chain = _chain(
        page, [_Part(old, bool(changes(old, new)), found) for (old, new), found in zip(parts, places, strict=True)]
    )
    pairs: list[int | None] = []
    wanted: list[Change] = []
    lines: list[str] = []
    breaks = set[int]()
    for (old, new), start in zip(parts, chain, strict=True):
        wanted += [Change(first + len(lines), last + len(lines), made) for first, last, made in changes(old, new)]
        breaks.add(len(lines) + len(old))
        pairs += [*range(start, start + len(old)), None]
        lines += [*old, ""]
    return merged(page, pairs[:-1], lines[:-1], wanted, breaks=breaks)


def _pieces(lines: Sequence[str]) -> list[list[str]]:
    pieces: list[list[str]] = [[]]
    for line in lines:
        if is_elision(line):
            pieces.append([])
        else:
            pieces[-1].append(line)
    return pieces


class _Part(NamedTuple):
    """A piece of the quoted lines: whether it changes, and where it may be."""

    lines: Sequence[str]
    changed: bool
    found: Sequence[int]


def _chain(page: Page, parts: Sequence[_Part]) -> tuple[int, ...]:
    """Where the pieces stand: in order, within one block, and no changed one in doubt."""
    chains: list[tuple[int, ...]] = []
    for start in parts[0].found[: MOST_CHAINS + 1]:
        chains += _chains(parts, start, _block_end(page, parts, start))
        if len(chains) > MOST_CHAINS:
            raise ToolError("the lines around the ellipsis are found too often: quote more lines.")
    if not chains:
        raise Unclear("the lines before and behind the ellipsis are not in this order in one block of the file.")
    sure = {tuple(at for at, part in zip(chain, parts, strict=True) if part.changed) for chain in chains}
    if len(sure) > 1:
        where = numbers(sorted({at for each in sure for at in each}))
        raise ToolError(f"the lines around the ellipsis are found at several places (lines {where}): quote more lines.")
    return chains[0]


def _chains(parts: Sequence[_Part], start: int, end: int) -> list[tuple[int, ...]]:
    """All ways in which the pieces stand one behind another from *start* to *end*; no more than are too many."""
    chains: list[tuple[int, ...]] = [(start,)]
    for before, part in pairwise(parts):
        chains = [
            (*chain, at)
            for chain in chains
            for at in part.found[bisect_left(part.found, chain[-1] + len(before.lines)) : bisect_left(part.found, end)]
        ][: MOST_CHAINS + 1]
    return chains


def _block_end(page: Page, parts: Sequence[_Part], start: int) -> int:
    """The line that ends the block which the pieces are in, the first one at *start*: what comes then is of another one.

    Either the first piece opens a block, all else being further in; or they stand beside one another in one.
    """
    first, *others = [depth(line) for part in parts for line in part.lines if line.strip()]
    lines = page.lines
    moved = next(depth(bare(lines[start + at])) - depth(line) for at, line in enumerate(parts[0].lines) if line.strip())
    least = moved + (first + 1 if others and first < min(others) else min([first, *others]))
    after = range(start + len(parts[0].lines), len(lines)) if least > 0 else ()
    return next((at for at in after if lines[at].strip() and depth(bare(lines[at])) < least), len(lines))


def inline(page: Page, asked: Asked) -> Made | None:
    """A part of a line, or of several, whose quotes, dashes and spaces are a typesetter's in the file.

    Raises:
        ToolError: If it is there more than once.
    """
    text = page.text
    if text.isascii() or "\r" in text:
        return None
    made, old, new = plain(text), plain(asked.old), plain(asked.new)
    if old == asked.old == new or made.count(old) == 0 or not old.strip():
        return None
    at = made.find(old)
    if made[at - 1 : at] in {"", "\n"} and made[at + len(old) :][:1] in {"", "\n"}:
        return None  # whole lines: what the way for them left open is not for this one to decide
    if made.find(old, at + 1) >= 0:
        raise ToolError("old is found more than once, apart from its quotes and dashes: quote more of it.")
    size = min(len(old), len(new))
    head = next((each for each in range(size) if old[each] != new[each]), size)
    tail = next((each for each in range(size - head) if old[-1 - each] != new[-1 - each]), size - head)
    put = asked.new[head : len(new) - tail]
    return text[: at + head] + put + text[at + len(old) - tail :], text.count("\n", 0, at + head)
