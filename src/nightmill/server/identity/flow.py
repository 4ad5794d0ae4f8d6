"""One attempt to sign in, bound to the browser that began it.

All that a browser must not choose comes from one secret in its cookie: what the provider sends back (`state`), what stands in its
token (`nonce`), and what redeems its code (`verifier`, RFC 7636). Of the secret only a digest is kept, until it is used, once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

__all__ = ["Flow"]


class Flow:
    """What belongs to the attempt with *secret*."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    @property
    def state(self) -> str:
        """What comes back with a code."""
        return self._of("state")

    @property
    def nonce(self) -> str:
        """What stands in the token."""
        return self._of("nonce")

    @property
    def verifier(self) -> str:
        """What redeems the code; the provider is told its SHA-256 before."""
        return self._of("verifier")

    def began(self, state: str) -> bool:
        """Whether *state* is this attempt's."""
        return hmac.compare_digest(self.state.encode(), state.encode("utf-8", "replace"))

    def _of(self, what: str) -> str:
        made = hmac.digest(self.secret.encode("utf-8", "replace"), what.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()
