"""What people show to be let in: sessions of browsers, tokens of programs, invitations. Only digests are kept."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Literal, cast

import sqlalchemy as sa

from nightmill.access import ACTS, Act, Person, Token, digest, fresh
from nightmill.errors import SettingsError
from nightmill.event import TokenMade, TokenRevoked
from nightmill.store import chain, tables
from nightmill.store.database import Database

__all__ = ["ATTEMPT", "DAY", "Keys", "Kind", "row", "shown"]

Kind = Literal["session", "token", "invitation", "attempt"]

DAY = 86_400.0
SESSION, IDLE = 30 * DAY, 3 * DAY
"""Seconds after which a session ends, and after which one that nobody uses does."""
LONGEST = 366 * DAY
"""Seconds that a token may be good for."""
MOST = 100
"""Tokens of one person."""
MINUTE = 60.0
ATTEMPT = 10 * MINUTE
"""Seconds in which somebody who went to an identity provider is back."""

key = tables.key


class Keys:
    """The sessions and tokens of the store. *known* tells who has an address now, None if nobody is let in with it."""

    def __init__(
        self, database: Database, clock: Callable[[], float], *, known: Callable[[str], Person | None]
    ) -> None:
        self.database = database
        self.clock = clock
        self.known = known
        self._used: dict[str, float] = {}

    def begin(self, address: str) -> str:
        """A session for *address*: a new secret each time, so that one from before signing in is worth nothing."""
        secret, now = fresh("session"), self.clock()
        with self.database.write() as connection:
            connection.execute(key.delete().where(key.c.expires <= now))
            made = row(secret, kind="session", address=address.casefold(), now=now, expires=now + SESSION)
            connection.execute(sa.insert(key).values(made))
        return secret

    def attempt(self, to: str) -> str:
        """A secret for one attempt to sign in with an identity provider, which leads *to* a page of ours."""
        secret, now = fresh("attempt"), self.clock()
        made = row(secret, kind="attempt", address="", now=now, expires=now + ATTEMPT) | {"scopes": json.dumps(to)}
        with self.database.write() as connection:
            connection.execute(key.delete().where(key.c.expires <= now))
            connection.execute(sa.insert(key).values(made))
        return secret

    def attempted(self, secret: str) -> str | None:
        """Where the attempt *secret* leads, once; None: there is no such attempt any more."""
        same = (key.c.digest == digest(secret), key.c.kind == "attempt", key.c.expires > self.clock())
        with self.database.write() as connection:
            to = connection.execute(sa.select(key.c.scopes).where(*same)).scalar_one_or_none()
            if to is None or not connection.execute(key.delete().where(*same)).rowcount:
                return None
        return str(json.loads(to))

    def end(self, secret: str) -> None:
        """End the session *secret*."""
        with self.database.write() as connection:
            connection.execute(key.delete().where(key.c.digest == digest(secret), key.c.kind == "session"))

    def leave(self, address: str) -> None:
        """End all sessions of *address*."""
        with self.database.write() as connection:
            connection.execute(key.delete().where(key.c.address == address.casefold(), key.c.kind == "session"))

    def make(self, name: str, *, owner: Person, scopes: Collection[Act], seconds: float, within: str = "") -> str:
        """A token of *owner* called *name*, for at most *scopes* and so many *seconds*.

        Made with the token *within*, it may do no more than that, is good no longer, and ends with it: who finds a token
        has nothing of it once that is revoked.

        Raises:
            SettingsError: If the name is taken or none, a scope is unknown or too much, or it would last too long.
        """
        if not re.fullmatch(r"[\w .:/-]{1,80}", name):
            raise SettingsError(f"{name!r} is no name of a token", hint="letters, digits, spaces and . : / - are")
        if unknown := sorted(set(scopes) - set(ACTS)):
            raise SettingsError(f"there is no scope {unknown[0]!r}", hint=f"there are {', '.join(ACTS)}")
        if not 0 < seconds <= LONGEST:
            raise SettingsError("a token is good for a year at most", hint="make it anew when it ends")
        secret, now = fresh("token"), self.clock()
        with self.database.write() as connection:
            chain.lock(connection)
            connection.execute(key.delete().where(key.c.expires <= now))
            mine = (key.c.address == owner.address, key.c.kind == "token")
            names = set(connection.execute(sa.select(key.c.name).where(*mine)).scalars())
            if name in names:
                raise SettingsError(
                    f"{owner.address} has a token {name!r} already", hint="revoke it, or choose another name"
                )
            if len(names) >= MOST:
                raise SettingsError(f"{owner.address} has {MOST} tokens", hint="revoke one that nobody needs")
            maker = _maker(connection, within, scopes, owner=owner.address, now=now) if within else None
            expires = min(now + seconds, maker.expires) if maker else now + seconds
            made = row(secret, kind="token", address=owner.address, now=now, expires=expires)
            made |= {"name": name, "scopes": json.dumps(sorted(scopes)), "maker": maker.digest if maker else ""}
            connection.execute(sa.insert(key).values(made))
            told = TokenMade(
                run="",
                token=name,
                by=owner.by,
                expires=expires,
                scopes=sorted(scopes),
                within=maker.name if maker else "",
            )
            chain.append(connection, [chain.fact(told, at=now)])
        return secret

    def tokens(self, address: str = "") -> Sequence[Token]:
        """The tokens of *address*, or of everybody, that are still good."""
        query = sa.select(key).where(key.c.kind == "token", key.c.expires > self.clock())
        if address:
            query = query.where(key.c.address == address.casefold())
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(key.c.address, key.c.name)).mappings().all()
        return [
            Token(
                **{name: each[name] for name in ("name", "address", "created", "used", "expires")},
                scopes=tuple(json.loads(each["scopes"]) or ()),
            )
            for each in rows
        ]

    def revoke(self, name: str, *, owner: str, by: str) -> None:
        """End the token *name* of the address *owner*, and those that were made with it.

        Raises:
            SettingsError: If there is none.
        """
        owner, now = owner.casefold(), self.clock()
        with self.database.write() as connection:
            chain.lock(connection)
            mine = (key.c.address == owner, key.c.kind == "token")
            rows = connection.execute(sa.select(key.c.name, key.c.digest, key.c.maker).where(*mine)).all()
            ended = [each for each in rows if each.name == name]
            if not ended:
                raise SettingsError(f"{owner} has no token {name!r}", hint="the list of tokens has the names")
            for one in ended:  # it grows: what each made comes behind it
                ended += [each for each in rows if each.maker == one.digest]
            connection.execute(key.delete().where(key.c.digest.in_([each.digest for each in ended])))
            told = [TokenRevoked(run="", token=each.name, owner=owner, by=by) for each in ended]
            chain.append(connection, [chain.fact(each, at=now) for each in told])

    def shows(self, secret: str, kind: Literal["session", "token"]) -> Person | None:
        """Who shows *secret*, with what they may do now; None: nobody who is let in."""
        found = self._found(secret, kind)
        if found is None or (who := self.known(found.address)) is None:
            return None
        scopes = json.loads(found.scopes)
        return replace(who, way=kind, scopes=None if scopes is None else cast("frozenset[Act]", frozenset(scopes)))

    def note(self) -> None:
        """Keep when the keys that were shown were used: whoever shows one does not wait until that is written."""
        taken, self._used = self._used, {}
        if not taken:
            return
        with self.database.write() as connection:
            for name, at in list(taken.items()):
                connection.execute(key.update().where(key.c.digest == name, key.c.used < at).values(used=at))

    def _found(self, secret: str, kind: Kind) -> Any:
        """The row of what *secret* shows while it is good; that it was used is put by for `note` once a minute."""
        now, name = self.clock(), digest(secret)
        with self.database.read() as connection:
            query = sa.select(key).where(key.c.digest == name, key.c.kind == kind, key.c.expires > now)
            found = connection.execute(query).one_or_none()
        if found is None:
            return None
        used = max(found.used, self._used.get(name, 0.0))
        if kind == "session" and used <= now - IDLE:
            return None
        if now - used > MINUTE:
            self._used[name] = now
        return found


def row(secret: str, *, kind: Kind, address: str, now: float, expires: float) -> dict[str, Any]:
    """What is kept of *secret*."""
    named = {"digest": digest(secret), "kind": kind, "address": address, "name": "", "scopes": "null", "maker": ""}
    return named | {"created": now, "used": now, "expires": expires}


def shown(connection: sa.Connection, secret: str, kind: Kind, *, now: float) -> str | None:
    """Whose *secret* is, while it is good."""
    query = sa.select(key.c.address).where(key.c.digest == digest(secret), key.c.kind == kind, key.c.expires > now)
    return connection.execute(query).scalar_one_or_none()


def _maker(connection: sa.Connection, secret: str, scopes: Collection[Act], *, owner: str, now: float) -> Any:
    """The token of *owner* that *secret* shows, which may make another for *scopes*."""
    same = (key.c.digest == digest(secret), key.c.kind == "token", key.c.address == owner, key.c.expires > now)
    found = connection.execute(sa.select(key).where(*same)).one_or_none()
    if found is None:
        raise SettingsError("the token to make another with is not good any more", hint="sign in with a browser")
    if beyond := sorted(set(scopes) - set(json.loads(found.scopes))):
        raise SettingsError(
            f"the token to make another with is not for {beyond[0]}, so neither is what it makes",
            hint="make it where you sign in with a browser, or for less",
        )
    return found
