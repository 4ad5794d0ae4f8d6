"""Requests of a sandbox that are for nightmill itself: read whole, answered piece by piece, dropped with their asker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http.client import responses

from nightmill.sandbox.network.head import CHUNKED, named
from nightmill.sandbox.network.pump import IDLE_SECONDS, SIZE, Refusal, Streams
from nightmill.sandbox.nouns import Asked, Gateway

__all__ = ["is_inward", "pass_inward"]

LARGEST = 32 << 20
"""Bytes of one request's body: as much as providers take."""


def is_inward(request: bytes) -> bool:
    """Whether the first line of a request names a path and no host."""
    return request.partition(b" ")[2].startswith(b"/")


async def pass_inward(near: Streams, request: bytes, headers: list[bytes], size: int, gateway: Gateway) -> None:
    """Have *gateway* answer the request, whose head was read, with *size* bytes of body.

    Raises:
        Refusal: If its body is too large.
        ValueError: If its body is not framed as it should be.
    """
    method, path, *_ = request.decode("latin-1").split(" ")
    known = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in named(headers))
    asked = Asked(method=method, path=path.partition("?")[0], headers=known, body=await _body(near[0], size))
    answering = asyncio.ensure_future(gateway.answer(asked, _Answer(near[1])))
    gone = asyncio.ensure_future(near[0].read(1))  # there is one request on a connection: what comes now is its end
    try:
        await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            answering.result()
    finally:
        for task in (answering, gone):
            task.cancel()
        await asyncio.gather(answering, gone, return_exceptions=True)


class _Answer:
    """An answer on its way into the sandbox; it ends with the connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status} {responses.get(status, 'Other')}\r\n{lines}Connection: close\r\n\r\n"
        await self.write(head.encode("latin-1", "replace"))

    async def write(self, piece: bytes) -> None:
        """Send more of the body."""
        self._writer.write(piece)
        async with asyncio.timeout(IDLE_SECONDS):
            await self._writer.drain()


async def _body(reader: asyncio.StreamReader, size: int) -> bytes:
    async with asyncio.timeout(IDLE_SECONDS):
        if size != CHUNKED:
            return await reader.readexactly(_bounded(size))
        body = bytearray()
        while True:
            found = SIZE.fullmatch(await reader.readuntil(b"\r\n"))
            if not found:
                raise ValueError("the size of a piece could be read in two ways")
            piece = int(found[1], 16)
            _bounded(len(body) + piece)
            body += (await reader.readexactly(piece + 2))[:-2]
            if not piece:
                return bytes(body)


def _bounded(size: int) -> int:
    if size > LARGEST:
        text = f"a request of {size:,} bytes is too large: at most {LARGEST:,} are read"
        raise Refusal("413 Content Too Large", "too large", text)
    return size
