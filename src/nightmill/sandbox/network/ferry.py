"""Connections of a sandbox that is not on this machine, carried over its runner's frames to the proxy here.

So a pod needs no network at all: what forbids it one may be total, and the proxy is reached all the same. What comes
is hostile: numbers only rise, nobody sends more than was granted, and no more ways are open than the proxy takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from nightmill.errors import SandboxError
from nightmill.sandbox.network.pump import Streams

__all__ = ["WINDOW", "Ferry", "Teller", "dial"]

WINDOW = 1 << 18
"""Bytes that one side of a way may have sent and the other not yet passed on; the runner inside has the same."""

PIECE, WAYS = 1 << 16, 128
"""Bytes in one frame; ways at once: twice those of the proxy, because the last frames of some are still to come."""

FIELDS = {"way", "open", "took", "last", "gone"}


class Teller(Protocol):
    """What carries frames."""

    def tell(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Send a frame that has no answer of its own."""
        ...

    async def drained(self) -> None:
        """Wait until little of what was sent is still here."""
        ...


async def dial(path: Path) -> Streams:
    """Connect to the unix socket *path*, which may be longer than the 107 bytes that the kernel takes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        return await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{path.name}", limit=PIECE)
    finally:
        os.close(folder)


class Way:
    """One connection: what is to be sent into it, and what may be sent from it."""

    def __init__(self) -> None:
        self.credit, self.granted = WINDOW, WINDOW
        self.given, self.over = bytearray(), False
        self.more, self.fed = asyncio.Event(), asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class Ferry:
    """All ways of one sandbox; *connect* leads to its proxy."""

    def __init__(self, carrier: Teller, connect: Callable[[], Awaitable[Streams]]) -> None:
        self.carrier, self.connect = carrier, connect
        self.ways: dict[int, Way] = {}
        self.last = 0

    def take(self, header: dict[str, Any], body: bytes) -> None:
        """Do what a frame from inside says.

        Raises:
            SandboxError: If no runner of ours would say it.
        """
        number, took = header.get("way"), header.get("took", 0)
        known = all(type(value) is int and value >= 0 for value in header.values()) and header.keys() <= FIELDS
        if not known or not isinstance(number, int) or len(body) > PIECE:
            raise SandboxError("the sandbox sent a frame of a connection that cannot be read")
        if "open" in header:
            self._open(number)
        if (way := self.ways.get(number)) is None:
            if number > self.last:
                raise SandboxError(f"the sandbox sent bytes of a connection that it has not opened: {number}")
            return  # it is over here, and the runner did not know yet
        self._hear(way, header, body, took)

    async def close(self) -> None:
        """Cut every way."""
        tasks = [way.task for way in self.ways.values() if way.task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _open(self, number: int) -> None:
        if number <= self.last:
            raise SandboxError(f"the sandbox opened the connection {number} again")
        self.last = number
        if len(self.ways) >= WAYS:
            self._tell(number, last=1, gone=1)
            return
        way = self.ways[number] = Way()
        way.task = asyncio.create_task(self._carry(number, way))
        way.task.add_done_callback(lambda _: self._over(number))

    def _hear(self, way: Way, header: dict[str, Any], body: bytes, took: int) -> None:
        way.granted -= len(body)
        way.credit += took
        if way.granted < 0 or way.credit > WINDOW or (way.over and body):
            raise SandboxError("the sandbox sent more of a connection than it may")
        way.given += body
        way.over = way.over or "last" in header
        way.more.set()
        way.fed.set()
        if "gone" in header and way.task:
            way.task.cancel()

    def _over(self, number: int) -> None:
        del self.ways[number]
        self._tell(number, last=1, gone=1)

    async def _carry(self, number: int, way: Way) -> None:
        with contextlib.suppress(OSError):  # the proxy is no more
            reader, writer = await self.connect()
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._up(number, way, writer))
                    both.create_task(self._down(number, way, reader))
            finally:
                writer.transport.abort()

    async def _up(self, number: int, way: Way, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # the proxy hears no more of it; what it says still counts
            while way.given or not way.over:
                await way.fed.wait()
                way.fed.clear()
                piece = bytes(way.given)
                way.given.clear()
                writer.write(piece)
                await writer.drain()
                way.granted += len(piece)
                self._tell(number, took=len(piece))
            writer.write_eof()

    async def _down(self, number: int, way: Way, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):  # it was cut
            while piece := await reader.read(PIECE):
                while way.credit < len(piece):
                    way.more.clear()
                    await way.more.wait()
                way.credit -= len(piece)
                self._tell(number, piece)
                await self.carrier.drained()
        self._tell(number, last=1)

    def _tell(self, number: int, body: bytes = b"", **said: int) -> None:
        self.carrier.tell({"op": "way", "id": 0, "way": number, **said}, body)
