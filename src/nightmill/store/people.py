"""Who is let in at the doors of the network: people, their roles, and what they can show. Each change is in the ledger."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from nightmill.access import EVERY, ROLES, Grant, Person, RoleName, Who, digest, fresh
from nightmill.errors import SettingsError
from nightmill.event import (
    Event,
    GrantChanged,
    IdentityBound,
    PasswordChanged,
    PersonAdded,
    PersonInvited,
    PersonRemoved,
)
from nightmill.store import chain, keys, tables
from nightmill.store.database import Database
from nightmill.store.projection import storable

__all__ = ["People"]

INVITED = 3 * keys.DAY
"""Seconds in which an invitation is good."""

PART = r"[^\s\x00-\x1f\x7f\ud800-\udfff@<>\",;:\\]+"
ADDRESS = re.compile(f"{PART}@{PART}")
NAME = re.compile(r"[^<>@\x00-\x1f\x7f]{1,120}")

NEVER = {"name": "", "way": "", "added": 0.0, "removed": 0.0}
"""What is known of somebody who was only invited."""

person, grant, key, identity = tables.person, tables.grant, tables.key, tables.identity

ADMINS = (
    sa.select(person.c.address)
    .join(grant, grant.c.address == person.c.address)
    .where(person.c.removed == 0, grant.c.role == "admin", grant.c.project == EVERY)
    .limit(1)
)
"""One who is let in and administers everything."""


class People:
    """The people of the store. Only who administers everything lets people in; that is for the door to ask."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self.clock = clock

    # People

    def anybody(self) -> bool:
        """Whether somebody is let in who administers everything: until then the first to come sets it up."""
        with self.database.read() as connection:
            return connection.execute(ADMINS).first() is not None

    def everybody(self) -> Sequence[Who]:
        """Everybody who was ever let in, or is invited now, by address."""
        with self.database.read() as connection:
            return self._those(connection)

    def find(self, address: str) -> Who | None:
        """Who has *address*, None if nobody ever had it and nobody is invited to have it."""
        with self.database.read() as connection:
            return next(iter(self._those(connection, address.casefold())), None)

    def invite(self, address: str, *, grants: Collection[Grant] = (), by: str) -> str:
        """A secret with which *address* comes in and chooses a password, once; earlier ones of theirs are void.

        Whoever is not let in begins with *grants* alone: what an invitation gave that nobody used is not added to.

        Raises:
            SettingsError: If *address* is none, or there is no such project.
        """
        address = _address(address)
        secret, now = fresh("invitation"), self.clock()
        wanted: dict[str, set[str]] = {}
        for each in grants:
            wanted.setdefault(each.project, set()).add(each.role)
        with self.database.write() as connection:
            chain.lock(connection)
            known = connection.execute(sa.select(person.c.removed).where(person.c.address == address)).one_or_none()
            if known is None or known.removed:
                before = self._grants(connection, [address]).get(address, ())
                wanted = {each.project: set[str]() for each in before} | wanted
            connection.execute(key.delete().where(key.c.address == address, key.c.kind == "invitation"))
            row = keys.row(secret, kind="invitation", address=address, now=now, expires=now + INVITED)
            connection.execute(sa.insert(key).values(row))
            told: list[Event] = [PersonInvited(run="", address=address, by=by, again=known is not None)]
            for project, roles in sorted(wanted.items()):
                told += self._grant(connection, address, project, roles, by=by)
            self._tell(connection, told)
        return secret

    def invited(self, secret: str) -> str:
        """The address that the invitation *secret* is for, "" if it is void."""
        with self.database.read() as connection:
            return keys.shown(connection, secret, "invitation", now=self.clock()) or ""

    def redeem(self, secret: str, *, name: str, password: str) -> Person | None:
        """Use the invitation *secret*: its address is let in as *name* with the hash *password*; None: it is void.

        Their other sessions end: who was invited again has lost something, or should lose it.

        Raises:
            SettingsError: If *name* is none.
        """
        name = _name(name)
        with self.database.write() as connection:
            chain.lock(connection)
            used = key.delete().where(key.c.digest == digest(secret), key.c.kind == "invitation")
            address = keys.shown(connection, secret, "invitation", now=self.clock())
            if address is None or not connection.execute(used).rowcount:
                return None
            connection.execute(key.delete().where(key.c.address == address, key.c.kind == "session"))
            connection.execute(identity.delete().where(identity.c.address == address))
            self._let_in(connection, address, name=name, password=password, way="password")
        return self.known(address)

    def welcome(self, issuer: str, subject: str, *, address: str, name: str) -> str | None:
        """The address of whom the identity provider *issuer* calls *subject*; None: they are not let in.

        Who comes for the first time needs an invitation to *address*, which the provider has verified, and uses it up; from
        then on it is *subject* that counts, whatever address the provider gives them. Whoever came in as that address
        before, by a password or as another subject, does not any more.
        """
        with self.database.write() as connection:
            chain.lock(connection)
            same = (identity.c.issuer == issuer, identity.c.subject == subject)
            query = sa.select(person.c.address).join(identity, identity.c.address == person.c.address)
            known = connection.execute(query.where(*same, person.c.removed == 0)).scalar_one_or_none()
            if known is not None:
                connection.execute(identity.update().where(*same).values(at=self.clock()))
                return str(known)
            try:
                address = _address(address)
            except SettingsError:
                return None
            invited = (key.c.address == address, key.c.kind == "invitation", key.c.expires > self.clock())
            if not connection.execute(key.delete().where(*invited)).rowcount:
                return None
            connection.execute(key.delete().where(key.c.address == address, key.c.kind == "session"))
            connection.execute(identity.delete().where(sa.or_(identity.c.address == address, sa.and_(*same))))
            row = {"issuer": issuer, "subject": subject, "address": address, "at": self.clock()}
            connection.execute(sa.insert(identity).values(row))
            self._let_in(connection, address, name=_called(name, address), password="", way="oidc")
            self._tell(connection, [IdentityBound(run="", address=address, issuer=issuer, subject=subject)])
        return address

    def bind(self, issuer: str, subject: str, *, address: str) -> None:
        """Take from now on whom *issuer* calls *subject* for *address*; "": for nobody. It lets nobody in.

        Raises:
            SettingsError: If nobody is let in by that address.
        """
        if address and self.known(address) is None:
            raise SettingsError(f"{address} is not let in", hint="the list of people has the addresses")
        address = _address(address) if address else ""
        with self.database.write() as connection:
            chain.lock(connection)
            connection.execute(identity.delete().where(identity.c.issuer == issuer, identity.c.subject == subject))
            if address:
                row = {"issuer": issuer, "subject": subject, "address": address, "at": self.clock()}
                connection.execute(sa.insert(identity).values(row))
            self._tell(connection, [IdentityBound(run="", address=address, issuer=issuer, subject=subject)])

    def bound(self, issuer: str, subject: str) -> str:
        """The address that *subject* of *issuer* is taken for, "" for none."""
        query = sa.select(identity.c.address).where(identity.c.issuer == issuer, identity.c.subject == subject)
        with self.database.read() as connection:
            return connection.execute(query).scalar() or ""

    def spoken_for(self, address: str, issuer: str) -> float:
        """When the identity provider *issuer* last spoke for *address*; infinity: they come by a password."""
        spoke = sa.select(sa.func.max(identity.c.at)).where(identity.c.issuer == issuer, identity.c.address == address)
        query = sa.select(person.c.way, spoke.scalar_subquery()).where(person.c.address == address)
        with self.database.read() as connection:
            way, at = connection.execute(query).one()
        return math.inf if way != "oidc" else at or 0.0

    def regrant(self, address: str, wanted: Mapping[str, Collection[str]], *, by: str) -> None:
        """Give *address* exactly the roles *wanted* in each project that it names and that is there; tell what changed.

        If nobody would administer everything any more, all stays as it is.
        """
        with suppress(SettingsError), self.database.write() as connection:
            chain.lock(connection)
            there = {EVERY, *connection.execute(sa.select(tables.project.c.id)).scalars()}
            have: dict[str, set[str]] = {}
            for each in self._grants(connection, [address]).get(address, ()):
                have.setdefault(each.project, set()).add(each.role)
            changed = {
                project: set(roles)
                for project, roles in wanted.items()
                if project in there and set(roles) != have.get(project, set())
            }
            for project, roles in sorted(changed.items()):
                self._tell(connection, self._grant(connection, address, project, roles, by=by))
            if changed:
                self._keep_an_admin(connection)

    def password(self, address: str) -> str:
        """The hash that is kept for *address*; "": nobody comes in with a password there."""
        query = sa.select(person.c.password).where(person.c.address == address.casefold(), person.c.removed == 0)
        with self.database.read() as connection:
            return connection.execute(query).scalar() or ""

    def replace(self, address: str, *, before: str, password: str) -> bool:
        """Keep the hash *password* for *address* in place of *before*; whether *before* was still the one.

        Whatever else lets in as them ends: sessions, and invitations, which an identity provider could use up. Tokens go on.
        """
        address = address.casefold()
        same = (person.c.address == address, person.c.password == before, person.c.removed == 0)
        with self.database.write() as connection:
            chain.lock(connection)
            if not before or not connection.execute(person.update().where(*same).values(password=password)).rowcount:
                return False
            ways = ("session", "invitation")
            connection.execute(key.delete().where(key.c.address == address, key.c.kind.in_(ways)))
            self._tell(connection, [PasswordChanged(run="", address=address)])
        return True

    def rehash(self, address: str, *, before: str, password: str) -> None:
        """Keep the hash *password* in place of *before*, which is of the same password: nothing ends, and nothing is told."""
        same = (person.c.address == address.casefold(), person.c.password == before, person.c.removed == 0)
        with self.database.write() as connection:
            connection.execute(person.update().where(*same).values(password=password))

    def known(self, address: str) -> Person | None:
        """*address* with their roles, None if they are not let in."""
        found = self.find(address)
        if found is None or not found.let_in:
            return None
        return Person(name=found.name, address=found.address, grants=found.grants)

    def grant(self, address: str, project: str, roles: Collection[RoleName], *, by: str) -> None:
        """Give *address*, who is let in or invited, exactly *roles* in *project*.

        Raises:
            SettingsError: If nobody has that address, there is no such project, or nobody would administer everything
                any more.
        """
        address = _address(address)
        with self.database.write() as connection:
            chain.lock(connection)
            if not (found := self._those(connection, address)) or not (found[0].let_in or found[0].invited):
                raise SettingsError(f"nobody has the address {address}", hint="invite them first")
            self._tell(connection, self._grant(connection, address, project, set(roles), by=by))
            self._keep_an_admin(connection)

    def remove(self, address: str, *, by: str) -> None:
        """Shut *address* out; their sessions, tokens and invitations end now, what they did stays theirs.

        Raises:
            SettingsError: If they are neither let in nor invited, or nobody would administer everything any more.
        """
        address = _address(address)
        with self.database.write() as connection:
            chain.lock(connection)
            if not (found := self._those(connection, address)) or not (found[0].let_in or found[0].invited):
                raise SettingsError(f"{address} is not let in", hint="the list of people has the addresses")
            change = person.update().where(person.c.address == address, person.c.removed == 0)
            connection.execute(change.values(removed=self.clock(), password=""))
            connection.execute(key.delete().where(key.c.address == address))
            connection.execute(grant.delete().where(grant.c.address == address))
            connection.execute(identity.delete().where(identity.c.address == address))
            self._tell(connection, [PersonRemoved(run="", address=address, by=by)])
            if found[0].let_in:
                self._keep_an_admin(connection)

    def _let_in(self, connection: sa.Connection, address: str, *, name: str, password: str, way: str) -> None:
        row = {"name": storable(name), "password": password, "way": way, "removed": 0.0}
        if not connection.execute(person.update().where(person.c.address == address).values(row)).rowcount:
            connection.execute(sa.insert(person).values(row | {"address": address, "added": self.clock()}))
            self._tell(connection, [PersonAdded(run="", address=address, person=name, way=way)])

    def _grant(
        self, connection: sa.Connection, address: str, project: str, roles: Collection[str], *, by: str
    ) -> list[Event]:
        if unknown := sorted(set(roles) - set(ROLES)):
            raise SettingsError(f"there is no role {unknown[0]!r}", hint=f"there are {', '.join(ROLES)}")
        here = (grant.c.address == address, grant.c.project == project)
        if not connection.execute(grant.delete().where(*here)).rowcount or roles:
            self._must_be(connection, project)
        rows = [{"address": address, "project": project, "role": role} for role in sorted(roles)]
        if rows:
            connection.execute(sa.insert(grant), rows)
        return [GrantChanged(run="", address=address, project=project, by=by, roles=sorted(roles))]

    def _must_be(self, connection: sa.Connection, project: str) -> None:
        """Refuse a name that is of no project: whoever makes one that is called so would be found to have people in it."""
        known = connection.execute(sa.select(tables.project.c.id).order_by(tables.project.c.id)).scalars().all()
        if project != EVERY and project not in known:
            near = difflib.get_close_matches(project, known, n=3, cutoff=0.3) or known[:3]
            hint = f"there is {', '.join(near)}" if near else "`nightmill init` in its folder makes one"
            raise SettingsError(f"there is no project {project[:80]!r}", hint=hint)

    def _those(self, connection: sa.Connection, address: str = "") -> list[Who]:
        """Who was let in or is invited, by address; with *address* only who has that."""
        people, until = (
            sa.select(person),
            sa.select(key.c.address, key.c.expires).where(key.c.kind == "invitation", key.c.expires > self.clock()),
        )
        if address:
            people, until = people.where(person.c.address == address), until.where(key.c.address == address)
        rows = {row["address"]: row for row in connection.execute(people).mappings()}
        invited = {row.address: row.expires for row in connection.execute(until)}
        found = sorted(rows.keys() | invited)
        grants = self._grants(connection, found)
        return [_who(each, rows.get(each, NEVER), invited.get(each, 0.0), grants.get(each, ())) for each in found]

    def _grants(self, connection: sa.Connection, addresses: Collection[str]) -> dict[str, tuple[Grant, ...]]:
        query = sa.select(grant).where(grant.c.address.in_(addresses)).order_by(grant.c.project, grant.c.role)
        found: dict[str, tuple[Grant, ...]] = {}
        for row in connection.execute(query):
            found[row.address] = (*found.get(row.address, ()), Grant(role=row.role, project=row.project))
        return found

    def _keep_an_admin(self, connection: sa.Connection) -> None:
        """Refuse what would leave nobody who could take it back."""
        if connection.execute(ADMINS).first() is None:
            raise SettingsError("nobody would administer everything any more", hint="make somebody else admin first")

    def _tell(self, connection: sa.Connection, told: Sequence[Event]) -> None:
        chain.append(connection, [chain.fact(each, at=self.clock()) for each in told])


def _who(address: str, row: Any, invited: float, grants: tuple[Grant, ...]) -> Who:
    named = {name: row[name] for name in ("name", "way", "added", "removed")}
    return Who(address=address, **named, invited=invited, grants=grants)


def _address(text: str) -> str:
    address = text.strip().casefold()
    # Signs that look like others, and those that `casefold` makes others of, name somebody else.
    if len(address) > 254 or not text.isascii() or not ADDRESS.fullmatch(address):
        raise SettingsError(f"{text[:80]!a} is no mail address", hint="in ASCII, such as ada@example.org")
    return address


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not (NAME.fullmatch(name) and name.isprintable()):
        raise SettingsError(f"{text[:80]!r} is no name of a person", hint="such as Ada Example")
    return name


def _called(text: str, address: str) -> str:
    """A name of a person out of what an identity provider says, or of their *address*."""
    try:
        return _name(storable(text))
    except SettingsError:
        return _name(address.partition("@")[0][:120])
