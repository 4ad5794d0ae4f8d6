"""Webhooks: who is told of what, how far in the ledger each one is, how its last letters went, and which were given up.

The ledger is the outbox: a hook is a place in it. What was told while nobody delivered is delivered later.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Sequence
from hashlib import sha256
from typing import Any, Literal

import sqlalchemy as sa

from nightmill.errors import SettingsError
from nightmill.event import EVENTS, ForgeHeard, HookAdded, HookChanged, HookRemoved
from nightmill.store import chain, tables
from nightmill.store.database import Database
from nightmill.told import Dead, Delivery, Hook

__all__ = ["KEPT", "OWN", "Hooks", "How", "identifier"]

How = Literal["paused", "resumed", "rotated"]

OWN = frozenset({HookAdded.name, HookChanged.name, HookRemoved.name})
"""Events that no hook is told of."""
LEASE = 60.0
"""Seconds for which one process may deliver to a hook before others take it for dead."""
MOST = 100
KEPT, HEARD = 30, 200
"""Deliveries of a hook that are remembered, and words of forges that are looked at."""

table, letters, deliveries = tables.hook, tables.letter, tables.delivery


def identifier(of: str = "") -> str:
    """The id of a new webhook; that *of* the same text is always the same."""
    return f"h{sha256(of.encode()).hexdigest()[:10] if of else secrets.token_hex(5)}"


class Hooks:
    """The webhooks of the store."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self.clock = clock

    def add(self, url: str, *, host: str, events: Collection[str], project: str, by: str, id: str = "") -> Hook:
        """Tell *url* from now on of *events*. The ledger names only its *host*: an address may be as good as a secret.

        One that is there as *id* already stays as it is.

        Raises:
            SettingsError: If an event or the project is unknown, or there are too many.
        """
        if unknown := sorted(set(events) - set(EVENTS)):
            raise SettingsError(f"there is no event {unknown[0]!r}", hint="docs/reference/events.md lists them")
        made, now = id or identifier(), self.clock()
        with self.database.write() as connection:
            chain.lock(connection)
            if id and connection.execute(sa.select(table.c.id).where(table.c.id == id)).first():
                return self.get(id)
            if connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() >= MOST:
                raise SettingsError(f"there are {MOST} webhooks", hint="remove one that nobody needs")
            known = sa.select(tables.project.c.id).where(tables.project.c.id == project)
            if project and connection.execute(known).first() is None:
                raise SettingsError(f"there is no project {project!r}", hint="nightmill project list")
            last = connection.execute(sa.select(sa.func.max(tables.event.c.seq))).scalar() or 0
            row = {"id": made, "url": url, "events": json.dumps(sorted(events)), "project": project, "added": now}
            row |= {
                "by": by,
                "seq": last,
                "tries": 0,
                "reason": "",
                "due": 0.0,
                "lost": 0,
                "holder": "",
                "until": 0.0,
                "paused": False,
            }
            connection.execute(sa.insert(table).values(row))
            told = HookAdded(run="", hook=made, host=host, project=project, by=by, events=sorted(events))
            chain.append(connection, [chain.fact(told, at=now)])
        return self.get(made)

    def remove(self, id: str, *, by: str) -> None:
        """Tell it nothing more.

        Raises:
            SettingsError: If there is no such hook.
        """
        with self.database.write() as connection:
            chain.lock(connection)
            if not connection.execute(table.delete().where(table.c.id == id)).rowcount:
                raise _unknown(id)
            connection.execute(letters.delete().where(letters.c.hook == id))
            connection.execute(deliveries.delete().where(deliveries.c.hook == id))
            chain.append(connection, [chain.fact(HookRemoved(run="", hook=id, by=by), at=self.clock())])

    def change(self, id: str, how: How, *, by: str) -> None:
        """Note that *by* paused, resumed or rotated it; what it missed while it was paused is due at once.

        Raises:
            SettingsError: If there is no such hook.
        """
        values: dict[str, Any] = {"paused": how == "paused", "due": 0.0} if how != "rotated" else {}
        with self.database.write() as connection:
            chain.lock(connection)
            was = connection.execute(sa.select(table.c.paused).where(table.c.id == id)).scalar_one_or_none()
            if was is None:
                raise _unknown(id)
            if values.get("paused") != was:
                connection.execute(table.update().where(table.c.id == id).values({"id": id, **values}))
                chain.append(connection, [chain.fact(HookChanged(run="", hook=id, how=how, by=by), at=self.clock())])

    def get(self, id: str) -> Hook:
        """The hook *id*.

        Raises:
            SettingsError: If there is none.
        """
        found = self._all(table.c.id == id)
        if not found:
            raise _unknown(id)
        return found[0]

    def all(self) -> Sequence[Hook]:
        """Every hook, oldest first."""
        return self._all(sa.true())

    def dead(self, id: str = "") -> Sequence[Dead]:
        """What was given up, of the hook *id* or of all, oldest first."""
        query = sa.select(letters).order_by(letters.c.hook, letters.c.seq)
        query = query.where(letters.c.hook == id) if id else query
        with self.database.read() as connection:
            return [Dead(**row) for row in connection.execute(query).mappings()]

    def delivered(self, id: str) -> Sequence[Delivery]:
        """The last letters to the hook *id*, newest first."""
        columns = [deliveries.c[name] for name in Delivery.__slots__]
        query = sa.select(*columns).where(deliveries.c.hook == id).order_by(deliveries.c.number.desc())
        with self.database.read() as connection:
            return [Delivery(**row) for row in connection.execute(query).mappings()]

    def again(self, id: str, seq: int = 0) -> int:
        """Have the entry *seq*, given up for the hook *id*, sent once more; 0: all of them, and what waits to be tried again.

        Gives how many that are.

        Raises:
            SettingsError: If there is no such hook or letter.
        """
        failing = self.get(id).tries > 0 and not seq
        same = (letters.c.hook == id, *((letters.c.seq == seq,) if seq else ()))
        with self.database.write() as connection:
            count = connection.execute(letters.update().where(*same).values(again=True)).rowcount
            connection.execute(table.update().where(table.c.id == id).values(due=0.0))
        count += failing
        if not count:
            raise SettingsError(
                f"nothing was given up for {id}{f' at {seq}' if seq else ''}", hint="nightmill webhook dead"
            )
        return count

    def heard(self) -> dict[str, float]:
        """When the forge of each project last said something, as far as that is among the newest of all forges."""
        query = sa.select(tables.event.c.at, tables.event.c.body).order_by(tables.event.c.seq.desc()).limit(HEARD)
        query = query.where(
            tables.event.c.run == "", tables.event.c.name == ForgeHeard.name
        )  # of no run: few, by index
        with self.database.read() as connection:
            told = [(json.loads(row.body).get("project", ""), row.at) for row in connection.execute(query)]
        return dict(reversed(told))

    # Delivery

    def due(self) -> Sequence[Hook]:
        """Those for which it is time, if there is anything for them."""
        return self._all(sa.and_(table.c.due <= self.clock(), ~table.c.paused))

    def take(self, id: str, holder: str) -> Hook | None:
        """Have the hook *id* for *holder* alone, for a while; None: another has it, or it is paused or gone."""
        now = self.clock()
        free = (table.c.id == id, ~table.c.paused, sa.or_(table.c.holder == holder, table.c.until <= now))
        with self.database.write() as connection:
            taken = connection.execute(table.update().where(*free).values(holder=holder, until=now + LEASE)).rowcount
        found = self._all(table.c.id == id) if taken else ()
        return found[0] if found else None

    def leave(self, holder: str) -> None:
        """Let others have what *holder* had."""
        with self.database.write() as connection:
            connection.execute(table.update().where(table.c.holder == holder).values(holder="", until=0.0))

    def passed(self, id: str, sent: Delivery, *, holder: str) -> bool:
        """Note that everything up to what was *sent* is done; whether *holder* still has it."""
        return self._note(id, holder, sent, seq=sent.seq, tries=0, reason="", due=0.0, lost=0)

    def failed(self, hook: Hook, sent: Delivery, *, due: float, holder: str) -> bool:
        """Note that what was *sent* did not arrive and is tried again at *due*."""
        return self._note(hook.id, holder, sent, tries=hook.tries + 1, reason=sent.reason, due=due)

    def give_up(self, hook: Hook, sent: Delivery, *, holder: str) -> bool:
        """Put by what was *sent*, and go on behind it."""
        values = {"seq": sent.seq, "tries": 0, "reason": sent.reason, "due": 0.0, "lost": hook.lost + 1}
        with self.database.write() as connection:
            if not connection.execute(table.update().where(*_held(hook.id, holder)).values(values)).rowcount:
                return False
            row = {"hook": hook.id, "seq": sent.seq, "at": self.clock(), "reason": sent.reason, "again": False}
            connection.execute(letters.delete().where(letters.c.hook == hook.id, letters.c.seq == sent.seq))
            connection.execute(sa.insert(letters).values(row))
            _remember(connection, hook.id, sent)
        return True

    def sent_again(self, dead: Dead, sent: Delivery) -> None:
        """Note how it went with what had been given up."""
        same = (letters.c.hook == dead.hook, letters.c.seq == dead.seq)
        change = letters.update().where(*same).values(again=False, reason=sent.reason, at=self.clock())
        with self.database.write() as connection:
            connection.execute(change if sent.reason else letters.delete().where(*same))
            _remember(connection, dead.hook, sent)

    def tried(self, id: str, sent: Delivery) -> None:
        """Note how it went with a letter that only tries it out."""
        with self.database.write() as connection:
            _remember(connection, id, sent)

    def _note(self, id: str, holder: str, sent: Delivery, **values: Any) -> bool:
        values["until"] = self.clock() + LEASE
        with self.database.write() as connection:
            held = connection.execute(table.update().where(*_held(id, holder)).values(values)).rowcount == 1
            if held:
                _remember(connection, id, sent)
        return held

    def _all(self, which: Any) -> Sequence[Hook]:
        query = sa.select(*(table.c[name] for name in Hook.__slots__)).where(which).order_by(table.c.added, table.c.id)
        with self.database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [Hook(**{**row, "events": tuple(json.loads(row["events"]))}) for row in rows]


def _remember(connection: sa.Connection, id: str, sent: Delivery) -> None:
    """Keep how it went with what was *sent*, and forget what is older than the last ones; of a hook that is gone, nothing."""
    if connection.execute(sa.select(table.c.id).where(table.c.id == id).with_for_update()).first() is None:
        return
    last = sa.select(sa.func.max(deliveries.c.number)).where(deliveries.c.hook == id)
    number = (connection.execute(last).scalar() or 0) + 1
    row = {name: getattr(sent, name) for name in Delivery.__slots__}
    connection.execute(sa.insert(deliveries).values(hook=id, number=number, **row))
    connection.execute(deliveries.delete().where(deliveries.c.hook == id, deliveries.c.number <= number - KEPT))


def _held(id: str, holder: str) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.id == id, table.c.holder == holder


def _unknown(id: str) -> SettingsError:
    return SettingsError(f"there is no webhook {id[:40]!r}", hint="nightmill webhook list")
