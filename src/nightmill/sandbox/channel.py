"""The host's end of the socket to a runner. What comes from there is hostile: bounded, checked, never waited for.

A frame that is too long, no JSON, of an unknown request or of the wrong shape ends the sandbox: there is no way
to go on with a runner that an agent may have taken over.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import marshal
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nightmill.errors import SandboxError

__all__ = ["Answer", "Channel"]

WAKE = b"\n"
"""Wakes a runner that rests (`inside/rest.py`)."""
HEADER_MOST = 1 << 16
LIVE_MOST = 1 << 18
REST = 5.0
"""Seconds without a request after which the runner is sent to rest; waking it takes some 8 ms."""
LEAST, MOST = -255, 1 << 60
"""Of whole numbers in answers: exit statuses, sizes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the runner said to one request."""

    header: dict[str, Any]
    body: bytes

    def number(self, name: str) -> int:
        """The whole number *name*, never negative nor absurd."""
        value = self.header.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not LEAST <= value < MOST:
            raise SandboxError(f"the sandbox answered with {name} = {repr(value)[:100]}")
        return value


@dataclass(slots=True, kw_only=True)
class Pending:
    """A request that waits: the longest body it may get, and who listens meanwhile."""

    most: int
    live: Callable[[bytes], None] | None
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Channel:
    """Requests to a runner and their answers, in any order."""

    def __init__(self, sock: socket.socket, *, broken: Callable[[str], None]) -> None:
        """*broken* is called once, with the reason, when nothing more will be answered."""
        self.sock, self.broken = sock, broken
        self.pending: dict[int, Pending] = {}
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.number, self.why = 0, ""
        self.ways: Callable[[dict[str, Any], bytes], None] | None = None
        """Hears frames of connections, where those of the sandbox are carried here."""
        self.reading: asyncio.Task[None] | None = None
        self.used, self.resting = 0.0, False
        self.timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin to read."""
        self.reader, self.writer = await asyncio.open_connection(sock=self.sock, limit=1 << 20)
        self.reading = asyncio.create_task(self._read())

    async def ask(
        self, header: dict[str, Any], body: bytes = b"", *, most: int = 0, live: Callable[[bytes], None] | None = None
    ) -> Answer:
        """Send one request and wait for its answer of at most *most* bytes; *live* gets pieces before it.

        Raises:
            SandboxError: If the sandbox ended or answered nonsense.
        """
        return await self.send(header, body, most=most, live=live)[1]

    def send(
        self, header: dict[str, Any], body: bytes = b"", *, most: int = 0, live: Callable[[bytes], None] | None = None
    ) -> tuple[int, asyncio.Future[Answer]]:
        """Send one request; its number and its answer to come."""
        if self.why:
            raise SandboxError(self.why)
        self.number += 1
        pending = self.pending[self.number] = Pending(most=most, live=live)
        self.tell({**header, "id": self.number}, body)
        return self.number, pending.answer

    def tell(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Send a frame that has no answer of its own; once the sandbox has ended, nobody is left to hear it."""
        if self.why:
            return
        self.rouse()
        self._write(header, body)

    def rouse(self) -> None:
        """Have the runner awake: it will be asked something soon."""
        loop = asyncio.get_running_loop()
        self.used = loop.time()
        if self.resting and not self.why:
            self.resting = False
            self.writer.write(WAKE)
        if self.timer is None and not self.why:
            self.timer = loop.call_later(REST, self._idle)

    def rest(self) -> None:
        """Let the runner give its memory back until it is asked again; it does if nothing runs inside."""
        if not self.resting and not self.why:
            self._write({"op": "rest", "id": 0}, b"")
            self.resting = True

    def _write(self, header: dict[str, Any], body: bytes) -> None:
        plain = marshal.dumps(header, 2)
        self.writer.write(struct.pack(">II", len(plain), len(body)) + plain + body)

    async def drained(self) -> None:
        """Wait until little of what was sent is still here; OSError if it cannot be sent."""
        await self.writer.drain()

    async def close(self) -> None:
        """Stop reading and fail what still waits."""
        self._fail("the sandbox is closed")
        if self.reading:
            self.reading.cancel()
            await asyncio.wait([self.reading])
            self.writer.close()
            with contextlib.suppress(OSError):
                await self.writer.wait_closed()

    async def _read(self) -> None:
        try:
            while True:
                await self._frame()
        except asyncio.IncompleteReadError:
            self._fail("the sandbox ended")
        except OSError as error:
            self._fail(f"the sandbox cannot be reached: {error}")
        except SandboxError as error:
            self._fail(error.message)
        except Exception as error:  # noqa: BLE001 - whatever hostile bytes provoke ends this sandbox, and only this one
            self._fail(f"the sandbox sent what cannot be read: {error!r}")

    async def _frame(self) -> None:
        length, extra = struct.unpack(">II", await self.reader.readexactly(8))
        if length > HEADER_MOST:
            raise SandboxError(f"the sandbox sent a header of {length:,} bytes")
        header = json.loads(await self.reader.readexactly(length))
        if not isinstance(header, dict):
            raise SandboxError("the sandbox sent a header that is no object")
        if "ready" in header and not extra:
            if not self.ready.done():
                self.ready.set_result(None)
            return
        if "way" in header and self.ways and extra <= LIVE_MOST:
            self.ways(header, await self.reader.readexactly(extra))
            return
        pending = self.pending.get(header.get("id", 0))
        if pending is None:
            raise SandboxError("the sandbox answered what was not asked")
        most = LIVE_MOST if "live" in header else pending.most
        if extra > most:
            raise SandboxError(f"the sandbox sent {extra:,} bytes where {most:,} were the most")
        self._deliver(pending, header, await self.reader.readexactly(extra))

    def _deliver(self, pending: Pending, header: dict[str, Any], body: bytes) -> None:
        if "live" in header:
            try:
                if pending.live and not pending.answer.done():
                    pending.live(body)
            except Exception as error:  # noqa: BLE001 - the listener's fault, told to who asked
                pending.answer.set_exception(error)
            return
        del self.pending[header["id"]]
        self.used = asyncio.get_running_loop().time()
        if not pending.answer.done():
            pending.answer.set_result(Answer(header=header, body=body))

    def _idle(self) -> None:
        """Send the runner to rest, if nothing was asked of it for long."""
        loop = asyncio.get_running_loop()
        self.timer, due = None, self.used + REST
        if self.pending or due > loop.time():
            self.timer = loop.call_at(max(due, loop.time() + REST * bool(self.pending)), self._idle)
        else:
            self.rest()

    def _fail(self, why: str) -> None:
        if self.why:
            return
        self.why = why
        if self.timer:
            self.timer.cancel()
        waiting: list[asyncio.Future[Any]] = [self.ready, *(pending.answer for pending in self.pending.values())]
        self.pending.clear()
        for answer in waiting:
            if not answer.done():
                answer.set_exception(SandboxError(why))
                answer.exception()  # seen: nobody may be waiting
        self.broken(why)
