"""A git server over TLS on loopback that lets nobody in who does not bring the password."""

from __future__ import annotations

import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["serving"]


@contextmanager
def serving(root: Path, *, authorization: str, tls: ssl.SSLContext) -> Iterator[int]:
    """Serve the bare repositories in *root* with git's own program; gives the port."""
    found = subprocess.run(["git", "--exec-path"], check=True, capture_output=True, text=True)
    served = type("Served", (Git,), {"root": root, "authorization": authorization, "folder": found.stdout.strip()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), served)
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Git(BaseHTTPRequestHandler):
    """One request, answered by `git http-backend`."""

    root: Path
    authorization: str
    folder: str

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def log_message(self, *_: object) -> None:
        """Be quiet."""

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", "0")))
        pieces = []
        while size := int(self.rfile.readline().strip(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self, body: bytes) -> None:
        if self.headers.get("authorization") != self.authorization:
            self._say(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
            return
        url = urlsplit(self.path)
        environment = {
            "PATH": os.defpath,
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": "agent",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "CONTENT_TYPE": self.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
        }
        program = [f"{self.folder}/git-http-backend"]
        said = subprocess.run(program, input=body, env=environment, capture_output=True, check=True).stdout
        head, _, rest = said.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self._say(int(lines.pop("Status", "200").split()[0]), lines, rest)

    def _say(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
