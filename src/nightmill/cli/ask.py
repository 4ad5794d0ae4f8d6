"""ask: what is wanted, in plain words, to a run of an approved blueprint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nightmill.cli.work import Model, Url

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(ask)


def ask(
    words: Annotated[
        list[str], typer.Argument(metavar="WORDS", help="What you want, as you would say it; - reads it.")
    ],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="An input, by its name.")
    ] = None,
    blueprint: Annotated[str, typer.Option(help="The blueprint, where you know it: one that is approved.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Start it without asking.")] = False,
    no_model: Annotated[bool, typer.Option("--no-model", help="Ask no model where more than one fits.")] = False,
    request: Annotated[
        Path | None, typer.Option(help="Where nothing fits: write a request for a blueprint to this file.")
    ] = None,
    model: Model = None,
    base_url: Url = None,
    project: Annotated[Path, typer.Option(help="The repository.")] = Path(),
    base: Annotated[str, typer.Option(help="Branch to start from and to open the pull request against.")] = "",
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON, and start only with --yes.")] = False,
) -> None:
    """Say what you want: an approved blueprint does it, a question comes back, or it is refused."""
    from nightmill.cli import gateway
    from nightmill.desk.wish import Wish

    wish = Wish(words=" ".join(words), sets=tuple(set_ or ()), blueprint=blueprint, think=not no_model)
    manner = gateway.Manner(
        yes=yes, request=request, root=project, base=base, detach=detach, json=json, named=model is not None
    )
    raise typer.Exit(gateway.go(wish, manner, model=model, base_url=base_url))
