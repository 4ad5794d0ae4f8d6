"""The feed as a response that lasts: written piece by piece, to readers that read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["EventStream"]

PATIENCE = 30.0
"""Seconds in which a reader takes a piece; one that does not is cut off, and comes again if it is alive."""


class EventStream(Response):
    """Server-sent events, or *media_type*: it ends with its frames, with the reader, or when *good*, asked before each, no longer holds."""

    media_type = "text/event-stream"

    def __init__(
        self, frames: AsyncIterator[bytes], *, good: Callable[[], Awaitable[bool]], media_type: str | None = None
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}, media_type=media_type)
        del self.headers["content-length"]
        self.frames, self.good = frames, good

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write until it ends."""
        assert scope["type"] == "http"  # noqa: S101
        writing = asyncio.ensure_future(self._write(send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, leaving):
                task.cancel()
                with suppress(asyncio.CancelledError, TimeoutError):
                    await task

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self.frames) as frames:  # type: ignore[type-var]  # a generator, which can be closed
            async for frame in frames:
                if not await self.good():
                    break
                async with asyncio.timeout(PATIENCE):
                    await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    message: Any = {}
    while message.get("type") != "http.disconnect":
        message = await receive()
