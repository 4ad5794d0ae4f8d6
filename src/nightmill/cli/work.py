"""Starting work: run, worker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]

Model = Annotated[
    str | None,
    typer.Option(
        help="`provider:name`: anthropic:…, openai:…, openai-responses:…, gemini:…, ollama:…; or `acp:` and an external agent."
    ),
]
Url = Annotated[str | None, typer.Option("--base-url", help="Endpoint instead of the provider's own.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(run)
    app.command()(worker)


def run(
    spec: Annotated[Path, typer.Argument(help="A spec: a Markdown file, or a spec-kit, OpenSpec or Kiro folder.")],
    model: Model = None,
    base_url: Url = None,
    project: Annotated[Path, typer.Option(help="The repository.")] = Path(),
    base: Annotated[str, typer.Option(help="Branch to start from and to open the pull request against.")] = "",
    blueprint: Annotated[str | None, typer.Option(help="How each task is worked on; see `blueprint list`.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="An input of the blueprint, by its name.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the ledger as JSON lines.")] = False,
) -> None:
    """Work on a spec until there is a pull request."""
    from nightmill.cli import asking

    raise typer.Exit(
        asking.run(
            spec,
            model=model,
            base_url=base_url,
            blueprint=blueprint,
            project=project,
            base=base,
            inputs=tuple(set_ or ()),
            detach=detach,
            json=json,
        )
    )


def worker(
    until_idle: Annotated[float | None, typer.Option(help="End after so many seconds without work.")] = None,
    on_word: Annotated[
        bool, typer.Option("--on-word", help="Get ready, then wait for a line on standard input.", hidden=True)
    ] = False,
) -> None:
    """Work on runs until Ctrl-C. What it has in hand goes on with the next worker."""
    from nightmill.cli import serve

    raise typer.Exit(serve.worker(until_idle=until_idle, on_word=on_word))
