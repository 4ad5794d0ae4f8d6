"""Heads of HTTP/1.1 messages: read in one way or refused, and written anew. No connection is made here.

What a proxy and the server behind it read differently is how requests are smuggled, so whatever could be read in two
ways is read in none.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["ALL", "CHUNKED", "Answer", "Target", "answer_size", "body_size", "read_answer", "read_inner", "read_target"]

NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,62}(\.[a-z0-9_][a-z0-9_-]{0,62})*", re.ASCII)
METHOD = re.compile(r"[A-Z]{1,20}", re.ASCII)
PATH = re.compile(r"/[\x21-\x7e]*", re.ASCII)
PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
LONGEST_NAME = 253

TOKEN = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")
"""A header's name in lower case."""

STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [\x20-\x7e\x80-\xff\t]*)?")

ALL, CHUNKED = -1, -2
"""Instead of a body's size: everything until the end, or as it says itself, piece by piece."""

DROPPED = frozenset({b"host", b"connection", b"keep-alive", b"upgrade", b"te", b"trailer", b"expect"})
"""Headers of one connection, not of the request; without `upgrade` nothing but HTTP can be spoken afterwards."""

DEFAULT_PORTS = {"http": 80, "https": 443}
BODILESS = {204, 304}
INTERIM = 200


class Target(NamedTuple):
    """Where a request wants to go; *path* is "" if a tunnel is asked for."""

    host: str
    port: int
    method: str
    path: str
    scheme: str = "http"

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port: what `Host` must say."""
        return self.host if self.port == DEFAULT_PORTS[self.scheme] else f"{self.host}:{self.port}"


def read_target(request: bytes) -> Target | None:
    """What the first line of a request to the proxy asks for, None if it is no HTTP/1.x request for one name."""
    parts = _first(request)
    if parts is None:
        return None
    method, authority = parts
    path, port = "", "443"
    if method != "CONNECT":
        scheme, authority, path = _split(authority)
        port = "80"
        if scheme != "http" or not PATH.fullmatch(path):
            return None
    host, colon, given = authority.partition(":")
    host, port = host.lower().rstrip("."), given if colon else port
    if len(host) > LONGEST_NAME or not NAME.fullmatch(host) or not PORT.fullmatch(port):
        return None
    return Target(host=host, port=int(port), method=method, path=path)


def read_inner(request: bytes, headers: list[bytes], *, tunnel: Target) -> Target | None:
    """What a request inside an opened *tunnel* asks for; None if it is not for the tunnel's own host, and said so once."""
    parts = _first(request)
    if parts is None or parts[0] == "CONNECT" or not PATH.fullmatch(parts[1]):
        return None
    found = tunnel._replace(method=parts[0], path=parts[1], scheme="https")
    hosts = [value.decode("latin-1").lower() for name, value in named(headers) if name == b"host"]
    spelled = {found.authority, f"{found.host}:{found.port}"}
    return found if len(hosts) == 1 and hosts[0] in spelled else None


def named(headers: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Names in lower case, and values."""
    parts = (line.partition(b":") for line in headers)
    return [(name.lower(), value.strip()) for name, _, value in parts]


def body_size(headers: list[bytes]) -> int | None:
    """Bytes of the body, `CHUNKED`, or None if the head could be read in two ways."""
    if any(b"\n" in line or b"\r" in line or b"\0" in line or b":" not in line for line in headers):
        return None
    known = named(headers)
    if not all(TOKEN.fullmatch(name) for name, _ in known):
        return None
    lengths = [value for name, value in known if name == b"content-length"]
    codings = [value.lower() for name, value in known if name == b"transfer-encoding"]
    if codings:
        return CHUNKED if codings == [b"chunked"] and not lengths else None
    if not lengths:
        return 0
    return int(lengths[0]) if len(lengths) == 1 and lengths[0].isdigit() and len(lengths[0]) < 16 else None


def rewritten(target: Target, headers: list[bytes], *, dropped: frozenset[bytes], added: list[bytes]) -> bytes:
    """The head of a request as it goes out: our own Host, no proxy's header, one request per connection."""
    kept = [
        line
        for line in headers
        if (name := line.partition(b":")[0].lower()) not in DROPPED | dropped and not name.startswith(b"proxy-")
    ]
    first = f"{target.method} {target.path} HTTP/1.1\r\nHost: {target.authority}\r\nConnection: close"
    return b"\r\n".join([first.encode(), *kept, *added, b"", b""])


class Answer(NamedTuple):
    """The head of an answer, ready to be passed on."""

    status: int
    head: bytes
    size: int

    @property
    def interim(self) -> bool:
        """Whether another answer follows."""
        return self.status < INTERIM


def read_answer(head: bytes, *, method: str) -> Answer | None:
    """An answer's head as it goes in: whatever it says of the connection, it is the only one. None: it is no answer."""
    first, *headers = head[:-4].split(b"\r\n")
    status = STATUS.fullmatch(first)
    if status is None or any(b"\n" in line or b"\r" in line or b":" not in line for line in headers):
        return None
    number = int(status[1])
    kept = [line for line in headers if line.partition(b":")[0].strip().lower() not in {b"connection", b"keep-alive"}]
    closing = [b"Connection: close"] if number >= INTERIM else []
    size = 0 if method == "HEAD" or number in BODILESS else answer_size(headers)
    return Answer(status=number, head=b"\r\n".join([first, *kept, *closing, b"", b""]), size=size)


def answer_size(headers: list[bytes]) -> int:
    """Bytes of an answer's body; `ALL` if only its end tells. Read in two ways it harms nobody: nothing follows it."""
    size = body_size(headers)
    lengthy = any(name == b"content-length" for name, _ in named(headers))
    return size if size is not None and size >= 0 and lengthy else ALL


def _first(request: bytes) -> tuple[str, str] | None:
    parts = request.decode("latin-1").split(" ")
    if len(parts) != 3 or not METHOD.fullmatch(parts[0]) or parts[2] not in {"HTTP/1.0", "HTTP/1.1"}:
        return None
    return parts[0], parts[1]


def _split(url: str) -> tuple[str, str, str]:
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    return scheme.lower(), authority, f"/{path}"
