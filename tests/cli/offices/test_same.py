"""The commands that administer say and do the same on the store and through a server, and secrets are shown once."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from nightmill.access import ACTS
from nightmill.told import Delivery
from tests.cli.conftest import HOSTILE, Here, typed
from tests.cli.offices.conftest import SECRET, SHOP
from tests.server.conftest import House
from tests.server.test_serve import served

VARIES = [
    (r"nm_token_[\w-]+|whsec_[\w+/=-]+|nm_invitation_[\w-]+", "SECRET"),
    (r"\bh[0-9a-f]{10}\b", "HOOK"),
    (r"\b\d\d:\d\d:\d\d\b|\b\d{4}-\d\d-\d\d \d\d:\d\d\b|\b\d{10}\.\d+", "TIME"),
    (r'"seq": \d+', '"seq": N'),  # of the entry before: to let people in is told as well
]
"""What is another thing each time: what it is called in what is compared."""


def plain(text: str) -> str:
    for pattern, name in VARIES:
        text = re.sub(pattern, name, text)
    return text


COMMANDS: list[tuple[str, str]] = [
    ("person list", ""),
    ("person list --json", ""),
    ("person invite carol@example.org operator approver@SHOP", ""),
    ("person list", ""),
    ("person grant carol@example.org viewer none@SHOP", ""),
    ("person grant carol@example.org viewer@SHPO", ""),
    ("person invite dan@example.org viewer@SHPO", ""),
    ("person list --json", ""),
    ("person remove carol@example.org", ""),
    ("person remove carol@example.org", ""),
    ("person invite carol operator", ""),
    ("person invite carol@example.org owner", ""),
    ("person grant bob@example.org operator@SHOP approver@SHOP viewer", ""),
    ("person grant bob@example.org none@SHOP none", ""),
    ("person grant nobody@example.org viewer", ""),
    ("person grant ada@example.org none", ""),
    ("person grant bob@example.org owner", ""),
    ("person list --json", ""),
    ("token make ada@example.org ci/deploy --scope view --scope operate --days 30", ""),
    ("token make ada@example.org ci/deploy", ""),
    ("token make ada@example.org late --days 20", ""),
    ("token make ada@example.org wide --scope all", ""),
    ("token make ada@example.org bad\x1b[2Jname", ""),
    ("token revoke ada@example.org ci/deploy", ""),
    ("token revoke ada@example.org ci/deploy", ""),
    ("token revoke ada@example.org ../late", ""),
    ("token revoke bob@example.org late", ""),
    ("token revoke ada@example.org late", ""),
    ("secret list", ""),
    ("secret set FORGE", f"{SECRET}\n"),
    ("secret set FORGE", "short\n"),
    ("secret set FORGE", ""),
    ("secret set webhook.h1", SECRET),
    ("secret set a/b", SECRET),
    ("secret set LAB --project SHOP", SECRET),
    ("secret set FORGE --project barn", SECRET),
    ("secret set LAB --project barn", SECRET),
    ("secret list", ""),
    ("secret list --json", ""),
    ("secret list --project SHOP --json", ""),
    ("secret list --project SHOP", ""),
    ("secret set LAB", SECRET),
    ("secret remove LAB --project SHOP", ""),
    ("secret remove LAB --project SHOP", ""),
    ("secret set SPARE", SECRET),
    ("secret remove SPARE", ""),
    ("secret remove SPARE", ""),
    ("webhook list", ""),
    ("webhook list --json", ""),
    ("webhook dead", ""),
    ("webhook add http://localhost:9/in --events run_done,run_stopped --project SHOP", ""),
    ("webhook add localhost", ""),
    ("webhook add http://10.0.0.1/", ""),
    ("webhook add http://localhost:9/ --events run_don", ""),
    ("webhook add http://localhost:9/ --project barns", ""),
    ("webhook list", ""),
    ("webhook list --json", ""),
    ("webhook test HOOK", ""),
    ("webhook deliveries HOOK", ""),
    ("webhook pause HOOK", ""),
    ("webhook list --json", ""),
    ("webhook pause HOOK", ""),
    ("webhook resume HOOK", ""),
    ("webhook rotate HOOK", ""),
    ("webhook rotate HOOK --at-once", ""),
    ("webhook resend HOOK", ""),
    ("webhook resend HOOK 7", ""),
    ("webhook dead HOOK", ""),
    ("webhook dead HOOK --json", ""),
    *[(f"webhook {verb} h/../x", "") for verb in ("pause", "resume", "test", "deliveries", "dead", "resend")],
    *[(f"webhook {verb} none", "") for verb in ("rotate", "remove")],
    ("webhook hear", ""),
    ("webhook hear SHOP", ""),
    ("webhook hear", ""),
    ("webhook hear SHOP --stop", ""),
    ("webhook hear SHOP --stop", ""),
    ("webhook person SHOP octo/cat bob@example.org", ""),
    ("webhook person SHOP octocat", ""),
    ("webhook person SHOP octocat nobody@example.org", ""),
    ("webhook remove HOOK", ""),
    ("webhook remove HOOK", ""),
    ("webhook list --json", ""),
    ("person remove bob@example.org", ""),
    ("person remove bob@example.org", ""),
    ("person remove ada@example.org", ""),
    ("person list", ""),
]
"""What is typed, and what comes on standard input; HOOK is the one that was added, SHOP a project."""


def test_every_command_says_the_same_here_and_through_a_server(
    near: Here, afar: Here, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = {"near": "", "afar": ""}
    for words, given in COMMANDS:
        said = {}
        for name, run in (("near", near), ("afar", afar)):
            typed(monkeypatch, given)
            done = run(*words.replace("HOOK", hooks[name]).replace("SHOP", SHOP).split(" "))
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", f"{done.out}{done.err}"), words
            hooks[name] = found.group() if (found := re.search(r"\bh[0-9a-f]{10}\b", done.err)) else hooks[name]
            out, err = (plain(each.replace(house.url, "")) for each in (done.out, done.err))
            said[name] = (done.code, out, err.replace("where browsers find the server, then ", ""))
        assert said["near"] == said["afar"], words
        assert said["near"][1] or said["near"][2], words


def test_the_last_secret_that_a_credential_takes_goes_where_the_credential_can_go(
    near: Here, afar: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in (near, afar):
        typed(monkeypatch, SECRET)
        assert run("secret", "set", "FORGE").code == 0
    here, there = near("secret", "remove", "FORGE"), afar("secret", "remove", "FORGE")

    assert (here.code, there.code) == (0, 1)
    assert "'forge' takes FORGE, and there is no other" in there.err
    assert "take the credential out of credentials.yaml first" in there.err


def test_a_link_to_come_in_is_the_servers_own_and_is_good(afar: Here, house: House) -> None:
    done = afar("person", "invite", "carol@example.org", "viewer")
    refused = afar("person", "invite", "carol@example.org", "viewer", "--origin", "https://evil.example")

    assert done.out.startswith(f"{house.url}/welcome/nm_invitation_")
    assert "carol@example.org" in httpx2.get(done.out.strip(), timeout=60).text
    assert (refused.code, "says itself where browsers find it" in refused.err) == (1, True)


@pytest.mark.parametrize(
    "words",
    [
        "secret set LAB --project ..",
        "secret set ..",
        "person remove ..",
        "token revoke ada@example.org ..",
        "webhook remove .",
    ],
)
def test_what_is_typed_never_leaves_its_place_in_a_path(
    afar: Here, house: House, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    typed(monkeypatch, SECRET)
    before = house.door.ledger.last()
    done = afar(*words.split(" "))

    assert (done.code, "names nothing" in done.err) == (1, True), done.err
    assert house.door.vault.names() == {}
    assert house.door.ledger.last() == before


@pytest.mark.parametrize(
    "words",
    ["person remove \udce9@example.org", "person invite \udce9@example.org viewer", "webhook add https://\udce9/"],
)
def test_what_is_no_text_is_refused_and_no_crash(afar: Here, words: str) -> None:
    done = afar(*words.split(" "))

    assert (done.code, "hint: " in done.err) == (1, True), done.err


def test_what_a_server_says_moves_no_cursor(afar: Here, house: House) -> None:
    hook = house.door.hooks.add("http://localhost:9/", host="localhost", events=(), project="", by=HOSTILE)
    told = Delivery(seq=0, event="test", at=1.0, seconds=0.1, status=500, reason=HOSTILE)
    house.door.hooks.tried(hook.id, told)
    for words in (
        ("webhook", "list", "--json"),
        ("webhook", "deliveries", hook.id),
        ("webhook", "deliveries", hook.id, "--json"),
    ):
        done = afar(*words)
        assert done.code == 0, done.err
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202c\u2028]", f"{done.out}{done.err}"), words
    assert json.loads(done.out)[0]["reason"] == HOSTILE


FORGED: dict[str, Any] = {
    "token make ada@example.org ci": {"name": "ci", "token": HOSTILE, "expires": 1.0, "short": False},
    "person invite ada@example.org viewer": {"address": "x", "link": HOSTILE},
    "person grant ada@example.org viewer": {
        **dict.fromkeys(("address", "name", "way"), HOSTILE),
        **dict.fromkeys(("added", "removed", "invited"), 0.0),
        "grants": [{"role": HOSTILE, "project": HOSTILE}],
    },
    "webhook hear shop": {"address": HOSTILE, "secret": HOSTILE},
    "webhook hear": {"heard": [{"project": HOSTILE, "at": 1.0, "by": HOSTILE}]},
    "webhook rotate h1": {"secret": HOSTILE},
    "token list": {"tokens": HOSTILE},
    "secret list": {"secrets": [{"name": HOSTILE, "at": HOSTILE}]},
}
"""What a server that somebody else has answers."""


@pytest.mark.parametrize("words", FORGED)
@pytest.mark.parametrize("status", [200, 409])
def test_a_server_of_somebody_else_moves_no_cursor_and_forges_no_line(
    here: Here, monkeypatch: pytest.MonkeyPatch, words: str, status: int
) -> None:
    said = FORGED[words] if status == 200 else {"detail": HOSTILE, "hint": HOSTILE, "errors": [HOSTILE]}

    class Forger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(said).encode()
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def do_PUT(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Forger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("NIGHTMILL_SERVER", f"http://127.0.0.1:{server.server_port}")
        done = here(*words.split())
        server.shutdown()

    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202c\u2028]", f"{done.out}{done.err}")
    assert len(done.out.splitlines()) <= 1


def test_a_server_as_it_is_started_keeps_no_secret_that_it_showed(
    tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "served"
    with served(home, NIGHTMILL_PRIVATE_HOSTS="localhost") as (_, at, link):
        with httpx2.Client(base_url=at, headers={"Origin": at}, timeout=60) as client:
            client.post(link, data={"name": "Ada Example", "password": "correct horse battery"})
            first = client.post("/api/v1/tokens", json={"name": "terminal", "scopes": list(ACTS)}).json()["token"]
        monkeypatch.setenv("NIGHTMILL_SERVER", at)
        monkeypatch.setenv("NIGHTMILL_TOKEN", first)
        shown = [
            here("token", "make", "ada@example.org", "ci").out,
            here("person", "invite", "bob@example.org", "viewer").out.rpartition("/")[2],
            here("webhook", "add", "http://localhost:9/").out,
        ]
        hook = json.loads(here("webhook", "list", "--json").out)[0]["id"]
        shown.append(here("webhook", "rotate", hook).out)
        typed(monkeypatch, SECRET)
        said = here("secret", "set", "SPARE")
        listed = here("secret", "list", "--json")
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())

    assert said.code == 0, said.err
    assert "SPARE" in listed.out
    for secret in (*(each.strip() for each in shown), SECRET):
        assert len(secret) > 20
        assert secret.encode() not in kept
