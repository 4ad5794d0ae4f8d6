"""Each lock of an id token holds by itself, also where another would have held, too."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

from nightmill.server.identity.token import LEEWAY, Expected, Keys, claimed, verified
from nightmill.server.problem import Refused
from tests.server.identity.idp import KEY

NOW = int(time.time())
OURS = Expected(issuer="https://idp.example", client="mill", nonce="n", algorithms=("RS256", "HS256", "none"))
CLAIMS: dict[str, Any] = {
    "iss": OURS.issuer,
    "sub": "u-ada",
    "aud": "mill",
    "nonce": "n",
    "iat": NOW,
    "exp": NOW + 60,
    "email": "ada@example.org",
    "email_verified": True,
}
PUBLIC = RSAKey.import_key(KEY).as_dict(private=False)
SHARED = OctKey.import_key(
    {"kty": "oct", "kid": "first", "k": base64.urlsafe_b64encode(b"s" * 32).decode().rstrip("=")}
)


def signed(*, algorithm: str = "RS256", **claims: Any) -> str:
    key = SHARED if algorithm == "HS256" else RSAKey.import_key(KEY)
    return jwt.encode({"alg": algorithm, "kid": "first"}, {**CLAIMS, **claims}, key, algorithms=[algorithm])


def good(token: str, keys: Keys | None = None) -> bool:
    found = keys or Keys.read({"keys": [PUBLIC]})
    try:
        verified(token, OURS, access=None, keys=lambda _: found, now=NOW)
    except Refused:
        return False
    return True


def test_a_secret_that_both_sides_have_signs_nothing_though_a_provider_offers_it() -> None:
    assert good(signed())
    assert not good(signed(algorithm="HS256"), Keys(KeySet([SHARED])))


@pytest.mark.parametrize("key", [SHARED.as_dict(), {**PUBLIC, "use": "enc"}, {"kty": "oct", "k": "AA"}, "key", None])
def test_what_is_no_key_for_signatures_of_one_side_is_not_read(key: Any) -> None:
    with pytest.raises(Refused, match="no key for signatures"):
        Keys.read({"keys": [key]})
    assert len(Keys.read({"keys": [key, PUBLIC]}).found.keys) == 1


@pytest.mark.parametrize(
    ("claims", "believed"),
    [
        ({"exp": NOW - LEEWAY + 5}, True),
        ({"exp": NOW - LEEWAY - 5}, False),
        ({"iat": NOW + LEEWAY - 5}, True),
        ({"iat": NOW + LEEWAY + 5}, False),
        ({"nbf": NOW + LEEWAY + 5}, False),
        ({"more": "x" * 70_000}, False),
        ({"more": "x" * 7_000}, True),
        ({"sub": "u\n-ada"}, False),
        ({"sub": "x" * 256}, False),
        ({"nonce": "N"}, False),
        ({"iss": OURS.issuer + "/"}, False),
        ({"iss": [OURS.issuer]}, False),
        ({"nonce": ["n"]}, False),
        ({"sub": ["u-ada"]}, False),
    ],
)
def test_a_token_counts_for_its_time_and_is_of_a_size_that_one_has(claims: dict[str, Any], *, believed: bool) -> None:
    assert LEEWAY <= 120
    assert good(signed(**claims)) is believed


@pytest.mark.parametrize(
    ("token", "beside", "address"),
    [
        ({"email": "ada@example.org", "email_verified": True}, {}, "ada@example.org"),
        ({}, {"email": "ada@example.org", "email_verified": True}, "ada@example.org"),
        ({"email": "root@example.org"}, {"email": "ada@example.org", "email_verified": True}, ""),
        ({"email_verified": True}, {"email": "ada@example.org"}, ""),
        ({"email": "ada@example.org", "email_verified": "true"}, {}, ""),
        ({"email": "ada@example.org", "email_verified": 1}, {}, ""),
        ({"email": "ada@example.org"}, {}, ""),
    ],
)
def test_an_address_and_whether_it_is_verified_are_of_one_mouth(
    token: dict[str, Any], beside: dict[str, Any], address: str
) -> None:
    assert claimed({"sub": "u", **token}, beside, groups="groups").address == address
