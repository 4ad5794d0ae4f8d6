"""Passwords: Argon2id as RFC 9106 recommends it for servers, and nothing else is kept of them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

__all__ = ["LEAST", "MOST", "hashed", "matches", "refusal", "stale"]

LEAST, MOST = 12, 256
"""Characters of a password: NIST SP 800-63B asks for length and not for kinds of signs."""


def refusal(password: str, *, address: str) -> str:
    """Why *password* is not taken, "" if it is."""
    if len(password) < LEAST:
        return f"a password has at least {LEAST} characters; a sentence is a good one"
    if len(password) > MOST:
        return f"a password has at most {MOST} characters"
    if len(set(password)) < LEAST // 2 or address.partition("@")[0].casefold() in password.casefold():
        return "this password is easy to guess: it repeats itself, or holds the name"
    return ""


def hashed(password: str) -> str:
    """What is kept of *password*: some 60 ms of one core and 64 MiB, as for whoever tries it."""
    return _hasher().hash(password)


def matches(password: str, kept: str) -> bool:
    """Whether *kept* was made of *password*. With nothing kept it takes as long, and is False."""
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415 - as below

    try:
        return _hasher().verify(kept or _nobodys(), password) and bool(kept)
    except (VerificationError, InvalidHashError):
        return False


def stale(kept: str) -> bool:
    """Whether *kept*, which a password was found to match, was made with less than is asked for now."""
    return _hasher().check_needs_rehash(kept)


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # noqa: PLC0415 - a terminal that only names people need not load it

    return PasswordHasher()


@cache
def _nobodys() -> str:
    """The hash that an unknown name is compared with, so that time does not tell who is known."""
    return _hasher().hash("nobody has this password")
