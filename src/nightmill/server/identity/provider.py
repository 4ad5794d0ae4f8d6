"""An identity provider as it says it is: where it signs people in, its keys, and whom it names.

By OpenID Connect Discovery 1.0 and Core 1.0 (section 3.1, the authorization code flow), with PKCE (RFC 7636) and the issuer in the
answer (RFC 9207). Each method blocks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.client import OAuth2Client

from nightmill.server.identity.config import Config, is_safe
from nightmill.server.identity.flow import Flow
from nightmill.server.identity.line import Line
from nightmill.server.identity.token import Claimed, Expected, Keys, claimed, unbelievable, verified

__all__ = ["Provider"]

FRESH = 3600.0
"""Seconds for which what a provider says of itself is kept."""
KEYS_AGAIN = 30.0
"""Seconds between two looks at a provider's keys because of a key that is not among them."""
SCOPE = "openid email profile"
NAMED = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Provider:
    """The provider of *config*. *back*: where it sends browsers back to."""

    def __init__(self, config: Config, *, back: str, line: Line, clock: Callable[[], float]) -> None:
        self.config, self.back, self.line, self.clock = config, back, line, clock
        self._lock = threading.Lock()
        self._said: dict[str, Any] = {}
        self._at = 0.0
        self._keys: Keys | None = None
        self._keys_at = 0.0

    def begin(self, flow: Flow) -> str:
        """Where the browser of *flow* goes to sign in.

        Raises:
            Refused: If the provider does not answer, or what it says of itself cannot be.
        """
        url, _ = self._client(None).create_authorization_url(
            self._metadata()["authorization_endpoint"], state=flow.state, code_verifier=flow.verifier, nonce=flow.nonce
        )
        return str(url)

    def answers(self, *, issuer: str) -> None:
        """Whether an answer that says it is of *issuer*, "" if it does not say, is this provider's.

        Raises:
            Refused: If not.
        """
        told = bool(self._metadata().get("authorization_response_iss_parameter_supported"))
        if (issuer or told) and issuer != self.config.issuer:
            raise unbelievable("the answer is another provider's")

    def person(self, flow: Flow, code: str) -> Claimed:
        """Whom *code* names.

        Raises:
            Refused: If the provider does not answer, refuses the code, or says what cannot be believed.
        """
        metadata = self._metadata()
        try:
            said = self._client(self.line).fetch_token(
                metadata["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                code_verifier=flow.verifier,
                redirect_uri=self.back,
            )
        except OAuth2Error as error:
            raise unbelievable(f"the provider refuses the code: {error.error}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise unbelievable("what it gives for the code is no token") from error
        token = said.get("id_token") if isinstance(said, dict) else None
        if not isinstance(token, str):
            raise unbelievable("the provider gave no id token")
        expected = Expected(
            issuer=self.config.issuer, client=self.config.client, nonce=flow.nonce, algorithms=_algorithms(metadata)
        )
        access = said.get("access_token")
        access = access if isinstance(access, str) else None
        claims = verified(token, expected, access=access, keys=self._keys_of, now=self.clock())
        return claimed(claims, self._more(metadata, access, claims), groups=self.config.claim)

    def farewell(self, to: str) -> str:
        """Where somebody ends their session at the provider and comes back *to* here, "" if it has no such place."""
        place = self._metadata().get("end_session_endpoint")
        if not isinstance(place, str) or not is_safe(place):
            return ""
        return _with(place, client_id=self.config.client, post_logout_redirect_uri=to)

    def _client(self, line: Line | None) -> OAuth2Client:
        methods = self._metadata().get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        method = "none" if not self.config.secret else "client_secret_basic"
        if self.config.secret and "client_secret_basic" not in methods and "client_secret_post" in methods:
            method = "client_secret_post"
        return OAuth2Client(
            line,
            client_id=self.config.client,
            client_secret=self.config.secret or None,
            token_endpoint_auth_method=method,
            scope=SCOPE,
            redirect_uri=self.back,
            code_challenge_method="S256",
        )

    def _metadata(self) -> dict[str, Any]:
        with self._lock:
            if not self._said or self.clock() - self._at > FRESH:
                issuer = self.config.issuer
                said = self.line.json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
                if said.get("issuer") != issuer:
                    raise unbelievable("what answers there calls itself by another name than oidc_issuer has")
                for name in NAMED:
                    if not isinstance(said.get(name), str) or not is_safe(said[name]):
                        raise unbelievable(f"its {name} is no https address")
                self._said, self._at = said, self.clock()
            return self._said

    def _keys_of(self, lacking: Keys | None) -> Keys:
        """The provider's keys; newer ones, if what was wanted is not among those that are *lacking*."""
        address = self._metadata()["jwks_uri"]
        with self._lock:
            old = self._keys is None or self.clock() - self._keys_at > (KEYS_AGAIN if lacking else FRESH)
            if old or self._keys is None:
                self._keys, self._keys_at = Keys.read(self.line.json(address)), self.clock()
            return self._keys

    def _more(self, metadata: dict[str, Any], access: str | None, claims: dict[str, Any]) -> dict[str, Any]:
        """What the provider says of the person beside the token, where it does not say all in it."""
        place = metadata.get("userinfo_endpoint")
        if not isinstance(place, str) or not is_safe(place) or access is None:
            return {}
        found = self.line.json(place, bearer=access)
        if found.get("sub") != claims["sub"]:
            raise unbelievable("it says the token is one person's and the rest another's")
        return found


def _algorithms(metadata: dict[str, Any]) -> tuple[str, ...]:
    said = metadata.get("id_token_signing_alg_values_supported")
    return tuple(each for each in said if isinstance(each, str)) if isinstance(said, list) else ("RS256",)


def _with(address: str, **more: str) -> str:
    parts = urlsplit(address)
    query = "&".join(filter(None, (parts.query, urlencode(more))))
    return urlunsplit(parts._replace(query=query))
