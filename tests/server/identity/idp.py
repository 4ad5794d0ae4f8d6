"""A real identity provider on this machine (oidc-provider from npm), somebody in between who may lie, and a browser to sign in with."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest
from joserfc.jwk import RSAKey

from nightmill.server.identity.config import Config
from nightmill.server.identity.line import Line
from nightmill.server.identity.provider import Provider
from tests.server.conftest import ROOT, House, role

__all__ = ["KEY", "Between", "arrive", "believed", "invited", "key", "running", "signs_in"]

HERE = Path(__file__).parent / "provider"
ENVIRONMENT = Path(sys.prefix)
NODE = 20

CLIENTS = {"mill": "mills-secret", "other": "others-secret"}
PEOPLE: dict[str, dict[str, Any]] = {
    "u-ada": {"email": "ada@example.org", "email_verified": True, "name": "Ada Example", "groups": ["mill", "staff"]},
    "u-eve": {"email": "ada@example.org", "email_verified": False, "name": "Eve"},
    "u-new": {"email": "ada@example.org", "email_verified": True, "name": "Another Ada"},
}

Lie = Callable[[dict[str, Any]], dict[str, Any]]


def key(name: str) -> dict[str, Any]:
    """A private key that is called *name*."""
    made = RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"}, private=True)
    return dict(made.as_dict(private=True))


KEY = key("first")


def installed() -> Path:
    """The folder with the provider, fetched once for this environment as its lock has it."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if not npm or not node:
        pytest.skip("this machine lacks npm")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < NODE:
        pytest.skip(f"the provider needs Node {NODE}, and this machine has {version.strip()}")
    whole = b"".join(each.read_bytes() for each in sorted(HERE.iterdir()))
    place = ENVIRONMENT / f"provider-{hashlib.sha256(whole).hexdigest()[:16]}"
    with (ENVIRONMENT / "provider.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not place.exists():
            new = place.with_suffix(".new")
            shutil.rmtree(new, ignore_errors=True)
            shutil.copytree(HERE, new)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=new, capture_output=True, text=True, timeout=200, check=False)
            if done.returncode:
                pytest.skip(f"npm brings no provider: {done.stderr[-200:]}")
            new.rename(place)
    return place


@dataclass
class Between:
    """Who stands between a server and the provider, at its address: hands everything on, and lies where a test has it lie.

    *lies*: by the last part of a path, what is made of the JSON object that stands there.
    """

    port: int
    behind: int
    lies: dict[str, Lie] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def hand_on(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, list[Any], bytes]:
        """(status, headers, body) of the provider."""
        self.asked.append(path)
        line = http.client.HTTPConnection("127.0.0.1", self.behind, timeout=60)
        try:
            line.request(method, path, body, headers)
            answer = line.getresponse()
            said, named = answer.read(), [each for each in answer.getheaders() if each[0].lower() not in DROPPED]
        finally:
            line.close()
        if lie := self.lies.get(urlsplit(path).path.rpartition("/")[2]):
            said = json.dumps(lie(json.loads(said))).encode()
        return answer.status, named, said


DROPPED = {"content-length", "transfer-encoding", "connection", "keep-alive"}


@contextmanager
def running(
    folder: Path, *, keys: list[dict[str, Any]], back: str, port: int = 0, token: bool = False
) -> Iterator[Between]:
    """A provider with *keys*, and who stands before it; *port*: where somebody stood before.

    *back*: where it sends browsers back to. *token*: its tokens say all that it knows of people, and not only who they are.
    """
    place = installed()
    with socket.create_server(("127.0.0.1", 0)) as found:
        behind = found.getsockname()[1]
    server = ThreadingHTTPServer(("127.0.0.1", port), handler(made := Between(port, behind)))
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    told = folder / f"provider-{behind}.json"
    told.write_text(json.dumps({"clients": clients(back), "people": PEOPLE, "keys": keys, "token": token}))
    command = [shutil.which("node") or "node", "provider.mjs", made.issuer, str(behind), str(told)]
    with (folder / "provider.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        while (line := process.stdout.readline().strip()) != b"ready":
            assert line or process.poll() is None, (folder / "provider.log").read_text()
        yield made
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
        server.shutdown()
        server.server_close()
        thread.join()


def clients(back: str) -> list[dict[str, Any]]:
    return [
        {"client_id": name, "client_secret": secret, "redirect_uris": [back],
         "post_logout_redirect_uris": [back.replace("/sign-in/back", "/sign-in")]}
        for name, secret in CLIENTS.items()
    ]  # fmt: skip


def handler(made: Between) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            status, headers, said = made.hand_on(self.command, self.path, dict(self.headers), self.rfile.read(size))
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_POST = do_GET  # noqa: N815 - as the library calls it

        def log_message(self, *_: Any) -> None: ...

    return Handler


def believed(house: House, between: Between, *, client: str = "mill", **more: Any) -> Provider:
    """Have *house* believe the provider."""
    named = {"issuer": between.issuer, "client": client, "name": "Example", "secret": CLIENTS[client]}
    config = Config(**{**named, **more})
    made = Provider(config, back=f"{house.url}/sign-in/back", line=Line(), clock=house.clock)
    house.site.provider = made
    return made


def arrive(browser: httpx2.Client, address: str, login: str) -> str:
    """Sign in as *login* at the provider to which *address* leads; where it sends the browser back to."""
    answer = browser.get(address)
    for _ in range(20):
        if answer.is_redirect:
            to = urljoin(str(answer.url), answer.headers["location"])
            if urlsplit(to).path == "/sign-in/back":
                return to
            answer = browser.get(to)
            continue
        assert answer.status_code == 200, answer.text
        (form,) = re.findall(r'<form[^>]* action="([^"]+)"', answer.text)
        prompt = "login" if 'value="login"' in answer.text else "consent"
        said = {"prompt": prompt, "login": login, "password": "any"}
        answer = browser.post(urljoin(str(answer.url), form), data=said)
    raise AssertionError("it leads nowhere")


def signs_in(house: House, login: str, *, to: str = "/", browser: httpx2.Client | None = None) -> httpx2.Response:
    """What the server says to *login*, who comes back from the provider in *browser*."""
    own = httpx2.Client(timeout=60) if browser is None else browser
    back = arrive(own, f"{house.url}/sign-in/with?next={to}", login)
    answer = own.get(back)
    if browser is None:
        own.close()
    return answer


def invited(house: House, address: str = "ada@example.org", *grants: Any) -> str:
    return house.site.people.invite(address, grants=grants or (role("viewer"),), by=ROOT)
