"""What an id token says, believed only if it is the provider's, for us, of now, and of this attempt (Core 1.0, 3.1.3.7)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from nightmill.server.problem import Refused

__all__ = ["Claimed", "Expected", "Keys", "claimed", "unbelievable", "verified"]

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
"""Signatures that only the holder of a private key makes. `none`, and secrets that both sides have, are not among them."""
KINDS = frozenset({"RSA", "EC", "OKP"})
LEEWAY = 60
"""Seconds that two clocks may differ."""
MOST_TOKEN, MOST_SUBJECT, MOST_GROUPS = 64 << 10, 255, 1000
MOST_KEYS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a token has to be."""

    issuer: str
    client: str
    nonce: str
    algorithms: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """Whom the provider names.

    Attributes:
        subject: Theirs alone at the provider, for ever; an *address* may pass to somebody else.
        address: "" unless the provider has verified it.
    """

    subject: str
    address: str
    name: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Keys:
    """A provider's public keys for signatures."""

    found: KeySet

    @classmethod
    def read(cls, said: dict[str, Any]) -> Self:
        """The keys in a JSON Web Key Set; what is for encryption, or of a kind that is not known here, is left out.

        Raises:
            Refused: If there is none.
        """
        listed = said.get("keys")
        keys = [each for each in listed[:MOST_KEYS] if _signs(each)] if isinstance(listed, list) else []
        try:
            if keys:
                return cls(KeySet.import_key_set({"keys": keys}))
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise unbelievable("its keys cannot be read") from error
        raise unbelievable("it has no key for signatures")

    def has(self, name: Any) -> bool:
        """Whether there is a key that is called *name*; a token that names none is by the only one."""
        return any(key.kid == name for key in self.found.keys) if name is not None else len(self.found.keys) == 1


def unbelievable(why: str) -> Refused:
    """What is not believed of a provider, or of somebody in its place; *why* holds no secret."""
    return Refused(403, f"what the identity provider says cannot be believed: {why}", hint="sign in anew")


def verified(
    token: str, expected: Expected, *, access: str | None, keys: Callable[[Keys | None], Keys], now: float
) -> dict[str, Any]:
    """What *token* says, which came with the token *access*. *keys* gives the provider's, and newer ones than those that lack one.

    Raises:
        Refused: If it is not the provider's, for us, of now, and of this attempt.
    """
    if len(token) > MOST_TOKEN:
        raise unbelievable("its token is too long")
    allowed = [each for each in expected.algorithms if each in ALGORITHMS]

    def key(signed: Any) -> KeySet:
        name = signed.headers().get("kid")
        known = keys(None)
        return (known if known.has(name) else keys(known)).found

    try:
        found = jwt.decode(token, key, algorithms=allowed)
    except (JoseError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise unbelievable(f"its token is not signed by a key of its own ({type(error).__name__})") from error
    claims = CodeIDToken(
        found.claims,
        found.header,
        options={
            "iss": {"essential": True, "value": expected.issuer},
            "aud": {"essential": True, "value": expected.client},
        },
        params={"nonce": expected.nonce, "client_id": expected.client, "access_token": access},
    )
    try:
        claims.validate(now=int(now), leeway=LEEWAY)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise unbelievable(f"its token is wrong in what it says: {error}"[:300]) from error
    _exact(found.claims, expected)
    return found.claims


def claimed(claims: dict[str, Any], more: dict[str, Any], *, groups: str) -> Claimed:
    """Whom *claims*, and *more* that the provider says beside them, name. What the token says counts first."""
    said = {**more, **claims}
    mail = claims if "email" in claims else more  # an address, and whether it is theirs, are of one mouth
    address, good = mail.get("email"), mail.get("email_verified")
    name, found = said.get("name"), said.get(groups)
    listed = found[:MOST_GROUPS] if isinstance(found, list) else []
    return Claimed(
        subject=claims["sub"],
        address=address if isinstance(address, str) and good is True else "",
        name=name if isinstance(name, str) else "",
        groups=frozenset(each for each in listed if isinstance(each, str)),
    )


def _exact(claims: dict[str, Any], expected: Expected) -> None:
    """What the library asks less strictly: a list that holds the issuer is no issuer."""
    if claims["iss"] != expected.issuer:
        raise unbelievable("its token is another provider's")
    nonce, subject = claims["nonce"], claims["sub"]
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode("utf-8", "replace"), expected.nonce.encode()):
        raise unbelievable("its token is of another attempt to sign in")
    if not isinstance(subject, str) or not 0 < len(subject) <= MOST_SUBJECT or not subject.isprintable():
        raise unbelievable("its token names nobody")


def _signs(key: Any) -> bool:
    return isinstance(key, dict) and key.get("kty") in KINDS and key.get("use", "sig") == "sig"
