"""What the operator set up reaches sandboxes, and what they ask the network for reaches the ledger."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from nightmill import event
from nightmill.cli.door import Door
from nightmill.cli.site import make_site
from nightmill.errors import SettingsError
from nightmill.estate import Environment, Project, identify
from nightmill.estate.environment import connected
from nightmill.estate.registry import Reach
from nightmill.sandbox import Command, Place
from nightmill.settings import Settings

SECRET = "s3cret-of-the-operator"

ASK = r"""
for each in 1 2 3; do curl -s -o /dev/null http://secret.example/path?query=hidden; done
python3 -c '
import socket
for number in range(50):
    near = socket.socket(socket.AF_UNIX)
    near.connect("/run/nightmill/egress.sock")
    near.sendall(b"CONNECT n%d.evil.example:443 HTTP/1.1\r\n\r\n" % number)
    near.recv(100)
    near.close()
'
env | grep TOKEN
"""


def test_requests_are_told_to_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "credentials.yaml").write_text(
        f"- {{name: own, host: secret.example, variable: TOKEN, projects: [{tmp_path}], from: 'env:SECRET'}}\n"
    )
    (tmp_path / "credentials.yaml").chmod(0o600)
    monkeypatch.setenv("NIGHTMILL_SETTINGS", str(tmp_path / "settings.yaml"))
    monkeypatch.setenv("SECRET", SECRET)
    door = Door(Settings(home=tmp_path / "home", allow_hosts=("secret.example",), upload_megabytes=1))
    told: list[event.Event] = []
    project = Project(id=identify(tmp_path), root=tmp_path, language="other", environment=Environment(), checks=())

    async def whole() -> str:
        site = replace(make_site(door, emit=told.append), run="run-1")
        (tmp_path / "run").mkdir()
        place = Place(directory=tmp_path / "run", layers=())
        where = connected(place, Reach(hosts=("secret.example",)), project=project, site=site)
        sandbox = await site.sandboxes.open(where)
        try:
            return (await sandbox.run(Command(argv=("bash", "-c", ASK), cwd="/work"))).text
        finally:
            await sandbox.close()

    assert asyncio.run(whole()) == "TOKEN=nightmill-placeholder-own\n"
    made = [each for each in told if isinstance(each, event.RequestMade)]
    assert sum(each.count for each in made) == 53
    assert {each.run for each in made} == {"run-1"}
    assert [(each.path, each.reason) for each in made[:3]] == [("/path", "address")] * 3
    assert {each.reason for each in made[3:]} == {"not allowed"}
    assert not [each for each in made if SECRET in repr(each) or "hidden" in repr(each)]
    for each in made:
        assert event.from_plain(name=each.name, run=each.run, body=each.to_plain()) == each


def test_a_file_of_authorities_that_cannot_be_used_is_the_operators_to_mend(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    for path in (wrong, tmp_path / "absent.pem", tmp_path):
        with pytest.raises(SettingsError, match="cannot be used"):
            make_site(Door(Settings(home=tmp_path, authorities=path)))
