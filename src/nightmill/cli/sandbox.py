"""The sandboxes of runs: sandbox shell; list, diff and gc are beside."""

from __future__ import annotations

import os
import secrets
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nightmill.cli.door import Door
    from nightmill.line.moments import Moment
    from nightmill.sandbox import Place, ServiceState
    from nightmill.store.runs import Run

__all__ = ["place_of", "register"]

sandbox_app = typer.Typer(help="Look into the sandboxes of runs.", no_args_is_help=True)

HANDED = (signal.SIGTERM, signal.SIGHUP)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    from nightmill.cli import difference, keeping

    sandbox_app.command()(shell)
    sandbox_app.command("list")(keeping.list_sandboxes)
    sandbox_app.command()(difference.diff)
    sandbox_app.command()(keeping.gc)
    app.add_typer(sandbox_app, name="sandbox")


def shell(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN[@SNAPSHOT]",
            help="Id of a run, or its beginning; after @ the number of a turn or the beginning of a snapshot's id.",
        ),
    ],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND...]", help="Run this, in place of a shell.")
    ] = None,
    keep: Annotated[bool, typer.Option(help="Keep the fork, and say where it is.")] = False,
) -> None:
    """Open a shell in a fork of a run's sandbox, services and all; the run itself goes on untouched."""
    import asyncio

    from nightmill.cli.door import open_door
    from nightmill.line.moments import moments, pick

    door = open_door()
    name, _, at = run.partition("@")
    row = door.runs.get(name)
    moment = pick(moments(door.ledger, row.id), at, run=row.id)
    raise typer.Exit(asyncio.run(_visit(door, row, moment, tuple(command or ("bash",)), keep=keep)))


async def _visit(door: Door, row: Run, moment: Moment, argv: tuple[str, ...], *, keep: bool) -> int:
    """Make the fork, be inside, delete it."""
    import asyncio

    from nightmill.cli.attend import attend
    from nightmill.cli.screen import say
    from nightmill.cli.site import make_site

    loop, main = asyncio.get_running_loop(), asyncio.current_task()
    for number in HANDED:
        loop.add_signal_handler(number, main.cancel if main else lambda: None)
    sandboxes = make_site(door).sandboxes
    directory = door.settings.home / "forks" / f"{row.id}-{secrets.token_hex(4)}"
    try:
        source = door.settings.home / "runs" / row.id / "sandbox"
        snapshot = await sandboxes.fork(source=source, snapshot=moment.snapshot, directory=directory)
        workspace = await sandboxes.open(place_of(door, row, directory, snapshot))
        try:
            say(_words(row, moment, workspace.services.states(), keep=keep))
            exit_status = await attend(workspace, argv, term=os.environ.get("TERM", "dumb"))
            if keep:
                say(f"kept as snapshot {await workspace.snapshot()} of {directory}")
            return exit_status
        finally:
            await workspace.close()
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    finally:
        if not keep:
            await sandboxes.destroy(directory)
            with suppress(OSError):  # others are there
                directory.parent.rmdir()


def place_of(door: Door, row: Run, directory: Path, snapshot: str) -> Place:
    """Where the fork works: as the run's own sandbox does."""
    from dataclasses import replace

    from nightmill.cli.serve import tools
    from nightmill.estate.environment import place
    from nightmill.estate.services import programs
    from nightmill.line.assignment import read
    from nightmill.line.moments import base_of

    project = read(door.blobs.get(row.assignment)).project
    base = base_of(door.ledger, row.id, home=door.settings.home, project=project.id)
    found = place(project, base, directory=directory)
    services = programs(project.services)
    return replace(found, tools={**found.tools, **tools()}, snapshot=snapshot, services=services)


def _words(row: Run, moment: Moment, services: tuple[ServiceState, ...], *, keep: bool) -> str:
    when = f"after turn {moment.turn}" if moment.turn else "as it was prepared"
    beside = "".join(f"; {each.name} {each.state}" for each in services)
    end = "is kept" if keep else "is deleted when you leave"
    return f"a fork of run {row.id} {when} (snapshot {moment.snapshot}); it {end}{beside}"
