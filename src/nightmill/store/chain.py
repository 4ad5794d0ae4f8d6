"""The hash chain over all events: how one is appended, how a broken one is found.

Each row's hash covers the row before it, so a row that is changed, dropped or put in between breaks the chain from
there on. Rows dropped at the very end are not seen by the chain alone: whoever must notice that keeps the last hash
elsewhere. A row that was forgotten has no body that its hash could cover: a later row covers what is left of it.
"""

from __future__ import annotations

import bisect
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nightmill import event as e
from nightmill.event import Event
from nightmill.store import projection
from nightmill.store.redaction import Redaction
from nightmill.store.tables import event as table

__all__ = [
    "FIRST",
    "FORGOTTEN",
    "LASTING",
    "Broken",
    "Digest",
    "Fact",
    "Gone",
    "append",
    "before",
    "canonical",
    "check",
    "fact",
    "forgettable",
    "lock",
    "verify",
]

FIRST = "0" * 64
"""What the first row names as its previous hash."""

LOCK = 0x6C6564676572
"""Key of the PostgreSQL advisory lock that whoever appends holds."""

KEY = 200
"""Longest key that the table holds; the tail of a longer one becomes its hash."""

PAGE = 1000

LEFT = (table.c.seq, table.c.at, table.c.run, table.c.name, table.c.key, table.c.hash)
"""What is left of a row whose words were deleted."""

FORGOTTEN = '{"forgotten":true}'
"""The body of a row whose words were deleted."""

LASTING = frozenset(
    each.name
    for each in (
        # who was let in, and what people decided
        *(e.PersonInvited, e.PersonAdded, e.PersonRemoved, e.GrantChanged),
        *(e.PasswordChanged, e.IdentityBound, e.TokenMade, e.TokenRevoked),
        *(e.HookAdded, e.HookChanged, e.HookRemoved, e.SecretKept, e.SecretRemoved),
        *(e.QuestionDecided, e.GateDecided, e.BlueprintApproved, e.BlueprintRevoked, e.BudgetRaised),
        # what was asked for, what came of it and what it cost, and where its work is, which deleting snapshots asks for
        *(e.RunQueued, e.PullRequestOpened, e.PullRequestMerged),
        *(e.TaskFiled, e.TaskStarted, e.TaskDropped),
        *(e.WorkspacePrepared, e.TurnFinished, e.CommitMade, e.WorkPreserved),
        *(e.EntriesForgotten, e.NotesForgotten),
    )
)
"""Events that are not forgotten from now on. What was forgotten before one of them stood here is bound by the row that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """An event as it will be stored; taken when it was told, so later changes of its lists are not in it."""

    at: float
    event: Event
    key: str | None
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The first row that does not hold, and what is wrong with it."""

    seq: int
    reason: str


def fact(event: Event, *, at: float) -> Fact:
    """*event* ready to be stored.

    Raises:
        ValueError: If its fields are not plain JSON data.
        TypeError: Likewise.
    """
    return Fact(at=at, event=event, key=_key(event.key), body=canonical(event.to_plain()))


def canonical(plain: Any) -> str:
    """One text for one value: sorted names, no spaces, ASCII only."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def lock(connection: sa.Connection) -> None:
    """Let no other process append until the caller's transaction ends. A SQLite write holds its lock from the start."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))


def append(connection: sa.Connection, facts: Sequence[Fact]) -> int:
    """Store *facts* and what they change in the caller's write transaction; return how many were new.

    Whoever tells them, and whatever way: secrets are left out here.
    """
    lock(connection)
    hidden: Redaction = connection.get_execution_options()["hidden"]
    fresh = _unknown(connection, [_without_secrets(each, hidden) for each in facts])
    if not fresh:
        return 0
    last = connection.execute(sa.select(table.c.seq, table.c.hash).order_by(table.c.seq.desc()).limit(1)).one_or_none()
    seq, previous = (last.seq, last.hash) if last else (0, FIRST)
    rows = []
    for each in fresh:
        seq += 1
        row = {
            "seq": seq,
            "at": each.at,
            "run": each.event.run,
            "name": each.event.name,
            "key": each.key,
            "body": each.body,
        }
        row |= {"previous": previous, "hash": _hash(previous, row)}
        previous = row["hash"]
        rows.append(row)
    connection.execute(sa.insert(table), rows)
    projection.apply(connection, [each.event for each in fresh], at=fresh[-1].at)
    return len(rows)


def _without_secrets(told: Fact, hidden: Redaction) -> Fact:
    plain = json.loads(told.body)
    shown = {name: hidden.plain(each) for name, each in plain.items()}
    if shown == plain:
        return told
    return fact(e.from_plain(name=told.event.name, run=told.event.run, body=shown), at=told.at)


