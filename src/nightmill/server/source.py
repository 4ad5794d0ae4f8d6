"""The ledger and the runs as the feed reads them."""

from __future__ import annotations

from collections.abc import Sequence

from nightmill.desk.door import Door
from nightmill.server.stretch import Place
from nightmill.store import Entry, Run

__all__ = ["LedgerSource"]


class LedgerSource:
    """A `feed.Source` on the store of a door."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self._version: int | None = None

    def stirred(self) -> bool:
        """Whether anything may have been written since the last call."""
        before, self._version = self._version, self.door.database.version()
        return self._version is None or self._version != before

    def last(self) -> int:
        """The number of the newest entry."""
        return self.door.ledger.last()

    def read(self, *, after: int, limit: int, run: str | None = None) -> Sequence[Entry]:
        """Entries after number *after*, oldest first; only those of *run*, if one is named."""
        return self.door.ledger.read(after=after, limit=limit, run=run)

    def places(self, runs: set[str]) -> dict[str, Place]:
        """The place of each of *runs* that there is."""
        known: dict[str, Run] = {}
        wanted = runs
        while wanted:
            found = {run.id: run for run in self.door.runs.some(wanted)}
            known |= found
            wanted = {run.parent for run in found.values() if run.parent} - known.keys()
        return {name: Place(known[name].project, _above(known[name], known)) for name in runs & known.keys()}


def _above(run: Run, known: dict[str, Run]) -> tuple[str, ...]:
    parent = known.get(run.parent)
    return (parent.id, *_above(parent, known)) if parent else ()
