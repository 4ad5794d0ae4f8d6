"""The operator's credentials: read from a file that nobody else can read, and refused without a word of what they hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nightmill.cli.credentials import load
from nightmill.errors import SettingsError
from nightmill.estate import identify

SECRET = "s3cret-of-the-operator"
GIVEN = "- {name: own, host: Host.Example., projects: ['*'], from: 'env:TOKEN'}\n"


def written(folder: Path, text: str, *, mode: int = 0o600) -> Path:
    path = folder / "credentials.yaml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_no_file_means_no_credentials(tmp_path: Path) -> None:
    assert load(tmp_path / "credentials.yaml", environment={}) == ()


def test_a_secret_comes_from_the_environment_or_from_a_file(tmp_path: Path) -> None:
    kept = tmp_path / "token"
    kept.write_text(f"{SECRET}-2\n")
    kept.chmod(0o600)
    more = f"""
- name: registry
  host: packages.example
  port: 8443
  scheme: basic
  user: reader
  variable: REGISTRY_TOKEN
  projects: [{tmp_path}/shop]
  from: file:{kept}
- {{name: lab, host: lab.example, header: Private-Token, scheme: raw, projects: [], from: 'env:TOKEN'}}
"""
    own, registry, lab = load(written(tmp_path, GIVEN + more), environment={"TOKEN": SECRET})

    assert (own.host, own.port, own.line()) == ("host.example", 443, f"Authorization: Bearer {SECRET}".encode())
    assert (registry.port, registry.user, registry.secret) == (8443, "reader", f"{SECRET}-2")
    assert lab.line() == f"Private-Token: {SECRET}".encode()
    assert (own.serves("any"), registry.serves("any"), registry.serves(identify(tmp_path / "shop"))) == (
        True,
        False,
        True,
    )
    assert not lab.serves("any")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644])
def test_a_file_that_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(SettingsError, match="others can read it"):
        load(written(tmp_path, GIVEN, mode=mode), environment={"TOKEN": SECRET})
    kept = tmp_path / "token"
    kept.write_text(SECRET)
    kept.chmod(mode)
    with pytest.raises(SettingsError, match="others can read it"):
        load(written(tmp_path, GIVEN.replace("env:TOKEN", f"file:{kept}")), environment={})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [b\n", "not valid YAML, line"),
        ("name: own\n", "must hold a list"),
        (f"- {SECRET}\n", "is no mapping"),
        (GIVEN.replace("from", "form"), "unknown key; did you mean from"),
        (f"- {{{SECRET}: x}}\n", "unknown key"),
        ("- {name: own}\n", "lacks host, projects, from"),
        (GIVEN.replace("env:TOKEN", SECRET), "env:NAME or file:PATH"),
        (GIVEN.replace("env:TOKEN", "env:"), "env:NAME or file:PATH"),
        (GIVEN.replace("env:TOKEN", "env:ABSENT"), "has no 'ABSENT'"),
        (GIVEN.replace("env:TOKEN", "file:/nowhere/token"), "there is no file"),
        (GIVEN.replace("env:TOKEN", "file:/dev/zero"), "is no small file"),
        (GIVEN.replace("env:TOKEN", "env:SHORT"), "the secret of the credential 'own'"),
        (GIVEN.replace("Host.Example.", "'*.example'"), "the host of the credential 'own'"),
        (GIVEN.replace("['*']", "'*'"), "projects must be a list"),
        (GIVEN.replace("['*']", "[shop]"), "projects must be a list"),
        (GIVEN.replace("['*']", "[1]"), "projects must be a list"),
        (GIVEN.replace("name: own", "name: own, port: 0"), "scheme or port"),
        (GIVEN.replace("name: own", "name: own, scheme: digest"), "scheme or port"),
        (GIVEN.replace("name: own", "name: own, header: Host"), "the header of the credential"),
        (GIVEN.replace("name: own", "name: own, variable: 'A B'"), "the variable of the credential"),
        (GIVEN + GIVEN, "two credentials are called 'own'"),
    ],
)
def test_what_cannot_be_used_is_refused_without_saying_what_it_holds(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, text), environment={"TOKEN": SECRET, "SHORT": "abc"})

    error = caught.value
    said = f"{error} {error.hint} {error.__cause__}"
    assert error.__suppress_context__ or error.__context__ is None
    assert why in said
    assert SECRET not in said


def test_another_users_file_is_refused(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file away")
    path = written(tmp_path, GIVEN)
    os.chown(path, 65534, -1)

    with pytest.raises(SettingsError, match="others can read it"):
        load(path, environment={"TOKEN": SECRET})