class Digest:
    """What is left of forgotten rows, in their order."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()

    def add(self, row: Any) -> None:
        """The next one."""
        self._sum.update(canonical([row[name] for name in ("seq", "at", "run", "name", "key", "hash")]).encode())

    def text(self) -> str:
        """The digest of all so far."""
        return self._sum.hexdigest()


def forgettable() -> sa.Select[Any]:
    """Rows without their words, of events that are not `LASTING`."""
    return sa.select(*LEFT).where(table.c.name.not_in(LASTING))


def verify(connection: sa.Connection, *, after: int = 0) -> Broken | None:
    """The first row after *after* that does not hold; None: all do. Row *after* itself is taken as it is.

    *connection* sees one moment: what is forgotten meanwhile is not half seen.
    """
    anchor = connection.execute(sa.select(table.c.hash).where(table.c.seq == after)).scalar_one_or_none()
    if after and anchor is None:
        return Broken(seq=after, reason="the row is missing")
    said = sa.select(table.c.seq, table.c.body).where(table.c.name == e.EntriesForgotten.name)
    gone = Gone((row.seq, json.loads(row.body)) for row in connection.execute(said.order_by(table.c.seq)))
    if after:
        old = sa.select(*LEFT).where(table.c.seq <= after, table.c.body == FORGOTTEN).order_by(table.c.seq)
        for row in connection.execute(old).mappings():
            gone.take(row)
    return check(_rows(connection, after), after=after, previous=anchor or FIRST, gone=gone)


def check(rows: Iterable[Any], *, after: int, previous: str, gone: Gone) -> Broken | None:
    """The first of *rows* that does not hold, where they are to follow the row *after* with the hash *previous*."""
    for row in rows:
        if broken := _check(row, seq=after + 1, previous=previous, gone=gone):
            return broken
        after, previous = row["seq"], row["hash"]
    return None


def _rows(connection: sa.Connection, after: int) -> Iterator[Any]:
    while True:
        query = sa.select(table).where(table.c.seq > after).order_by(table.c.seq).limit(PAGE)
        page = connection.execute(query).mappings().all()
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1]["seq"]


def before(connection: sa.Connection, at: float) -> int:
    """A number after which everything is that was told since *at* (Unix seconds), and little else; no row is searched."""
    low, high = 0, connection.execute(sa.select(sa.func.max(table.c.seq))).scalar() or 0
    while low < high:
        middle = (low + high) // 2
        next_ = sa.select(table.c.at).where(table.c.seq > middle).order_by(table.c.seq).limit(1)
        if connection.execute(next_).scalar_one() < at:
            low = middle + 1
        else:
            high = middle
    return low


class Gone:
    """Forgotten rows, each held against the one later row that says that it was forgotten: *said* are those, (number, body)."""

    def __init__(self, said: Iterable[tuple[int, Any]]) -> None:
        self._said = {seq: plain for seq, plain in said if plain.get("upto", seq) < seq}
        self._uptos = [plain["upto"] for plain in self._said.values()]
        self._digests = [Digest() for _ in self._uptos]
        self._unsaid: dict[int, int] = {}

    def take(self, row: Any) -> str:
        """A row without words; what is wrong with that, "" for nothing."""
        at = bisect.bisect_left(self._uptos, row["seq"])
        if at == len(self._uptos):
            return "it was emptied, and nothing says by whom"
        self._digests[at].add(row)
        self._unsaid.setdefault(at, row["seq"])
        return ""

    def said(self, row: Any) -> str:
        """The row, itself sound, that says what was forgotten before it; what is wrong with that."""
        found = list(self._said).index(row["seq"]) if row["seq"] in self._said else None
        sound = found is not None and json.loads(row["body"]) == self._said[row["seq"]]
        if found is None or not sound or self._said[row["seq"]]["digest"] != self._digests[found].text():
            return "other entries were emptied than it says"
        self._unsaid.pop(found, None)
        return ""

    def unsaid(self) -> Broken | None:
        """The first row that was taken and of which no row that was seen since says so."""
        first = min(self._unsaid.values(), default=None)
        return None if first is None else Broken(seq=first, reason="it was emptied, and nothing says by whom")


def _check(row: Any, *, seq: int, previous: str, gone: Gone) -> Broken | None:
    if row["seq"] != seq:
        return Broken(seq=seq, reason="the row is missing")
    if row["previous"] != previous:
        return Broken(seq=seq, reason="the row does not follow the one before it")
    if row["body"] == FORGOTTEN:
        wrong = gone.take(row)
    elif row["hash"] != _hash(previous, row):
        wrong = "the row was changed after it was written"
    else:
        wrong = gone.said(row) if row["name"] == e.EntriesForgotten.name else ""
    return Broken(seq=seq, reason=wrong) if wrong else None


def _hash(previous: str, row: Any) -> str:
    covered = canonical([row["seq"], row["at"], row["run"], row["name"], row["key"], row["body"]])
    return hashlib.sha256((previous + covered).encode()).hexdigest()


def _key(key: str | None) -> str | None:
    if key is None:
        return None
    key = projection.storable(key)
    if len(key) <= KEY:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()
    return key[: KEY - len(digest)] + digest


def _unknown(connection: sa.Connection, facts: Iterable[Fact]) -> list[Fact]:
    facts = list(facts)
    keys = {each.key for each in facts if each.key is not None}
    seen: set[tuple[str, str | None]] = set()
    if keys:
        runs = {each.event.run for each in facts if each.key is not None}
        found = sa.select(table.c.run, table.c.key).where(table.c.run.in_(runs), table.c.key.in_(keys))
        seen = {(row.run, row.key) for row in connection.execute(found)}
    fresh = []
    for each in facts:
        name = (each.event.run, each.key)
        if each.key is None or name not in seen:
            fresh.append(each)
            seen.add(name)
    return fresh
