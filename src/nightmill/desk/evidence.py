"""The ledger as evidence, as it is asked for at a desk: gone through, taken along, sealed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple, Protocol

from nightmill.kept import Entry
from nightmill.store.chain import Broken
from nightmill.store.ledger import Ledger
from nightmill.store.seal import Seal

__all__ = ["Evidence", "Span", "Verified", "pages"]


PIECE = 500
"""Entries that are read at once."""


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
