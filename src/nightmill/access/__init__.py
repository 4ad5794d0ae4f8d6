"""Who knocks at a door, and what they may do there. Takes: what somebody shows. Gives: Person."""

from __future__ import annotations

from nightmill.access.nouns import ACTS, EVERY, ROLES, Act, Grant, NewToken, Person, RoleName, Token, Who
from nightmill.access.password import hashed, matches, refusal, stale
from nightmill.access.secret import digest, fresh

__all__ = [
    "ACTS",
    "EVERY",
    "ROLES",
    "Act",
    "Grant",
    "NewToken",
    "Person",
    "RoleName",
    "Token",
    "Who",
    "digest",
    "fresh",
    "hashed",
    "matches",
    "refusal",
    "stale",
]
