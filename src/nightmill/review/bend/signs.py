"""A sign is something in a file that bends a check. What counts is what is there more often after a change than before."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from nightmill.code import Change

__all__ = ["Kind", "Place", "Sign", "appeared"]

Kind = Literal[
    "test deleted",
    "test skipped",
    "test emptied",
    "test weakened",
    "outcome changed",
    "check left",
    "report forged",
    "test detected",
    "startup code",
    "check disabled",
    "check edited",
    "threshold lowered",
    "rules loosened",
    "suppressed",
    "setup edited",
    "network used",
    "secret used",
    "not read",
    "failure hidden",
    "expectation changed",
    "test edited",
]


class Sign(NamedTuple):
    """*what* is told to people and is how a sign is known again elsewhere; so it names no line."""

    kind: Kind
    what: str
    line: int


class Place(NamedTuple):
    """A sign, in the file that it came to."""

    path: str
    sign: Sign


Look = Callable[[str, str], Iterable[Sign]]
"""The signs in a path with a text."""


def appeared(changes: Sequence[Change], look: Look) -> Iterator[Place]:
    """The signs that there are more of, over all files together: one that moved went away elsewhere."""
    before: Counter[tuple[Kind, str]] = Counter()
    after: dict[tuple[Kind, str], list[Place]] = defaultdict(list)
    for each in changes:
        if each.before is not None:
            before.update(sign[:2] for sign in look(each.path, each.before))
        if each.after is not None:
            for sign in look(each.path, each.after):
                after[sign[:2]].append(Place(each.path, sign))
    for key, places in after.items():
        yield from places[before[key] :]
