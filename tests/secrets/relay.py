"""A listener between nightmill and a model: it keeps every request as it came, headers and body."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

__all__ = ["Heard", "listening"]

CHUNK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request."""

    headers: dict[str, str]
    body: bytes


@dataclass(slots=True, kw_only=True)
class Heard:
    """What was asked so far, at *url*."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)


@contextmanager
def listening(to: str) -> Iterator[Heard]:
    """Pass everything on to *to*, and remember what was asked."""
    heard = Heard()
    target = urlsplit(to)

    class Relay(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            heard.requests.append(Request(headers=dict(self.headers), body=body))
            connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
            try:
                connection.request("POST", self.path, body, dict(self.headers))
                answer = connection.getresponse()
                self.send_response(answer.status)
                self.send_header("content-type", answer.headers["content-type"])
                self.send_header("connection", "close")
                self.end_headers()
                while chunk := answer.read1(CHUNK):
                    self.wfile.write(chunk)
            finally:
                connection.close()
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    server.daemon_threads = True
    heard.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
