"""`nightmill serve` as somebody starts it: set up by its link, stopped, killed, started anew."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from nightmill.cli.server import _name_unknown
from nightmill.server.process import PatientProtocol
from tests.server.conftest import House, role

AT = re.compile(r"nightmill is at (http://\S+);")
LINK = re.compile(r"(http://\S+/welcome/\S+)")


def outside(home: Path) -> dict[str, str]:
    """The environment of a program with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTMILL_")}  # noqa: TID251 - the door of the tests
    return kept | {"NIGHTMILL_HOME": str(home)}


@contextmanager
def served(home: Path, *words: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """(process, where it is, the link that sets it up or "")."""
    environment = outside(home) | {"NIGHTMILL_PERSON": "Ada Example <ada@example.org>", **variables}
    command = [sys.executable, "-m", "nightmill.cli", "serve", "--port", "0", "--workers", "0", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            at = link = ""
            while not at:
                line = process.stderr.readline()
                assert line, f"it ended with {process.wait()}"
                at = found.group(1) if (found := AT.search(line)) else at
                link = found.group(1) if (found := LINK.search(line)) else link
            yield process, at, link
        finally:
            process.kill()


def test_it_is_set_up_once_by_the_link_that_it_prints_and_knows_people_again(tmp_path: Path) -> None:
    with (
        served(tmp_path) as (process, at, link),
        httpx2.Client(base_url=at, headers={"Origin": at}, timeout=60) as client,
    ):
        assert client.get("/api/v1/me").status_code == 401
        assert "ada@example.org" in client.get(link).text
        assert client.post(link, data={"name": "Ada", "password": "short"}).status_code == 422
        done = client.post(link, data={"name": "Ada Example", "password": "correct horse battery"})
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert client.get("/api/v1/me").json()["grants"] == [{"role": "admin", "project": ""}]
        assert client.post(link, data={"name": "Eve", "password": "correct horse battery"}).status_code == 404
        kept = dict(client.cookies)
        process.kill()
        process.wait()
    with served(tmp_path) as (process, at, link):
        assert link == ""
        with httpx2.Client(base_url=at, headers={"Origin": at}, cookies=kept, timeout=60) as client:
            assert client.get("/api/v1/me").json()["address"] == "ada@example.org"
        with httpx2.Client(base_url=at, headers={"Origin": at}, timeout=60) as client:
            form = {"address": "ada@example.org", "password": "correct horse battery", "next": "/api/v1/me"}
            assert client.post("/sign-in", data=form).headers["location"] == "/api/v1/me"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_without_sign_in_whoever_comes_is_who_started_it(tmp_path: Path) -> None:
    with served(tmp_path, "--no-sign-in") as (_, at, link), httpx2.Client(base_url=at, timeout=60) as client:
        assert link == ""
        found = client.get("/api/v1/me").json()
        assert (found["address"], found["way"]) == ("ada@example.org", "local")
        assert client.post("/api/v1/tokens", json={"name": "x"}).status_code == 403, "another site may still send it"
        here = {"Origin": at}
        for by in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
            assert client.get("/api/v1/me", headers={by: "192.0.2.1"}).status_code == 403, by
            assert client.post("/api/v1/tokens", json={"name": "x"}, headers=here | {by: "1"}).status_code == 403, by
        for name in ("evil.example", f"evil.example:{at.rpartition(':')[2]}"):
            assert client.get("/api/v1/me", headers={"Host": name}).status_code == 421, name
        assert client.get("/api/v1/me").status_code == 200


def test_it_says_that_without_tls_others_read_along(tmp_path: Path) -> None:
    with served(tmp_path, "--origin", "http://mill.example.org") as (process, _, _):
        assert process.stderr is not None
        assert "is without TLS" in process.stderr.readline()


def test_an_identity_provider_is_offered_before_it_is_asked_and_a_wrong_one_refused(tmp_path: Path) -> None:
    named = {"NIGHTMILL_OIDC_ISSUER": "https://login.example.org", "NIGHTMILL_OIDC_NAME": "Example Login"}
    with served(tmp_path, NIGHTMILL_OIDC_CLIENT="mill", **named) as (_, at, _):
        assert "Sign in with Example Login" in httpx2.get(f"{at}/sign-in", timeout=60).text
    with pytest.raises(AssertionError, match="it ended with 1"), served(tmp_path, **named):
        pass


def test_a_rule_of_groups_about_a_project_that_is_not_there_is_said_when_it_starts(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.let_in("ada@example.org", role("viewer", "shop"))

    _name_unknown(house.door, {"", "shop", "shpo"})

    assert capsys.readouterr().err == "! oidc_roles gives roles in 'shpo', and there is no such project\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "0.0.0.0"), "has to be said where browsers find the server"),
        (("--host", "0.0.0.0", "--origin", "https://x.example", "--no-sign-in"), "listens on this machine only"),
        (("--origin", "https://x.example", "--no-sign-in"), "would be you"),
        (("--origin", "https://x.example/path"), "is no origin"),
        (("--origin", "ftp://x.example"), "is no origin"),
    ],
)
def test_what_would_open_it_to_more_than_is_meant_is_refused(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    command = [sys.executable, "-m", "nightmill.cli", "serve", "--port", "0", "--workers", "0", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=outside(tmp_path), timeout=120, check=False)

    assert done.returncode == 1
    assert said in done.stderr


def test_no_answer_waits_for_its_head_to_be_acknowledged(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    made, at_once = PatientProtocol.connection_made, list[int]()

    def connected(self: PatientProtocol, transport: Any) -> None:
        made(self, transport)
        at_once.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(PatientProtocol, "connection_made", connected)
    with house.nobody() as client:
        assert client.get("/api/v1/health").status_code == 200
    assert at_once == [1]
