"""Bytes on their way between a sandbox and a host: counted, bounded, and never more of them than was announced."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any

from nightmill.sandbox.network.credential import Redaction
from nightmill.sandbox.network.head import ALL, CHUNKED

__all__ = ["IDLE_SECONDS", "SIZE", "Budget", "Flow", "Refusal", "Streams", "carry", "pump", "pump_body"]

IDLE_SECONDS = 300.0
PIECE = 1 << 16

SIZE = re.compile(rb"([0-9a-fA-F]{1,8})(;[^\r\n]*)?\r\n")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Refusal(Exception):
    """The proxy says no: the status line that it answers with, a short *reason* for the record, and what it *said*."""

    def __init__(self, status: str, reason: str, said: str) -> None:
        super().__init__(said)
        self.status, self.reason, self.said = status, reason, said


class Budget:
    """How many bytes a sandbox may still send."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, size: int) -> None:
        """Take *size* bytes off.

        Raises:
            Refusal: If there are not that many left; then there are none.
        """
        self.left -= size
        if self.left < 0:
            raise Refusal("403 Forbidden", "upload limit", "this sandbox has sent as much as it may")


class Flow:
    """What one request has moved so far, and when."""

    def __init__(self, budget: Budget, clock: Callable[[], float]) -> None:
        self.budget, self.clock = budget, clock
        self.began = self.moved = clock()
        self.up = self.down = 0

    def rise(self, size: int) -> None:
        """*size* bytes leave the sandbox."""
        self.budget.spend(size)
        self.up += size
        self.moved = self.clock()

    def fall(self, size: int) -> None:
        """*size* bytes come in."""
        self.down += size
        self.moved = self.clock()

    @property
    def idle(self) -> bool:
        """Whether nothing moved for a long time."""
        return self.clock() - self.moved >= IDLE_SECONDS


async def carry(up: Coroutine[Any, Any, None], down: Coroutine[Any, Any, None]) -> None:
    """Let both directions go on until all that comes down has come, or what goes up has failed."""
    rising, falling = asyncio.create_task(up), asyncio.create_task(down)
    try:
        done, _ = await asyncio.wait({rising, falling}, return_when=asyncio.FIRST_COMPLETED)
        if rising in done:
            rising.result()  # an upload that failed ends the answer, too
        await falling
    finally:
        rising.cancel()  # what the sandbox might still send concerns nobody
        falling.cancel()
        await asyncio.gather(rising, falling, return_exceptions=True)


async def pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    flow: Flow,
    count: Callable[[int], None],
    *,
    left: int = ALL,
    redaction: Redaction | None = None,
) -> None:
    """Copy *left* bytes, or all, from *reader* to *writer*."""
    while left:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                piece = await reader.read(PIECE if left < 0 else min(left, PIECE))
        except TimeoutError:
            if not flow.idle:
                continue  # the other direction is busy
            return
        if not piece:
            break
        count(len(piece))
        left -= len(piece) if left > 0 else 0
        await _write(writer, redaction.feed(piece) if redaction else piece)
    if redaction:
        await _write(writer, redaction.end())
    if left < 0 and writer.can_write_eof():
        writer.write_eof()


async def pump_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flow: Flow, size: int) -> None:
    """Copy the body of a request: *size* bytes, or `CHUNKED`.

    Nothing after it: that would be a request whose Host nobody looked at.

    Raises:
        ValueError: If its pieces could be read in two ways.
    """
    while size == CHUNKED:
        async with asyncio.timeout(IDLE_SECONDS):
            line = await reader.readuntil(b"\r\n")
        found = SIZE.fullmatch(line)
        if not found:
            raise ValueError("the size of a piece could be read in two ways")
        piece = int(found[1], 16)
        writer.write(b"%x\r\n" % piece)
        if not piece:  # trailers stay here
            writer.write(b"\r\n")
            return
        await pump(reader, writer, flow, flow.rise, left=piece)
        async with asyncio.timeout(IDLE_SECONDS):
            if await reader.readexactly(2) != b"\r\n":
                raise ValueError("a piece is longer than it says")
        writer.write(b"\r\n")
    await pump(reader, writer, flow, flow.rise, left=size)


async def _write(writer: asyncio.StreamWriter, piece: bytes) -> None:
    writer.write(piece)
    async with asyncio.timeout(IDLE_SECONDS):
        await writer.drain()
