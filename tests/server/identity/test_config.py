"""What an operator sets about an identity provider is judged when a server starts, and said clearly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nightmill.access import Grant
from nightmill.errors import SettingsError
from nightmill.server.identity import config
from nightmill.settings import load

GOOD = {"oidc_issuer": "https://login.example.org/realms/mill", "oidc_client": "mill"}


def read(**settings: Any) -> config.Config | None:
    return config.read(load(file={}, environment={}, flags=settings))


def test_without_an_issuer_there_is_none() -> None:
    assert read() is None


def test_all_that_is_set_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")

    found = read(**GOOD, oidc_secret=secret, oidc_roles=["CN=Mill, OU=x=operator", "devs=approver@shop"])

    assert found is not None
    assert (found.issuer, found.client, found.secret) == (GOOD["oidc_issuer"], "mill", "hunter2")
    assert found.roles == (("CN=Mill, OU=x", Grant(role="operator")), ("devs", Grant(role="approver", project="shop")))
    assert found.grants(frozenset({"devs"})) == {"": frozenset(), "shop": frozenset({"approver"})}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"oidc_issuer": "http://login.example.org"}, "is no issuer"),
        ({"oidc_issuer": "https://login.example.org/?x=1"}, "is no issuer"),
        ({"oidc_issuer": "https://ada:pw@login.example.org"}, "is no issuer"),
        ({"oidc_issuer": "https://[::1"}, "is no issuer"),
        ({"oidc_issuer": "login.example.org"}, "is no issuer"),
        ({"oidc_client": ""}, "oidc_client is not"),
        ({"oidc_issuer": ""}, "no identity provider is"),
        ({"oidc_issuer": "", "oidc_client": "", "oidc_roles": "a=viewer"}, "no identity provider is"),
        ({"oidc_roles": "devs=boss"}, "oidc_roles has 'devs=boss'"),
        ({"oidc_roles": "devs"}, "oidc_roles has 'devs'"),
        ({"oidc_roles": "=viewer"}, "oidc_roles has '=viewer'"),
        ({"oidc_secret": "/nowhere/secret"}, "cannot be read"),
        ({"oidc_secret": "/dev/null"}, "is no secret"),
    ],
)
def test_what_cannot_be_is_refused_with_what_and_why(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read(**{**GOOD, **changes})


def test_two_lines_are_no_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("one\ntwo\n")

    with pytest.raises(SettingsError, match="is no secret"):
        read(**GOOD, oidc_secret=tmp_path / "secret")
