"""Who was let in, and who let them; no run, so their `run` is ""."""

from __future__ import annotations

from dataclasses import dataclass, field

from nightmill.happening import Event

__all__ = [
    "GrantChanged",
    "IdentityBound",
    "PasswordChanged",
    "PersonAdded",
    "PersonInvited",
    "PersonRemoved",
    "TokenMade",
    "TokenRevoked",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonInvited(Event):
    """*by* made a link with which *address* chooses a password, once; *again* if they had one before."""

    address: str
    by: str
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAdded(Event):
    """*address* was let in for the first time: by a "password" that they chose, or by "oidc"."""

    address: str
    person: str
    way: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityBound(Event):
    """From now on *address* comes in as whom the identity provider *issuer* calls *subject*, and no other way."""

    address: str
    issuer: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChanged(Event):
    """*address*, who knew the password, has another one: every other session and every invitation of theirs ended with it."""

    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRemoved(Event):
    """*by* shut *address* out: sessions and tokens ended with it."""

    address: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantChanged(Event):
    """*by* gave *address* exactly these *roles* in *project* ("": in every one)."""

    address: str
    project: str
    by: str
    roles: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMade(Event):
    """*by* has a new token of their own, *token*, with *scopes* until *expires* (Unix seconds); made with the one called *within*."""

    token: str
    by: str
    expires: float
    scopes: list[str] = field(default_factory=list)
    within: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRevoked(Event):
    """*by* ended *token*, which was *owner*'s."""

    token: str
    owner: str
    by: str
