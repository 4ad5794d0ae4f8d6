"""What is asked of an identity provider goes to it alone, is bounded, and is believed only from who proves its name."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nightmill.sandbox.network.authority import Authority
from nightmill.server.identity.flow import Flow
from nightmill.server.identity.line import MOST, Line
from nightmill.server.problem import Refused

SAID: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "/good": (200, b'{"a": 1}', {}),
    "/away": (302, b"{}", {"Location": "/good"}),
    "/much": (200, b'{"a": "' + b"x" * MOST + b'"}', {}),
    "/list": (200, b"[]", {}),
    "/deep": (200, b"[" * 100_000, {}),
}


@contextmanager
def provider(*, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Where somebody answers as `SAID` has it."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, headers = SAID[self.path]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"{'https' if tls else 'http'}://localhost:{server.server_port}"
        server.shutdown()


def test_nothing_is_followed_that_leads_elsewhere_and_nothing_read_without_end() -> None:
    with provider() as at:
        assert Line().json(f"{at}/good") == {"a": 1}
        wrong = {"away": "answers with 302", "much": "says more than 1 MB", "list": "no object", "deep": "no JSON"}
        for path, why in wrong.items():
            with pytest.raises(Refused, match=why):
                Line().json(f"{at}/{path}")


def test_a_provider_proves_its_name(tmp_path: Path) -> None:
    ours, strange = Authority(now=time.time), Authority(now=time.time)
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(ours.certificate)

    with provider(tls=ours.context("localhost")) as at:
        assert Line(trusted).json(f"{at}/good") == {"a": 1}
    for context in (strange.context("localhost"), ours.context("another.example")):
        with provider(tls=context) as at, pytest.raises(Refused, match="does not answer"):
            Line(trusted).json(f"{at}/good")


def test_what_the_browser_carries_says_nothing_of_what_it_must_not() -> None:
    flow, other = Flow("secret"), Flow("another")

    made = {flow.secret, flow.state, flow.nonce, flow.verifier, other.state, other.nonce, other.verifier}
    assert len(made) == 7
    assert min(len(flow.state), len(flow.nonce), len(flow.verifier)) == 43, "RFC 7636 wants 43 signs at least"
    assert (flow.began(flow.state), flow.began(other.state), flow.began("")) == (True, False, False)
