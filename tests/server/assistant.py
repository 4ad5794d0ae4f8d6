"""An assistant at /mcp, by the protocol's own client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from nightmill.access import Grant
from tests.server.conftest import House

__all__ = ["assistant", "call", "talk", "token_of"]


@asynccontextmanager
async def assistant(house: House, token: str, mode: Any = "auto") -> AsyncIterator[Client]:
    """A client of the protocol with *token*."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(f"{house.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


def token_of(house: House, address: str, *grants: Grant, scopes: Any = ("view", "operate", "approve")) -> str:
    owner = house.let_in(address, *grants)
    return house.site.keys.make("assistant", owner=owner, scopes=scopes, seconds=3600)


def talk(house: House, token: str, story: Callable[[Client], Awaitable[Any]], mode: Any = "auto") -> Any:
    """What *story* gives, told to a client with *token*."""

    async def go() -> Any:
        async with assistant(house, token, mode) as client:
            return await story(client)

    return asyncio.run(go())


def call(house: House, token: str, tool: str, mode: Any = "auto", **arguments: Any) -> tuple[bool, Any]:
    """(whether it was done, what it gave or why not)."""

    async def story(client: Client) -> tuple[bool, Any]:
        found = await client.call_tool(tool, arguments)
        text = found.content[0].text  # type: ignore[union-attr]
        if found.is_error:
            return False, text
        assert json.loads(text) == found.structured_content
        return True, found.structured_content

    done: tuple[bool, Any] = talk(house, token, story, mode)
    return done
