"""Programs of people as doors: mcp, acp."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(mcp)
    app.command()(acp)


def mcp(
    allow: Annotated[
        list[str], typer.Option(help="What it may do in your name: view, operate, approve; again for more.")
    ] = ["view", "operate"],  # noqa: B006 - Typer copies it
    project: Annotated[Path, typer.Option(help="The repository that is meant where none is named.")] = Path(),
) -> None:
    """Serve your own assistant over MCP at standard input and output: it sees runs and steers them in your name."""
    import asyncio
    from dataclasses import replace
    from functools import partial

    from nightmill.access import ACTS
    from nightmill.cli.door import here, open_door
    from nightmill.cli.starter import DoorStarter
    from nightmill.errors import SettingsError
    from nightmill.peer import mcp as peer
    from nightmill.peer.visit import Visit
    from nightmill.server.feed import Feed
    from nightmill.server.source import LedgerSource
    from nightmill.server.told import told

    if unknown := set(allow) - set(ACTS):
        raise SettingsError(f"there is no right {min(unknown)!r}", hint=f"there are {', '.join(ACTS)}")
    door = open_door()
    who = replace(here(), scopes=frozenset(each for each in ACTS if each in allow))
    visit = Visit(door=door, who=who, home=Path.home(), starter=DoorStarter(door, here=True), here=project.absolute())

    async def converse() -> None:
        feed = Feed(LedgerSource(door))
        looking = asyncio.create_task(feed.serve())
        try:
            await peer.converse(visit, partial(told, feed, who, over=asyncio.Event()))
        finally:
            looking.cancel()

    asyncio.run(converse())


def acp() -> None:
    """Serve your editor over ACP at standard input and output: it watches runs, starts them from specs, and asks you."""
    import asyncio

    from nightmill.cli.door import here, open_door
    from nightmill.cli.lines import line
    from nightmill.cli.starter import DoorStarter
    from nightmill.event import Event
    from nightmill.peer import editor
    from nightmill.peer.visit import Visit

    def say(told: Event) -> str:
        found = line(told)
        return f"{found.mark} {found.text}" if found else ""

    door = open_door()
    visit = Visit(door=door, who=here(), home=Path.home(), starter=DoorStarter(door, here=True))
    asyncio.run(editor.converse(visit, say=say))
