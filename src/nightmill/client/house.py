"""What all projects at a server share, as methods: its budget, and its ledger, which is gone through here."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from nightmill.client.connection import Away, Connection
from nightmill.client.path import API
from nightmill.client.patience import Patience
from nightmill.client.reading import field, value
from nightmill.desk.budget import Budget
from nightmill.desk.evidence import PAGE, Sought, Verified
from nightmill.errors import EngineError, NotYet
from nightmill.event import EntriesForgotten
from nightmill.kept import Entry
from nightmill.store import chain
from nightmill.store import seal as sealing
from nightmill.store.seal import Seal
from nightmill.store.search import Found

__all__ = ["HouseClient"]

ROW = ("seq", "at", "run", "name", "key", "body", "hash")
LONGEST = 16 << 20
"""Bytes of a line: entries are far shorter, and a server that sends one without end is not listened to."""
FORGETTINGS = 10_000
"""Statements that words were forgotten which are held in memory."""
FORGETTING = {"upto": int, "digest": str}
"""What a chain needs of an `EntriesForgotten`."""
AGAIN = 3
"""How often the chain is gone through anew because words were forgotten meanwhile."""


class HouseClient:
    """An `Evidence` and a `Till` at a server. Raises as `Client`."""

    def __init__(self, connection: Connection, *, patience: float = 60.0) -> None:
        """*patience* is how many seconds of waiting a ledger that is taken along gives a server that is away."""
        self.connection = connection
        self.patience = patience

    def budget(self) -> Budget:
        """How the day stands."""
        return value(Budget, self.connection.get(f"{API}/budget"), of="the budget")

    def raise_budget(self, dollars: float) -> int:
        """Add so much to the budget of the day; how many runs look again."""
        plain = self.connection.post(f"{API}/budget/raise", {"dollars": dollars})
        return field(plain, "runs", int, of="what was raised")

    def seal(self) -> Seal:
        """Where its ledger stands, by its own word: whether it is signed as it says is seen here."""
        return sealing.read(self.connection.post(f"{API}/ledger/seal"))

    def entries(self, *, after: int = 0, run: str = "", name: str = "", every: bool = False) -> Iterator[Entry]:
        """What was told after number *after*, oldest first: all that one may see, or, with *every*, all or nothing.

        Of the run *run*, and of events called *name*, if they are named. A connection that breaks is made again.

        Raises:
            EngineError: If it ends before its end, or holds what cannot be: what came until then is right, and not all.
        """
        patience = Patience(self.connection, self.patience)
        while True:
            asked = {"after": after, "run": run, "name": name, "every": "true" if every else "false"}
            try:
                with self.connection.pieces(f"{API}/ledger", **asked) as pieces:
                    for entry in _whole(pieces, after=after):
                        yield entry
                        after = entry.seq
                        patience.restore()
            except (Away, NotYet) as error:
                if patience.over or self.connection.closed:
                    raise EngineError(
                        f"the ledger was cut after entry {after}: {error.message}",
                        hint=f"ask again; to standard output it goes on with --after {after}",
                    ) from error
                patience.wait(error)
            else:
                return

    def search(self, sought: Sought, *, limit: int) -> Found:
        """At most *limit* of the newest entries that are such, of all that one may see.

        Raises:
            EngineError: If it is answered with something else.
        """
        asked = {
            "word": sought.words,
            "who": sought.who,
            "name": sought.name,
            "run": sought.run,
            "since": sought.since or "",
            "until": sought.until or "",
            "before": sought.before or "",
            "limit": min(limit, PAGE),
        }
        plain = self.connection.get(f"{API}/ledger/search", **asked)
        page = value(Page, plain, of="what was found")
        return Found([_entry(each) for each in page.entries], page.next or 0)

    def verify(self, numbers: Collection[int]) -> Verified:
        """Go through all of its chain here, and note the hashes of the entries with these *numbers*.

        That the server says so of itself is not asked for. Words that are forgotten meanwhile are seen as such: then it
        is gone through anew.

        Raises:
            EngineError: If it is cut, or cannot be read.
        """
        said = self._forgettings()
        for _ in range(AGAIN):
            found = self._gone_through(said, numbers)
            if found.broken is None or (now := self._forgettings()) == said:
                return found
            said = now
        raise EngineError("words of the ledger are forgotten again and again", hint="try again in a moment")

    def _gone_through(self, said: dict[int, Any], numbers: Collection[int]) -> Verified:
        gone, last, hashes = chain.Gone(said.items()), 0, dict[int, str]()

        def rows() -> Iterator[dict[str, Any]]:
            nonlocal last
            previous = chain.FIRST
            for entry in self.entries(every=True):
                yield {**{name: getattr(entry, name) for name in ROW}, "previous": previous}
                last, previous = entry.seq, entry.hash
                if entry.seq in numbers:
                    hashes[entry.seq] = entry.hash

        broken = chain.check(rows(), after=0, previous=chain.FIRST, gone=gone)
        return Verified(last, broken or gone.unsaid(), hashes)

    def _forgettings(self) -> dict[int, Any]:
        """The bodies of all that says that words were forgotten, by number."""
        found: dict[int, Any] = {}
        for entry in self.entries(name=EntriesForgotten.name, every=True):
            found[entry.seq] = body = json.loads(entry.body)
            for name, kind in FORGETTING.items():
                field(body, name, kind, of=f"entry {entry.seq}")
            if len(found) > FORGETTINGS:
                raise EngineError(f"the ledger says more than {FORGETTINGS:,} times that words were forgotten")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What was found at once, and before which number others may be."""

    entries: tuple[Any, ...]
    next: int | None


def _whole(pieces: Iterator[bytes], *, after: int) -> Iterator[Entry]:
    """The entries after number *after* in *pieces* of lines, which have to come to their end.

    Raises:
        Away: If they do not.
        EngineError: If they are no entries, or not one after the other.
    """
    count, last = 0, after
    for line in _lines(pieces):
        plain = _json(line)
        if isinstance(plain, dict) and plain.get("whole") is True:
            if plain.get("entries") != count:
                raise EngineError(f"the ledger says that it has {plain.get('entries')!r} entries and sends {count}")
            return
        entry = _entry(plain)
        if entry.seq <= last:
            raise EngineError(f"entry {entry.seq} of the ledger comes after entry {last}", hint="ask again")
        yield entry
        count, last = count + 1, entry.seq
    raise Away("the answer ended before its end")


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The lines that have an end and something in them."""
    left = b""
    for piece in pieces:
        *lines, left = (left + piece).split(b"\n")
        yield from filter(None, lines)
        if len(left) > LONGEST:
            raise EngineError(f"a line of the ledger is longer than {LONGEST >> 20} MB")


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise EngineError(f"a line of the ledger is no JSON: {line[:60]!r}") from error


def _entry(plain: Any) -> Entry:
    """As the store has it; of a body that was written by another hand there is only its text, and it does not hold."""
    if not isinstance(plain, dict) or not isinstance(body := plain.get("body"), (dict, str)):
        raise EngineError(f"an entry of the ledger without a body: {plain!r:.60}")
    return value(Entry, plain, of="an entry", body=chain.canonical(body))
