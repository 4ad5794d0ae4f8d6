"""All commands, as Typer reads them. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer
from typer.main import get_command

from nightmill.cli import helped

if TYPE_CHECKING:
    from typer._click import Command

__all__ = ["program"]

app = typer.Typer(
    name="nightmill",
    help="Specs in, reviewed pull requests out.",
    no_args_is_help=True,
    cls=helped.Program,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _start(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    server: Annotated[
        str | None,
        typer.Option(
            help="Look and steer at this server; NIGHTMILL_TOKEN holds what to show it. Empty: the store here.",
            metavar="URL",
        ),
    ] = None,
) -> None:
    if version:
        from nightmill import __version__

        typer.echo(f"nightmill {__version__}")
        raise typer.Exit
    from nightmill.cli import door

    door.server.set(server)


@cache
def program() -> Command:
    """All of it, put together once: that takes longer than most commands, and tests call many in one process."""
    from nightmill.cli import (
        ask,
        attach,
        backup,
        blueprint,
        budget,
        compare,
        crew,
        demo,
        distil,
        env,
        ledger,
        machine,
        notes,
        peers,
        people,
        person,
        planned,
        policy,
        project,
        pulls,
        requests,
        rewind,
        runs,
        sandbox,
        secret,
        server,
        task,
        webhook,
        work,
    )

    for module in (
        project,
        env,
        ask,
        work,
        people,
        task,
        runs,
        planned,
        rewind,
        attach,
        compare,
        crew,
        policy,
        budget,
        requests,
        notes,
        pulls,
        blueprint,
        distil,
        sandbox,
        server,
        person,
        peers,
        secret,
        webhook,
        ledger,
        backup,
        machine,
        demo,
    ):
        module.register(app)
    helped.explain(app)
    return get_command(app)
