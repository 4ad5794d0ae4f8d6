"""The tools over the Model Context Protocol: at standard input and output, or one request of HTTP at a time.

HTTP keeps no session: each request shows who it is, so that what is taken away from somebody counts at once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from functools import cache, partial
from typing import Any, NamedTuple

from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from starlette.types import Receive, Scope, Send

from nightmill import __version__
from nightmill.errors import NightmillError, SettingsError
from nightmill.peer import looking
from nightmill.peer.foreign import NOTICE
from nightmill.peer.listening import DIFF, PREFIX, SUMMARY, Listening, split
from nightmill.peer.prompts import PROMPTS, text
from nightmill.peer.told import News
from nightmill.peer.tool import Tool, call
from nightmill.peer.tools import TOOLS
from nightmill.peer.visit import Visit

__all__ = ["Exchange", "answer", "converse", "server"]

LATEST = 30
"""Runs whose resources are listed at once."""

INSTRUCTIONS = (
    "nightmill has agents work on specs until there is a reviewed pull request. Check a spec with `spec_check`, see what "
    f"needs your person with `waiting`, and a run with `run_status`. {NOTICE}"
)

KINDS = {SUMMARY: ("application/json", "Where a run is, and why"), DIFF: ("text/x-diff", "The change of a run")}
MARK = {"nightmill/untrusted": True}
"""Put on all that runs gave, for clients that look at it."""


def server(visit: Visit, listening: Listening, *, lasting: bool) -> Server[Any]:
    """A server of whoever came: it offers what they may do and knows nobody else.

    *lasting*: on a line on which something can be told between two answers.
    """
    return Server(
        "nightmill",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=partial(_tools, visit),
        on_call_tool=partial(_call, visit),
        on_list_resources=partial(_resources, visit),
        on_list_resource_templates=_templates,
        on_read_resource=partial(_read, visit),
        on_subscribe_resource=listening.subscribe if lasting else None,
        on_unsubscribe_resource=listening.unsubscribe if lasting else None,
        on_subscriptions_listen=listening.listen,
        on_list_prompts=_prompts,
        on_get_prompt=_prompt,
    )


async def converse(visit: Visit, news: News) -> None:
    """Serve *visit* at standard input and output until the other side goes."""
    listening = Listening(visit, news)
    made = server(visit, listening, lasting=True)
    async with stdio_server() as (read, write):
        try:
            await made.run(read, write, made.create_initialization_options())
        finally:
            await listening.end()


class Exchange(NamedTuple):
    """One request of HTTP, as ASGI has it."""

    scope: Scope
    receive: Receive
    send: Send


async def answer(
    visit: Visit, exchange: Exchange, *, news: News, hosts: Collection[str], origins: Collection[str]
) -> None:
    """Answer one request of HTTP in the name of *visit*; a page of another origin than *origins* is refused."""
    security = TransportSecuritySettings(allowed_hosts=sorted(hosts), allowed_origins=sorted(origins))
    made = server(visit, Listening(visit, news), lasting=False)
    manager = StreamableHTTPSessionManager(made, json_response=True, stateless=True, security_settings=security)
    async with manager.run():
        await manager.handle_request(*exchange)


async def _tools(visit: Visit, _context: Any, _asked: Any) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[_tool(each) for each in TOOLS.values() if each.open_to(visit)])


async def _call(visit: Visit, _context: Any, asked: types.CallToolRequestParams) -> types.CallToolResult:
    tool = TOOLS.get(asked.name)
    if tool is None:
        raise MCPError(types.INVALID_PARAMS, f"there is no tool {asked.name[:80]!r}")
    try:
        found = await asyncio.to_thread(call, tool, visit, asked.arguments or {})
    except NightmillError as error:
        told = f"{error.message}\nhint: {error.hint}" if error.hint else error.message
        return types.CallToolResult(content=[types.TextContent(type="text", text=told)], is_error=True)
    text = types.TextContent(type="text", text=json.dumps(found, ensure_ascii=False))
    return types.CallToolResult(content=[text], structured_content=found, _meta=MARK if "from_runs" in found else None)


async def _resources(
    visit: Visit, _context: Any, asked: types.PaginatedRequestParams | None
) -> types.ListResourcesResult:
    if not visit.may("view"):
        return types.ListResourcesResult(resources=[])
    cursor = (asked and asked.cursor) or ""
    try:
        found = await asyncio.to_thread(partial(looking.page, visit, cursor=cursor, limit=LATEST))
    except SettingsError as error:
        raise MCPError(types.INVALID_PARAMS, error.message, {"hint": error.hint}) from error
    return types.ListResourcesResult(
        next_cursor=found.next or None,
        resources=[
            types.Resource(uri=f"{PREFIX}{run.id}/{kind}", name=f"{run.id} {kind}", mime_type=mime, description=says)
            for run in found.runs
            for kind, (mime, says) in KINDS.items()
            if kind != DIFF or (run.pull_request and run.kind == "task")
        ],
    )


async def _templates(_context: Any, _asked: Any) -> types.ListResourceTemplatesResult:
    return types.ListResourceTemplatesResult(
        resource_templates=[
            types.ResourceTemplate(
                uri_template=f"{PREFIX}{{run}}/{kind}",
                name=f"run {kind}",
                mime_type=mime,
                description=f"{says}. {NOTICE}",
            )
            for kind, (mime, says) in KINDS.items()
        ]
    )


async def _read(visit: Visit, _context: Any, asked: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    try:
        name, kind = split(asked.uri)
        text = await asyncio.to_thread(_text, visit, name, kind)
    except NightmillError as error:
        raise MCPError(types.INVALID_PARAMS, error.message, {"uri": asked.uri[:200], "hint": error.hint}) from error
    content = types.TextResourceContents(uri=asked.uri, mime_type=KINDS[kind][0], text=text, _meta=MARK)
    return types.ReadResourceResult(contents=[content])


def _text(visit: Visit, name: str, kind: str) -> str:
    if not visit.may("view"):
        raise SettingsError(f"{visit.who.address} may see no project", hint="ask an admin for a role")
    run = visit.run(name, "view")
    return looking.diff(visit, run) if kind == DIFF else json.dumps(looking.status(visit, run), ensure_ascii=False)


async def _prompts(_context: Any, _asked: Any) -> types.ListPromptsResult:
    return types.ListPromptsResult(
        prompts=[
            types.Prompt(
                name=name,
                description=offer.says,
                arguments=[
                    types.PromptArgument(name=each, description=says, required=True)
                    for each, says in offer.takes.items()
                ],
            )
            for name, offer in PROMPTS.items()
        ]
    )


async def _prompt(_context: Any, asked: types.GetPromptRequestParams) -> types.GetPromptResult:
    try:
        said = types.TextContent(type="text", text=text(asked.name, asked.arguments or {}))
    except SettingsError as error:
        raise MCPError(types.INVALID_PARAMS, error.message, {"hint": error.hint}) from error
    return types.GetPromptResult(
        description=PROMPTS[asked.name].says, messages=[types.PromptMessage(role="user", content=said)]
    )


@cache
def _tool(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        description=tool.says,
        input_schema=tool.takes.model_json_schema(),
        annotations=types.ToolAnnotations(
            read_only_hint=not tool.changes,
            destructive_hint=tool.ends,
            idempotent_hint=not tool.changes or tool.repeats,
            open_world_hint=False,
        ),
    )
