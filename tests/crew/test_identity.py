"""Keys: made once, kept private, known to git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nightmill import crew
from nightmill.errors import SettingsError
from nightmill.repo import Hub
from tests.conftest import Python


def test_a_role_signs_and_the_hub_knows_its_signature(tmp_path: Path) -> None:
    developer = crew.identity("developer", home=tmp_path, domain="agents.example.org")
    architect = crew.identity("architect", home=tmp_path, domain="agents.example.org")
    assert (developer.name, developer.email) == ("nightmill developer", "developer@agents.example.org")
    assert developer.public != architect.public
    assert developer.key.stat().st_mode & 0o777 == 0o600
    assert developer.key.parent.parent.stat().st_mode & 0o777 == 0o700
    hub = Hub(tmp_path / "hub.git")
    hub.create(signers=crew.signers(tmp_path))
    empty = hub.must("hash-object", "-t", "tree", "-w", "--stdin").out.decode().strip()
    commit = hub.commit(empty, parents=[], message="m", author=developer, when=1_700_000_000)
    shown = subprocess.run(
        ["git", "-C", str(hub.path), "verify-commit", commit], capture_output=True, text=True, check=True
    )
    assert "developer@agents.example.org" in shown.stderr
    moved = crew.identity("developer", home=tmp_path, domain="elsewhere.example.org")
    assert moved.public == developer.public
    assert hub.verify(commit, signers=crew.signers(tmp_path))
    assert len(crew.signers(tmp_path).read_text().splitlines()) == 3


def test_processes_that_ask_at_once_get_one_key(tmp_path: Path, python: Python) -> None:
    program = (
        "import sys; from pathlib import Path; from nightmill import crew\n"
        "sys.stdin.readline()\n"
        "print(crew.identity('developer', home=Path(sys.argv[1]), domain='example.org').public)\n"
    )
    asking = [python(program, tmp_path) for _ in range(4)]
    answers = {process.communicate("go\n")[0] for process in asking}
    assert len(answers) == 1
    assert "ssh-ed25519" in answers.pop()
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == [".lock", "allowed_signers", "developer"]
    assert len(crew.signers(tmp_path).read_text().splitlines()) == 1


def test_what_cannot_be_an_address_or_a_key_is_a_setting_to_change(tmp_path: Path) -> None:
    for role in ("", "../x", "A", "a b", "a\n", "-a"):
        with pytest.raises(SettingsError, match="name of a role"):
            crew.identity(role, home=tmp_path, domain="example.org")
    for domain in ("", "a b", "x>", "a\n", "-a", "a..b"):
        with pytest.raises(SettingsError, match="identity_domain"):
            crew.identity("developer", home=tmp_path, domain=domain)
    with pytest.raises(SettingsError, match="no ssh-keygen") as refused:
        crew.identity("developer", home=tmp_path, domain="example.org", program=str(tmp_path / "none"))
    assert "openssh" in refused.value.hint
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="fails"):
        crew.identity("developer", home=tmp_path / "file", domain="example.org")
