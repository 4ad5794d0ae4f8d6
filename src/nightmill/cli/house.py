"""Where the commands about what all projects share work: the store here, or a server."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from nightmill.cli.desks import opened
from nightmill.cli.door import Door, person
from nightmill.desk.budget import Till
from nightmill.desk.evidence import Evidence

if TYPE_CHECKING:
    from nightmill.client import ServerDesk
    from nightmill.desk.budget import Budget
    from nightmill.desk.evidence import Sought, Verified
    from nightmill.kept import Entry
    from nightmill.store.seal import Seal
    from nightmill.store.search import Found

__all__ = ["House", "StoreHouse", "open_house"]


class House(Evidence, Till, Protocol):
    """What all projects of a store share."""


def open_house() -> AbstractContextManager[House]:
    """The one that the settings name. Raises as `desks.opened`."""
    return opened(StoreHouse, _at_server)


class StoreHouse:
    """A `House` on the store here."""

    def __init__(self, door: Door) -> None:
        self.door = door

    def entries(self, *, after: int, run: str) -> Iterator[Entry]:
        """What was told after number *after*."""
        from nightmill.desk.evidence import Span, pages

        ledger = self.door.ledger
        name = self.door.runs.get(run).id if run else ""
        for page in pages(ledger, Span(upto=ledger.last(), after=after, run=name)):
            yield from page

    def search(self, sought: Sought, *, limit: int) -> Found:
        """At most *limit* of the newest entries that are such."""
        from nightmill.desk.evidence import PAGE, wanted
        from nightmill.store.search import search

        return search(self.door.database, wanted(sought, projects=None), limit=min(limit, PAGE))

    def verify(self, numbers: Collection[int]) -> Verified:
        """Go through all of the chain."""
        from nightmill.desk.evidence import Verified

        ledger = self.door.ledger
        last = ledger.last()
        return Verified(last, ledger.verify(), ledger.hashes(numbers))

    def seal(self) -> Seal:
        """Where it stands now, signed."""
        from nightmill.store import seal as sealing

        return sealing.seal(self.door.database, sealing.key(self.door.settings.home), at=time.time())

    def budget(self) -> Budget:
        """How the day stands."""
        from nightmill.desk.budget import budget

        return budget(self.door)

    def raise_budget(self, dollars: float) -> int:
        """Add so much to the budget of the day."""
        from nightmill.desk import spending

        return spending.more(self.door, dollars, by=person())


def _at_server(desk: ServerDesk) -> House:
    from nightmill.client.house import HouseClient

    return HouseClient(desk.client.connection)
