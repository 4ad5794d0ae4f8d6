"""The ledger as evidence, as it is asked for at a desk: gone through, taken along, sealed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import NamedTuple, Protocol

from nightmill.errors import SettingsError
from nightmill.event import EVENTS
from nightmill.kept import Entry
from nightmill.store.chain import Broken
from nightmill.store.ledger import Ledger
from nightmill.store.seal import Seal
from nightmill.store.search import Found, Wanted, named

__all__ = ["LONGEST", "MOST_WORDS", "PAGE", "Evidence", "Sought", "Span", "Verified", "pages", "wanted"]


PIECE = 500
"""Entries that are read at once."""
PAGE = 200
"""The most entries that are found at once."""
MOST_WORDS, LONGEST = 8, 200
"""Words that are looked for, and characters of each text that is."""
SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a character, as a terminal's bytes become that are no UTF-8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What somebody looks for in a ledger, as `store.search.Wanted` has it; *name* is how that of an event begins.

    Raises SettingsError if it is more than anybody looks for, or no text.
    """

    words: tuple[str, ...] = ()
    who: str = ""
    name: str = ""
    run: str = ""
    since: float = 0.0
    until: float = 0.0
    before: int = 0

    def __post_init__(self) -> None:
        if len(self.words) > MOST_WORDS:
            raise SettingsError(f"{len(self.words)} words are looked for", hint=f"name {MOST_WORDS} at most")
        for text in (*self.words, self.who, self.name, self.run):
            if len(text) > LONGEST:
                raise SettingsError(f"{text[:40]!r}… has {len(text):,} characters", hint=f"{LONGEST} at most")
            if SURROGATE.search(text):
                raise SettingsError(f"{text!r} holds signs that are no text", hint="write it in UTF-8")


class Span(NamedTuple):
    """The entries after number *after* up to *upto*; of the run *run*, "" for all; of events called *name*, "" for all."""

    upto: int
    after: int = 0
    run: str = ""
    name: str = ""


class Verified(NamedTuple):
    """What came of going through the chain: its newest entry is number *last*; *broken* is the first that does not hold.

    *hashes* are those of the entries that were asked for, by their numbers.
    """

    last: int
    broken: Broken | None
    hashes: Mapping[int, str]


class Evidence(Protocol):
    """A ledger. Each raises SettingsError if one may not, EngineError if the store is away."""

    def entries(self, *, after: int, run: str) -> Iterator[Entry]:
        """What was told after number *after*, oldest first, to what is the newest now; of the run *run* alone, if one is named.

        Raises:
            EngineError: If it ends before that: what came until then is right, and not all.
        """
        ...

    def search(self, sought: Sought, *, limit: int) -> Found:
        """At most *limit* of the newest entries that are such, `PAGE` at most."""
        ...

    def verify(self, numbers: Collection[int]) -> Verified:
        """Go through all of the chain, and note the hashes of the entries with these *numbers*."""
        ...

    def seal(self) -> Seal:
        """Where it stands now, signed."""
        ...


def pages(ledger: Ledger, span: Span) -> Iterator[Collection[Entry]]:
    """The entries of *span*, oldest first. Between two pages nothing is held in the database."""
    after, names = span.after, {span.name} if span.name else None
    while page := ledger.read(after=after, run=span.run or None, names=names, limit=PIECE):
        yield [each for each in page if each.seq <= span.upto]
        after = page[-1].seq
        if after >= span.upto:
            return


def wanted(sought: Sought, *, projects: Collection[str] | None) -> Wanted:
    """What *sought* is in a store, of runs of *projects*, None: of all.

    Raises:
        SettingsError: If there is no such event.
    """
    names = named(sought.name)
    if names and names[0] not in EVENTS:
        near = get_close_matches(names[0], EVENTS, 3, 0.5)
        raise SettingsError(
            f"no event has a name that begins with {sought.name!r}",
            hint=f"such as {', '.join(near)}" if near else "each entry says its name; a word finds that, too",
        )
    given = {each.name: getattr(sought, each.name) for each in fields(sought) if each.name != "name"}
    return Wanted(projects=projects, names=names, **given)
