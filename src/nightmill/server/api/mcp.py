"""The Model Context Protocol: what a person's assistant may do here with a token of theirs, at /mcp."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from nightmill.access import Person
from nightmill.errors import SettingsError
from nightmill.peer.visit import Visit
from nightmill.server.api.events import one
from nightmill.server.guard import Who, needs, of_pages
from nightmill.server.problem import Refused
from nightmill.server.site import site_of
from nightmill.server.streams import Bound
from nightmill.server.told import told

if TYPE_CHECKING:
    from nightmill.peer.told import Told

__all__ = ["router"]

router = of_pages()

LISTENING = Bound(20, "you listen 20 times already")


@router.post("/mcp")
@needs("view", "some")
async def mcp(request: Request, who: Who) -> Response:
    """One message of the protocol, answered. There are no sessions, so each shows a token."""
    return _Answer(request, who, await request.body())


class _Answer(Response):
    """The answer to *asked*, the body of *request*, as the protocol's own library gives it."""

    def __init__(self, request: Request, who: Person, asked: bytes) -> None:
        super().__init__()
        self.request, self.who, self.asked = request, who, asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        peer = await run_in_threadpool(_protocol)
        site = site_of(self.request)
        home = Path.home()  # noqa: TID251 - the server is a door, and its user is who trusts folders
        visit = Visit(door=site.door, who=self.who, home=home, starter=site.starter)
        exchange = peer.Exchange(scope, _Again(self.asked, receive), send)
        await peer.answer(visit, exchange, news=self._news, hosts=site.hosts, origins=site.origins)

    async def _news(self) -> AsyncGenerator[Sequence[Told] | None]:
        site = site_of(self.request)
        try:
            counted = one(site, self.request, self.who, bound=LISTENING)
            with counted as over:
                async with aclosing(told(site.feed, self.who, over=over)) as found:
                    async for each in found:
                        yield each
        except Refused as error:
            raise SettingsError(error.detail, hint=error.hint) from error


class _Again:
    """`receive` for what was read already: the body once, and then only that somebody left."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self.body: bytes | None = body
        self.receive = receive

    async def __call__(self) -> Message:
        if self.body is None:
            return await self.receive()
        body, self.body = self.body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _protocol() -> Any:
    """The protocol's library, which takes a second: only where somebody uses it."""
    return import_module("nightmill.peer.mcp")
