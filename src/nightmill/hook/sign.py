"""Signatures over what goes out, as the Standard Webhooks specification has them (standardwebhooks.com, version 1)."""

from __future__ import annotations

import base64
import hmac
import secrets

__all__ = ["PREFIX", "fresh", "signature"]

PREFIX = "whsec_"
BYTES = 32


def fresh() -> str:
    """A new secret of a webhook."""
    return PREFIX + base64.b64encode(secrets.token_bytes(BYTES)).decode()


def signature(secret: str, *, id: str, at: int, body: bytes) -> str:
    """HMAC-SHA256 of *id*, the time *at* (Unix seconds) and *body*, under *secret*."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    made = hmac.digest(key, f"{id}.{at}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(made).decode()}"
