"""What no route need think of: hosts, sizes, patience, and what browsers are told of every page. Plain ASGI."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nightmill.server.place import place
from nightmill.server.problem import answer
from nightmill.server.site import Site

__all__ = ["Limits"]

BODY = 4 << 20
"""Bytes of a request's body."""
HEAD = 32 << 10
"""Bytes of its head."""
PATIENCE = 30.0
"""Seconds in which a body is there."""
LINGER, WASTE = 2.0, 64 << 20
"""Seconds for which, and bytes of which, what nobody wants is still taken: who is cut off while they send loses the answer."""
PLACE = 1_000
"""Requests under way from one place, streams too: half of what the server takes at once."""
TOO_LARGE = f"a request holds {BODY >> 20} MB at most"
CLOSE = {"Connection": "close"}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
STORED = b"no-store"
"""What is cached of a page: nothing, unless its route says otherwise."""
STRICT = (b"strict-transport-security", b"max-age=31536000")


class Limits:
    """Around the application."""

    def __init__(self, app: ASGIApp, *, site: Site) -> None:
        self.app, self.site = app, site
        self.places: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse before anything is read."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        told = _Told(send, secure=self.site.secure)
        headers = dict(scope["headers"])
        if headers.get(b"host", b"").decode("latin-1").casefold() not in self.site.hosts:
            said = answer(421, "this server does not go by that name", hint=f"it is at {self.site.origin}")
            await said(scope, receive, told)
        elif sum(len(name) + len(value) for name, value in scope["headers"]) > HEAD:
            await answer(431, f"the head of a request holds {HEAD >> 10} kB at most", headers=CLOSE)(
                scope, receive, told
            )
        elif _size(headers) > BODY:
            if b"expect" not in headers:  # who asks before they send has sent nothing
                await _waste(receive)
            await answer(413, TOO_LARGE, headers=CLOSE)(scope, receive, told)
        elif self.places[here := place(Request(scope), proxied=self.site.secure).whole] >= PLACE:
            full = f"{PLACE:,} requests from where you are have not ended yet"
            await answer(429, full, hint="end one", headers={**CLOSE, "Retry-After": "5"})(scope, receive, told)
        else:
            self.places[here] += 1
            try:
                await self.app(scope, _Body(receive), told)
            finally:
                self.places -= Counter([here])


class _Body:
    """`receive` that counts bytes and seconds until the body is whole; what comes then is only that somebody left."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.size, self.whole = 0, False
        self.deadline = asyncio.get_running_loop().time() + PATIENCE

    async def __call__(self) -> Message:
        if self.whole:
            return await self.receive()
        try:
            async with asyncio.timeout_at(self.deadline):
                message = await self.receive()
        except TimeoutError as error:
            raise HTTPException(408, f"the request was not there within {PATIENCE:g} s", CLOSE) from error
        self.size += len(message.get("body", b""))
        self.whole = message["type"] != "http.request" or not message.get("more_body", False)
        if self.size > BODY:
            if not self.whole:
                await _waste(self.receive)
            raise HTTPException(413, TOO_LARGE, CLOSE)
        return message


class _Told:
    """`send` that adds the headers of every answer."""

    def __init__(self, send: Send, *, secure: bool) -> None:
        self.send, self.secure = send, secure

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            named = {name for name, _ in message["headers"]}
            more = [(name, value) for name, value in HEADERS.items() if name not in named]
            more += [] if b"cache-control" in named else [(b"cache-control", STORED)]
            message["headers"] = [*message["headers"], *more, *([STRICT] if self.secure else [])]
        await self.send(message)


async def _waste(receive: Receive) -> None:
    """Take the rest of a body, for a while, and drop it."""
    left = WASTE
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


def _size(headers: dict[bytes, bytes]) -> int:
    said = headers.get(b"content-length", b"0")
    return int(said) if said.isdigit() and len(said) < 20 else 0 if said == b"" else BODY + 1
