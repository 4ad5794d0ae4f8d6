"""Servers on loopback, and the proxy in front of them, without a sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from nightmill.sandbox import Place
from nightmill.sandbox.network.egress import Egress
from nightmill.sandbox.network.reach import Network

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"


@contextlib.asynccontextmanager
async def web(
    heads: list[bytes], *, answer: bytes = b"hello", reply: bytes = b"", tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A web server on loopback that writes down what it was asked; gives its port.

    It says *answer*, or *reply* with a head of its own, in which `%b` is the head that it was sent.
    """

    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            heads.append(head)
            if b"ontent-Length: " in head:
                heads.append(await reader.readexactly(int(head.split(b"ontent-Length: ")[1].split(b"\r\n")[0])))
            writer.write(reply.replace(b"%b", head) or REPLY % (len(answer), answer))
            await writer.drain()
            if not tls:
                writer.write_eof()
                heads.append(b"rest:" + await reader.read())
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*filter(None, serving))


async def ask(path: Path, request: bytes) -> bytes:
    """Everything that the proxy on the unix socket *path* says to *request*."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def proxy(folder: Path, network: Network, **place: Any) -> AsyncIterator[Egress]:
    """The proxy of a place in *folder*."""
    egress = Egress(Place(directory=folder, layers=(), **place), network)
    await egress.start()
    try:
        yield egress
    finally:
        await egress.close()


def proxied(request: bytes, tmp_path: Path, *, answer: bytes = b"hello") -> tuple[bytes, list[bytes]]:
    """What the proxy says to *request*, in which PORT is a server's, and what that server heard."""

    async def whole() -> tuple[bytes, list[bytes]]:
        heads: list[bytes] = []
        async with web(heads, answer=answer) as port:
            network = Network(private=frozenset({"localhost"}), ports=frozenset({port}))
            async with proxy(tmp_path, network, hosts=("localhost",)) as egress:
                said = await ask(egress.path, request.replace(b"PORT", b"%d" % port))
        return said, heads

    return asyncio.run(whole())


def client(*trusted: bytes) -> ssl.SSLContext:
    """How a tool speaks TLS that trusts these certificates (PEM), and no others."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=b"\n".join(trusted).decode())
    return context


async def through(
    egress: Egress, authority: str, request: bytes, *, tls: ssl.SSLContext, name: str | None = None
) -> bytes:
    """Everything that is answered to *request* inside a tunnel to *authority*, in which TLS asks for *name*.

    Raises:
        OSError: If there is no tunnel, or no TLS in it.
    """
    reader, writer = await asyncio.open_unix_connection(egress.path)
    try:
        writer.write(f"CONNECT {authority} HTTP/1.1\r\n\r\n".encode())
        said = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
        if b" 200 " not in said.split(b"\r\n")[0]:
            raise OSError(said.decode())
        await writer.start_tls(tls, server_hostname=name or authority.partition(":")[0])
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.transport.abort()
