"""The only way out of a sandbox: an HTTP proxy on a unix socket that lets allowed names through, and nothing else.

It lives on the host. Names are resolved here and nowhere else, the address that was checked is the one that is
connected to, and `Host` is written anew, so an allowed name cannot stand for another (fronting, rebinding).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from pathlib import Path

from nightmill.errors import SandboxError
from nightmill.sandbox.reach import Network, Target, addresses, allowed, read_target

__all__ = ["Egress"]

HEAD_SECONDS, CONNECT_SECONDS, IDLE_SECONDS = 15.0, 20.0, 300.0
HEAD_MOST, PIECE, CONNECTIONS = 1 << 15, 1 << 16, 64
HTTP_PORT = 80

ALL, CHUNKED = -1, -2
"""Instead of a body's size: everything until the end, or as it says itself, piece by piece."""

DROPPED = frozenset({b"host", b"connection", b"keep-alive", b"upgrade", b"te", b"trailer", b"expect"})

TOKEN = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")
"""A header's name in lower case."""

SIZE = re.compile(rb"([0-9a-fA-F]{1,8})(;[^\r\n]*)?\r\n")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Egress:
    """The proxy of one sandbox."""

    def __init__(self, path: Path, *, hosts: tuple[str, ...], network: Network) -> None:
        """Listen on the unix socket *path* and let *hosts* through, each "host" or "*.host"."""
        self.path, self.hosts, self.network = path, hosts, network
        self.tasks: set[asyncio.Task[None]] = set()
        self.server: asyncio.AbstractServer | None = None

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            SandboxError: If the socket cannot be made.
        """
        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            self.path.unlink(missing_ok=True)
            self.server = await asyncio.start_unix_server(self._accept, sock=_bound(self.path), limit=HEAD_MOST)
        except OSError as error:
            raise SandboxError(f"the proxy cannot listen on {str(self.path)!r}: {error}") from error

    async def close(self) -> None:
        """Stop listening and cut every connection. Safe to repeat."""
        if self.server:
            self.server.close()
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks)
        self.path.unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self.tasks) >= CONNECTIONS:
            writer.transport.abort()
            return
        self.tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the connection is closed; there is nobody to tell
        finally:
            self.tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        request, *headers = head[:-4].split(b"\r\n")
        target, size = read_target(request), body_size(headers)
        if target is None or size is None:
            await _refuse(writer, "400 Bad Request", "the proxy does not understand the request")
            return
        found: list[str] = []
        if allowed(target.host, self.hosts) and self._port(target):
            async with asyncio.timeout(CONNECT_SECONDS):
                found = await addresses(target, self.network)
        self.network.on_request(target.host, target.port, bool(found))
        if not found:
            await _refuse(writer, "403 Forbidden", f"{target.host}:{target.port} may not be reached from here")
            return
        far = await _dial(found, target.port)
        if far is None:
            await _refuse(writer, "502 Bad Gateway", f"{target.host}:{target.port} does not answer")
            return
        try:
            if target.method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                size = ALL
            else:
                far[1].write(rewritten(target, headers))
            await _carry((reader, writer), far, size)
        finally:
            far[1].close()

    def _port(self, target: Target) -> bool:
        """Whether its port may be reached. A tunnel to the plain port would go round the rewriting of `Host`."""
        return target.port in self.network.ports and (target.method, target.port) != ("CONNECT", HTTP_PORT)


def _bound(path: Path) -> socket.socket:
    """A unix socket at *path*, which may be longer than the 107 bytes that the kernel takes: bound by its folder."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(f"/proc/self/fd/{folder}/{path.name}")
        path.chmod(0o600)
    except OSError:
        bound.close()
        raise
    finally:
        os.close(folder)
    return bound


def body_size(headers: list[bytes]) -> int | None:
    """Bytes of the body, `CHUNKED`, or None if the head could be read in two ways."""
    if any(b"\n" in line or b"\r" in line or b"\0" in line or b":" not in line for line in headers):
        return None
    named = [(line.partition(b":")[0].lower(), line.partition(b":")[2].strip()) for line in headers]
    if not all(TOKEN.fullmatch(name) for name, _ in named):
        return None
    lengths = [value for name, value in named if name == b"content-length"]
    codings = [value.lower() for name, value in named if name == b"transfer-encoding"]
    if codings:
        return CHUNKED if codings == [b"chunked"] and not lengths else None
    if not lengths:
        return 0
    return int(lengths[0]) if len(lengths) == 1 and lengths[0].isdigit() and len(lengths[0]) < 16 else None  # noqa: PLR2004


def rewritten(target: Target, headers: list[bytes]) -> bytes:
    """The head of a plain request as it goes out: our own Host, no proxy's header, one request per connection."""
    kept = [
        line
        for line in headers
        if (name := line.partition(b":")[0].lower()) not in DROPPED and not name.startswith(b"proxy-")
    ]
    host = target.host if target.port == HTTP_PORT else f"{target.host}:{target.port}"
    first = f"{target.method} {target.path} HTTP/1.1\r\nHost: {host}\r\nConnection: close"
    return b"\r\n".join([first.encode(), *kept, b"", b""])


async def _dial(found: list[str], port: int) -> Streams | None:
    """Connect to the first address that answers: addresses, not a name, so nothing is looked up again."""
    for address in found:
        with contextlib.suppress(OSError):
            async with asyncio.timeout(CONNECT_SECONDS):
                return await asyncio.open_connection(address, port, limit=PIECE)
    return None


async def _carry(near: Streams, far: Streams, size: int) -> None:
    """Copy *size* bytes up and everything down, until the answer has ended or nothing moves any more."""
    moved = [0.0]
    upwards = _pump_chunks(near[0], far[1], moved) if size == CHUNKED else _pump(near[0], far[1], moved, size)
    up = asyncio.create_task(upwards)
    down = asyncio.create_task(_pump(far[0], near[1], moved, ALL))
    try:
        await asyncio.wait({down})
    finally:
        up.cancel()  # what the sandbox might still send concerns nobody
        down.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, moved: list[float], left: int) -> None:
    clock = asyncio.get_running_loop().time
    while left:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                piece = await reader.read(PIECE if left < 0 else min(left, PIECE))
        except TimeoutError:
            if clock() - moved[0] < IDLE_SECONDS:
                continue  # the other direction is busy
            return
        if not piece:
            break
        moved[0] = clock()
        left -= len(piece) if left > 0 else 0
        writer.write(piece)
        async with asyncio.timeout(IDLE_SECONDS):
            await writer.drain()
    if left < 0 and writer.can_write_eof():
        writer.write_eof()


async def _pump_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, moved: list[float]) -> None:
    """Copy a chunked body to its end and nothing after it: that would be a request whose Host nobody looked at."""
    while True:
        async with asyncio.timeout(IDLE_SECONDS):
            line = await reader.readuntil(b"\r\n")
        found = SIZE.fullmatch(line)
        if not found:
            return
        size = int(found[1], 16)
        writer.write(b"%x\r\n" % size)
        if not size:  # trailers stay here
            writer.write(b"\r\n")
            return
        await _pump(reader, writer, moved, size)
        async with asyncio.timeout(IDLE_SECONDS):
            if await reader.readexactly(2) != b"\r\n":
                return
        writer.write(b"\r\n")


async def _refuse(writer: asyncio.StreamWriter, status: str, why: str) -> None:
    body = f"nightmill: {why}\n".encode()
    head = f"HTTP/1.1 {status}\r\nX-Proxy-Error: {why}\r\nContent-Type: text/plain\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    await writer.drain()
