"""The only way out of a sandbox: an HTTP proxy on a unix socket that lets allowed names through, and nothing else.

It lives on the host. Names are resolved here and nowhere else, the address that was checked is the one that is
connected to, and `Host` is written anew, so an allowed name cannot stand for another (fronting, rebinding). A tunnel
must begin with TLS for its own host. Where a credential is added, or where the place asks for it, TLS ends here, and
what is inside is read like any other request.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from nightmill.errors import SandboxError
from nightmill.sandbox import Place
from nightmill.sandbox.network.head import Target, body_size, read_inner, read_target
from nightmill.sandbox.network.inward import is_inward, pass_inward
from nightmill.sandbox.network.passage import ESTABLISHED, Passage
from nightmill.sandbox.network.pump import Budget, Refusal, Streams
from nightmill.sandbox.network.reach import Network, allowed, within
from nightmill.sandbox.network.tally import Tally

if TYPE_CHECKING:
    from nightmill.sandbox.network.authority import Authority

__all__ = ["Egress"]

HEAD_SECONDS, TLS_SECONDS, LINGER_SECONDS = 15.0, 15.0, 5.0
HEAD_MOST, LINGER_MOST, CONNECTIONS = 1 << 15, 16 << 20, 64
INWARD = 8
"""Requests to the gateway at once: each is held in memory, whole."""
RATE, BURST = 50.0, 200
"""Connections a second and at once: TLS that is opened costs milliseconds of the worker that all runs share."""

HTTP_PORT = 80


class Egress:
    """The proxy of one sandbox."""

    def __init__(self, place: Place, network: Network) -> None:
        """Listen in the folder of *place* and let its hosts through."""
        self.path = place.directory / "net" / "egress.sock"
        self.place, self.network, self.hosts = place, network, place.hosts
        self.credentials = [each for each in network.credentials if each.id in place.credentials]
        self.authority = _authority(network) if self.credentials or place.inspect else None
        self.budget = Budget(network.upload)
        self.tally = Tally(partial(network.on_request, place.run))
        self.tasks: dict[asyncio.Task[None], Passage] = {}
        self.places, self.pace = asyncio.Semaphore(CONNECTIONS), Pace(rate=RATE, burst=BURST)
        self.inward = asyncio.Semaphore(INWARD)
        self.listening: asyncio.Task[None] | None = None
        self.bound: socket.socket | None = None

    async def start(self, bound: socket.socket | None = None) -> None:
        """Begin to listen: on *bound*, or on a new unix socket.

        Raises:
            SandboxError: If the socket cannot be made.
        """
        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            self.path.unlink(missing_ok=True)
            self.bound = bound or self._bound()
        except OSError as error:
            raise SandboxError(f"the proxy cannot listen on {str(self.path)!r}: {error}") from error
        self.listening = asyncio.create_task(self._listen(self.bound))

    async def close(self) -> None:
        """Stop listening and cut every connection. Safe to repeat."""
        if self.listening:
            self.listening.cancel()
            await asyncio.wait({self.listening})
        if self.bound:
            self.bound.close()
        await self._cut(lambda _: True)
        self.tally.end()
        self.path.unlink(missing_ok=True)

    async def reach(self, hosts: tuple[str, ...]) -> None:
        """Let *hosts* through from now on, and no others; what goes on with others is cut.

        Raises:
            SandboxError: If the place does not allow one of them.
        """
        beyond = [each for each in hosts if not within(each, self.place.hosts)]
        if beyond:
            raise SandboxError(f"{beyond[0]!r} is not among the hosts that this sandbox was made for")
        self.hosts = hosts
        await self._cut(lambda host: host != "" and not allowed(host, hosts))

    @property
    def env(self) -> dict[str, str]:
        """Placeholders, by the variables that tools look for credentials in."""
        return {each.variable: each.placeholder for each in self.credentials if each.variable}

    @property
    def trusted(self) -> bytes:
        """Certificates that the sandbox trusts besides the system's, in PEM."""
        own = self.authority.certificate if self.authority else b""
        return (self.network.authorities.read_bytes() + b"\n" if self.network.authorities else b"") + own

    async def _cut(self, which: Callable[[str], bool]) -> None:
        cut = [task for task, passage in self.tasks.items() if which(passage.target.host)]
        for task in cut:
            task.cancel()
        if cut:
            await asyncio.wait(cut)

    async def _listen(self, bound: socket.socket) -> None:
        """Take connections while there is place, and not too fast: what does not fit waits inside, at its own cost."""
        loop = asyncio.get_running_loop()
        while True:
            await self.places.acquire()
            await asyncio.sleep(self.pace.wait(loop.time()))
            try:
                near, _ = await loop.sock_accept(bound)
                await loop.connect_accepted_socket(self._protocol, near)
            except OSError:  # no descriptor is left, perhaps
                self.places.release()

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=HEAD_MOST), self._accept)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("connections are tasks")
        passage = self.tasks[task] = Passage(self.network, self.budget, credentials=self.credentials)
        try:
            with contextlib.suppress(OSError, ValueError, EOFError, asyncio.LimitOverrunError, TimeoutError):
                await self._answer((reader, writer), passage)
            # the connection is closed; there is nobody to tell
            await _closed(writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self.tasks.pop(task, None)
            self.places.release()
            if passage.target.method:
                self.tally.add(passage.request())

    async def _answer(self, near: Streams, passage: Passage) -> None:
        try:
            await self._serve(near, passage)
        except Refusal as refusal:
            passage.reason = refusal.reason
            if not passage.status:
                passage.status = int(refusal.status[:3])
                await _refuse(near[1], refusal)
                await _hear_out(near)

    async def _serve(self, near: Streams, passage: Passage) -> None:
        request, headers = await _head(near[0])
        target, size = read_target(request), body_size(headers)
        if self.place.gateway and size is not None and is_inward(request):
            async with self.inward:
                await pass_inward(near, request, headers, size, self.place.gateway)
            return
        if target is None or size is None:
            raise _unclear()
        passage.target = target
        self._permit(target)
        if target.method != "CONNECT":
            await passage.exchange(near, headers, size)
        elif self.authority and self._opens(target):
            await self._open(near, passage, self.authority)
        else:
            await passage.tunnel(near)

    async def _open(self, near: Streams, passage: Passage, authority: Authority) -> None:
        """End the sandbox's TLS here, and read what is inside."""
        near[1].write(ESTABLISHED)
        try:
            context = authority.context(passage.target.host)
            await near[1].start_tls(context, ssl_handshake_timeout=TLS_SECONDS)
        except OSError:
            passage.reason = "no TLS for this host"
            raise
        request, headers = await _head(near[0])
        target, size = read_inner(request, headers, tunnel=passage.target), body_size(headers)
        if target is None or size is None:
            raise _unclear()
        passage.target = target
        await passage.exchange(near, headers, size)

    def _opens(self, target: Target) -> bool:
        named = any((each.host, each.port) == (target.host, target.port) for each in self.credentials)
        return named or allowed(target.host, self.place.inspect)

    def _permit(self, target: Target) -> None:
        """Refuse a name that is not allowed. A tunnel to the plain port would go round the rewriting of `Host`."""
        ports = self.network.ports | {each.port for each in self.credentials if each.host == target.host}
        known = target.port in ports and (target.method, target.port) != ("CONNECT", HTTP_PORT)
        if not allowed(target.host, self.hosts) or not known:
            reason = "port" if allowed(target.host, self.hosts) else "not allowed"
            raise Refusal("403 Forbidden", reason, f"{target.host}:{target.port} may not be reached from here")

    def _bound(self) -> socket.socket:
        """A unix socket, whose path may be longer than the 107 bytes that the kernel takes: bound by its folder."""
        folder = os.open(self.path.parent, os.O_PATH | os.O_DIRECTORY)
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            bound.setblocking(False)
            bound.bind(f"/proc/self/fd/{folder}/{self.path.name}")
            bound.listen(CONNECTIONS)
            self.path.chmod(0o600)
        except OSError:
            bound.close()
            raise
        finally:
            os.close(folder)
        return bound


class Pace:
    """Lets *burst* through at once, then *rate* a second."""

    def __init__(self, *, rate: float, burst: int) -> None:
        self.rate, self.burst = rate, burst
        self.level, self.last = float(burst), -math.inf

    def wait(self, now: float) -> float:
        """Seconds from *now* after which the next may go."""
        self.level, self.last = min(self.burst, self.level + (now - self.last) * self.rate) - 1, now
        return max(0.0, -self.level / self.rate)


def _authority(network: Network) -> Authority:
    from nightmill.sandbox.network.authority import Authority  # noqa: PLC0415 - its library takes 0.1 s to load, and few need it

    return Authority(now=network.now)


async def _head(reader: asyncio.StreamReader) -> tuple[bytes, list[bytes]]:
    async with asyncio.timeout(HEAD_SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
    request, *headers = head[:-4].split(b"\r\n")
    return request, headers


def _unclear() -> Refusal:
    return Refusal("400 Bad Request", "not understood", "the proxy does not understand the request")


async def _refuse(writer: asyncio.StreamWriter, refusal: Refusal) -> None:
    body = f"nightmill: {refusal.said}\n".encode()
    head = f"HTTP/1.1 {refusal.status}\r\nX-Proxy-Error: {refusal.said}\r\nContent-Type: text/plain\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    await writer.drain()


async def _hear_out(near: Streams) -> None:
    """Take what is still sent of a refused request, for a while: whoever is cut off while it sends reads no reason."""
    reader, writer = near
    if writer.can_write_eof():
        writer.write_eof()
    left = LINGER_MOST
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while left > 0 and (piece := await reader.read(1 << 16)):
                left -= len(piece)


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Close it; who does not let it end within seconds is cut off."""
    writer.close()
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()
