"""Secrets that the server hands out: sessions, tokens and invitations. Only their digests are kept."""

from __future__ import annotations

import hashlib
import secrets

__all__ = ["digest", "fresh"]


def fresh(kind: str) -> str:
    """A new secret of 256 bits. It begins with *kind*, so that a leaked one is known for what it is: `nm_token_…`."""
    return f"nm_{kind}_{secrets.token_urlsafe(32)}"


def digest(secret: str) -> str:
    """What is kept of *secret*: SHA-256, since 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
