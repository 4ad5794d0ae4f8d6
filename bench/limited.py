"""An endpoint with a rate: a bucket of requests a minute, 429 with `retry-after` beyond it, and headers if wanted."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

__all__ = ["Limited"]

EVENTS = [
    {"type": "message_start", "message": {"id": "m", "model": "m", "usage": {"input_tokens": 100}}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 10}},
    {"type": "message_stop"},
]
BODY = b"".join(b"data:" + json.dumps(event).encode() + b"\n\n" for event in EVENTS)


@dataclass
class Limited:
    """Messages as Anthropic has them, said at once after *seconds*.

    Attributes:
        minute: Requests a minute; *burst* of them may come at once.
        at_once: Open requests at most.
        headers: Whether each reply says what is left.
        served: Ids of the keys of conversations that were answered, in order.
        refused: How many 429s were given.
    """

    minute: float = math.inf
    burst: float = 1.0
    at_once: float = math.inf
    headers: bool = False
    retry_after: float = 1.0
    seconds: float = 0.02
    served: list[str] = field(default_factory=list)
    refused: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    most_open: int = 0
    _open: int = 0
    _level: float = 0.0
    _at: float = 0.0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """The address while it is served."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length:")[2].split()[0])
                asked = json.loads(await reader.readexactly(length))
                writer.write(await self._answer(asked["system"][0]["text"]))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, who: str) -> bytes:
        now = time.monotonic()
        self._level = max(0.0, self._level - self.minute / 60 * (now - self._at)) if self._at else 0.0
        self._at = now
        bounded = self.minute < math.inf and self._level + 1 > self.burst
        if bounded or self._open >= self.at_once:
            self.refused += 1
            self.refusals[who] += 1
            body = b'{"error":{"type":"rate_limit_error","message":"slower"}}'
            return (
                self._head(
                    "429 Too Many Requests", "application/json", len(body), f"retry-after: {self.retry_after:g}\r\n"
                )
                + body
            )
        self._level += 1
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        await asyncio.sleep(self.seconds)
        self._open -= 1
        self.served.append(who)
        return self._head("200 OK", "text/event-stream", len(BODY)) + BODY

    def _head(self, status: str, kind: str, length: int, more: str = "") -> bytes:
        if self.headers:
            left = max(0, int((self.burst - self._level) * self.minute / self.burst)) if self.burst else 0
            more += f"anthropic-ratelimit-requests-limit: {self.minute:.0f}\r\nanthropic-ratelimit-requests-remaining: {left}\r\n"
        return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n{more}\r\n".encode()
