"""Every command of the program through a server: it asks there, or says why it does not. A new one has to be put in its place."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts import reference
from tests import whole
from tests.cli.conftest import Here
from tests.whole import Mill

PROBLEM = {"type": "about:blank", "title": "x", "status": 403, "detail": "asked in vain", "hint": "", "errors": []}

THERE = {
    "answer": "rone yes",
    "approve": "rone",
    "ask": "mend-it --yes",
    "blueprint approve": "own --digest 0",
    "blueprint diff": "own",
    "blueprint draw": "own",
    "blueprint explain": "own",
    "blueprint list": "",
    "blueprint revoke": "own",
    "blueprint show": "own",
    "budget": "",
    "cancel": "rone",
    "compare": "rone rtwo",
    "crew": "",
    "ledger export": "",
    "ledger seal": "",
    "ledger search": "",
    "ledger verify": "",
    "log": "rone",
    "notes forget": "--all",
    "notes list": "",
    "pause": "rone",
    "person grant": "a@x.org viewer",
    "person invite": "a@x.org viewer",
    "person list": "",
    "person remove": "a@x.org",
    "plan": "rone",
    "policy": "",
    "pr approve": "1",
    "pr back": "1 --because no",
    "pr merge": "1",
    "pr show": "1",
    "prs": "",
    "refuse": "rone --because no",
    "requests": "rone",
    "resume": "rone",
    "rewind": "rone --to 1",
    "run": "SPEC.md",
    "runs": "",
    "say": "rone word",
    "secret list": "",
    "secret remove": "NAME",
    "secret set": "NAME",
    "show": "rone",
    "task drop": "rone-rest --because no",
    "task list": "",
    "task show": "rone-rest",
    "task start": "rone-rest",
    "token list": "",
    "token make": "a@x.org laptop",
    "token revoke": "a@x.org laptop",
    "waiting": "",
    "webhook add": "https://x.example",
    "webhook dead": "",
    "webhook deliveries": "hone",
    "webhook hear": "",
    "webhook list": "",
    "webhook pause": "hone",
    "webhook person": "shop octocat a@x.org",
    "webhook remove": "hone",
    "webhook resend": "hone 1",
    "webhook resume": "hone",
    "webhook rotate": "hone",
    "webhook test": "hone",
}
"""What asks the server, each with a line that can be read."""

REFUSED = {
    "acp": "",  # it speaks for whoever is at the store, with the rights of its home
    "backup": "x.tar",  # the files of the store
    "distil": "developer",  # reads all records, and tries what it makes in sandboxes here
    "doctor": "",  # what this machine can do
    "env explain": "",  # the environments are built where the sandboxes are
    "env verify": "",
    "init": "",  # a checkout here for the store here
    "ledger forget": "--before 2020-01-01",  # what is destroyed for good is destroyed by who has the machine
    "mcp": "",  # a server has /mcp
    "pr again": "1",  # checks run in a sandbox here
    "restore": "x.tar",
    "sandbox diff": "rone rtwo",  # the sandboxes are where the work is
    "sandbox gc": "",
    "sandbox list": "",
    "sandbox shell": "rone",
    "secret rotate": "",  # the key is where the secrets are
}
"""What works on the store itself, and says so."""

NEVER = {"serve": "--port 0", "worker": "--until-idle 0"}
"""What is about the store here, whatever the settings name; so only `--server` itself is refused."""

HERE = {
    "blueprint check": "own",
    "blueprint test": "own",
    "env lock": "",
    "settings": "",
    "spec check": "SPEC.md",
}
"""What is about this folder and needs no store."""

ALONE = {"demo", "attach"}
"""The one has a store of its own in its folder; the other needs a terminal, and has tests of its own at a server."""


class Deaf:
    """A server that refuses whatever it is asked, and counts that."""

    def __init__(self) -> None:
        self.asked = list[str]()
        answer = self.asked.append

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self.path)
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.dumps(PROBLEM).encode()
                self.send_response(403)
                self.send_header("Content-Type", "application/problem+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - as the library names them

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def deaf(mill: Mill, here: Here, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deaf]:
    """It, and a checkout here with a home in which nothing is."""
    root = whole.repository(mill.folder / "calc")
    (root / "SPEC.md").write_text(whole.SPEC.format(title=""))
    own = root / ".nightmill/blueprints/own.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("name: own\ntitle: Own\nsteps:\n- {id: p, check: all}\n")
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "stdin", io.StringIO("a-secret-of-some-length"))
    made = Deaf()
    with made.server:
        threading.Thread(target=made.server.serve_forever, daemon=True).start()
        yield made
        made.server.shutdown()
    home = Path(os.environ["NIGHTMILL_HOME"])  # noqa: TID251 - the door of the tests
    assert not (home / "nightmill.db").exists(), "a store was made here"


def test_every_command_has_its_place() -> None:
    every = {
        name.removeprefix("nightmill ") for name, each in reference.commands().items() if not hasattr(each, "commands")
    }
    places = [*THERE, *REFUSED, *NEVER, *HERE, *ALONE]

    assert sorted(places) == sorted(every)


@pytest.mark.parametrize("name", THERE)
def test_a_command_asks_the_server_and_says_what_it_was_told(deaf: Deaf, here: Here, name: str) -> None:
    done = here("--server", deaf.url, *name.split(), *THERE[name].split())

    assert deaf.asked, done.err
    assert (done.code, done.out) == (1, "")
    assert "error: asked in vain" in done.err


@pytest.mark.parametrize("name", [*REFUSED, *NEVER])
def test_a_command_that_works_where_the_store_is_says_so_and_asks_nobody(deaf: Deaf, here: Here, name: str) -> None:
    done = here("--server", deaf.url, *name.split(), *{**REFUSED, **NEVER}[name].split())

    said = "never about the server" if name in NEVER else "not through the server"
    assert (done.code, done.out, deaf.asked) == (1, "", []), done.err
    assert f"{said} {deaf.url!r}\nhint: " in done.err


@pytest.mark.parametrize("name", HERE)
def test_a_command_about_what_lies_here_does_it_whatever_server_is_set(deaf: Deaf, here: Here, name: str) -> None:
    args = (*name.split(), *HERE[name].split())
    afar, near = here("--server", deaf.url, *args), here(*args)

    assert deaf.asked == []
    assert (afar.code, afar.err) == (near.code, near.err)
    assert afar.out.replace(deaf.url, "") == near.out or name == "settings"
