"""The feed as a response that lasts: written piece by piece, to readers that read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, aclosing, suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["EventStream"]


class EventStream(Response):
    """Server-sent events, or *media_type*. It ends with its frames, with the reader, or as soon as it is *over*."""

    media_type = "text/event-stream"

    def __init__(
        self,
        frames: AsyncIterator[bytes],
        *,
        one: Callable[[], AbstractContextManager[asyncio.Event]],
        media_type: str | None = None,
    ) -> None:
        """*one* counts it while it lasts, and gives what happens when it is over."""
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}, media_type=media_type)
        del self.headers["content-length"]
        self.frames, self.one = frames, one

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write until it ends."""
        assert scope["type"] == "http"  # noqa: S101
        with self.one() as over:
            writing = asyncio.ensure_future(self._write(send, over))
            ending = [asyncio.ensure_future(each) for each in (_left(receive), over.wait())]
            try:
                await asyncio.wait({writing, *ending}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (writing, *ending):
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
            if over.is_set():
                await _end(send)

    async def _write(self, send: Send, over: asyncio.Event) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self.frames) as frames:  # type: ignore[type-var]  # a generator, which can be closed
            async for frame in frames:
                if over.is_set():
                    return
                await send({"type": "http.response.body", "body": frame, "more_body": True})
        await _end(send)


async def _end(send: Send) -> None:
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    message: Any = {}
    while message.get("type") != "http.disconnect":
        message = await receive()
