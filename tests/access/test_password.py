"""Passwords are kept by Argon2id as strong as RFC 9106 asks for, and anew where that was less."""

from __future__ import annotations

import argon2
import pytest
from argon2 import PasswordHasher, extract_parameters

from nightmill.access import hashed, matches, refusal, stale

WORDS = "correct horse battery"


def test_what_is_kept_is_as_rfc_9106_recommends_and_of_no_two_alike() -> None:
    one, other = hashed(WORDS), hashed(WORDS)
    found = extract_parameters(one)

    assert one != other
    assert found.type is argon2.Type.ID
    assert (found.memory_cost, found.time_cost, found.parallelism) >= (65_536, 3, 4)
    assert (found.salt_len, found.hash_len) == (16, 32)
    assert (matches(WORDS, one), matches(WORDS + " ", one), matches("", one)) == (True, False, False)


def test_what_was_kept_with_less_is_stale_and_still_known() -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8_192).hash(WORDS)

    assert matches(WORDS, weak)
    assert (stale(weak), stale(hashed(WORDS))) == (True, False)


@pytest.mark.parametrize("kept", ["", "no hash", "$argon2id$v=19$m=65536,t=3,p=4$", "correct horse battery"])
def test_where_nothing_good_is_kept_no_password_is_right(kept: str) -> None:
    assert not matches(WORDS, kept)
    assert not matches("nobody has this password", kept)
    assert not matches("", kept)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short horse", "at least 12"),
        ("x" * 12, "easy to guess"),
        ("abababababab", "easy to guess"),
        ("my name is Ada Example", "easy to guess"),
        ("correct horse " * 20, "at most 256"),
        (WORDS, ""),
        ("pässwörter sind lang", ""),
    ],
)
def test_a_password_is_long_and_not_easy(password: str, why: str) -> None:
    said = refusal(password, address="ada@example.org")
    assert why in said
    assert bool(said) == bool(why)
