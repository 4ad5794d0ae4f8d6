"""The Model Context Protocol: what a person's assistant may do here with a token of theirs, at /mcp."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from nightmill.access import Person
from nightmill.peer.visit import Visit
from nightmill.server.guard import Who, needs, of_pages
from nightmill.server.site import Site, site_of

__all__ = ["router"]

router = of_pages()


@router.post("/mcp")
@needs("view", "some")
async def mcp(request: Request, who: Who) -> Response:
    """One message of the protocol, answered. There are no sessions, so each shows a token."""
    return _Answer(site_of(request), who, await request.body())


class _Answer(Response):
    """The answer to *asked*, as the protocol's own library gives it."""

    def __init__(self, site: Site, who: Person, asked: bytes) -> None:
        super().__init__()
        self.site, self.who, self.asked = site, who, asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        peer = await run_in_threadpool(_protocol)
        home = Path.home()  # noqa: TID251 - the server is a door, and its user is who trusts folders
        visit = Visit(door=self.site.door, who=self.who, home=home, starter=self.site.starter)
        again = _Again(self.asked, receive)
        await peer.answer(visit, scope, again, send, hosts=self.site.hosts, origins=self.site.origins)


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
