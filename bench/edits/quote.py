"""A change as a model would ask for it before it misquotes: the lines to replace with some around them, found once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.edits.sources import Hunk, Pair

__all__ = ["Case", "Quote", "places", "quote"]

MOST_AROUND = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One call of an edit tool and what is right.

    Attributes:
        text: The file.
        truth: The file as it is meant to be; None: nobody can know what is meant, the edit must be refused.
        resolvable: The text says enough to know; where not, refusing is as right as *truth* (without one: as anything).
        formerly: What *resolvable* was before the rules of 2026-11-28, kept so that figures can be compared.
    """

    mutation: str
    name: str
    text: str
    old: str
    new: str
    truth: str | None
    resolvable: bool = True
    formerly: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Lines around a change: *before*, what is *gone*, what is *put* for it, *after*; *start* is where they begin."""

    pair: Pair
    lines: list[str]
    start: int
    before: list[str]
    gone: list[str]
    put: list[str]
    after: list[str]
    rng: random.Random = field(repr=False)

    @property
    def old(self) -> list[str]:
        """The lines to look for."""
        return [*self.before, *self.gone, *self.after]

    @property
    def new(self) -> list[str]:
        """The lines to put."""
        return [*self.before, *self.put, *self.after]

    @property
    def end(self) -> int:
        """Behind the last quoted line."""
        return self.start + len(self.old)

    @property
    def edges(self) -> tuple[int, int]:
        """The quoted lines that are gone, as a range; empty for a pure insertion."""
        return len(self.before), len(self.before) + len(self.gone)

    def around(self, *, apart: int = 0) -> list[int]:
        """Which quoted lines are only there to find the place, at least *apart* from the change."""
        first, last = self.edges
        return [at for at in range(len(self.old)) if at < first - apart or at >= last + apart]

    def swapped(self, at: int, line: str | None) -> tuple[list[str], list[str]]:
        """Old and new lines with the quoted line *at*, which stays, misquoted as *line*; None: left out."""
        return self.mapped({at: line})

    def mapped(self, changed: dict[int, str | None]) -> tuple[list[str], list[str]]:
        """Old and new lines with some quoted lines that stay misquoted."""
        first, last = self.edges
        old = [(at, changed.get(at, line)) for at, line in enumerate(self.old)]
        head = [line for at, line in old if at < first]
        tail = [line for at, line in old if at >= last]
        made = [*head, *self.put, *tail]
        return [line for _, line in old if line is not None], [line for line in made if line is not None]

    def result(self, lines: Sequence[str] | None = None) -> list[str]:
        """The file, or *lines* instead of it, with the change made at its place."""
        lines = self.lines if lines is None else lines
        first, last = self.edges
        return [*lines[: self.start + first], *self.put, *lines[self.start + last :]]

    def case(
        self,
        old: Sequence[str],
        new: Sequence[str],
        *,
        file: Sequence[str] | None = None,
        truth: Sequence[str] | None = None,
        refused: bool = False,
        resolvable: bool = True,
    ) -> Case:
        """The case of these quoted lines; *file* and *truth* where they are not what they were."""
        given = self.lines if file is None else file
        meant = self.result(given) if truth is None else truth
        return Case(
            mutation="",
            name=f"{self.pair.name}:{self.start + 1}",
            text="".join(f"{line}\n" for line in given),
            old="\n".join(old),
            new="\n".join(new),
            truth=None if refused else "".join(f"{line}\n" for line in meant),
            resolvable=resolvable,
            formerly=resolvable,
        )

    def sibling(self) -> float:
        """How much of the quoted lines stands in the same order at another place: 0 to 1, apart from indentation."""
        wanted = [line.strip() for line in self.old]
        where: dict[str, list[int]] = {}
        for at, line in enumerate(self.lines):
            where.setdefault(line.strip(), []).append(at)
        votes: dict[int, int] = {}
        for at, line in enumerate(wanted):
            for found in where.get(line, ()) if line else ():
                votes[found - at] = votes.get(found - at, 0) + 1
        most = max((count for offset, count in votes.items() if offset != self.start), default=0)
        return most / max(1, sum(map(bool, wanted)))


def quote(pair: Pair, hunk: Hunk, rng: random.Random, *, around: int = 0) -> Quote | None:
    """*hunk* with as many lines around it as a model gives, more until they are found once; None: it is no use.

    *around* is how many there are at least, on both sides.
    """
    lines = list(pair.lines)
    gone, put = lines[hunk.start : hunk.end], list(hunk.put)
    if [line.strip() for line in gone if line.strip()] == [line.strip() for line in put if line.strip()]:
        return None  # white space only: the misquotes of white space would have no right answer
    above, below = (around + rng.choice((1, 2, 2, 3, 3, 3, 4, 6)) for _ in range(2))
    while above <= MOST_AROUND + around:
        first, last = max(0, hunk.start - above), min(len(lines), hunk.end + below)
        if len(places(lines, lines[first:last])) == 1 and sum(bool(line.strip()) for line in lines[first:last]) > 1:
            return Quote(
                pair=pair,
                lines=lines,
                start=first,
                before=lines[first : hunk.start],
                gone=gone,
                put=put,
                after=lines[hunk.end : last],
                rng=rng,
            )
        above, below = above + 1, below + 1
    return None


def places(lines: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where *wanted* stands in *lines*."""
    size, head = len(wanted), wanted[0] if wanted else ""
    found: list[int] = []
    at = -1
    while wanted:
        try:
            at = list.index(list(lines) if not isinstance(lines, list) else lines, head, at + 1)
        except ValueError:
            break
        if list(lines[at : at + size]) == list(wanted):
            found.append(at)
    return found
