"""What agents noted for the runs after theirs: notes list, notes forget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]

notes_app = typer.Typer(help="What agents of earlier runs noted, which later runs are given.", no_args_is_help=True)

Project = Annotated[Path, typer.Option(help="The repository.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    notes_app.command("list")(list_notes)
    notes_app.command()(forget)
    app.add_typer(notes_app, name="notes")


def list_notes(
    project: Project = Path(), json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """List the notes of a project, newest first."""
    from dataclasses import asdict

    from nightmill.cli.own import open_belongings
    from nightmill.cli.screen import print_json, say, table, when

    with open_belongings(project) as here:
        found = here.notes()
    if json:
        print_json([{"id": each.id, **asdict(each)} for each in found])
    elif not found:
        say("no agent has noted anything yet")
    else:
        rows = [[each.id, when(each.at), each.kind.replace("_", " "), each.text] for each in found]
        table(["note", "made", "kind", "text"], rows, wrap=True)


def forget(
    ids: Annotated[list[str] | None, typer.Argument(metavar="NOTE...", help="Ids, as `notes list` gives them.")] = None,
    project: Project = Path(),
    everything: Annotated[bool, typer.Option("--all", help="All notes of the project.")] = False,
) -> None:
    """Delete notes: no later run is given them. A run that was already given one keeps it."""
    from nightmill.cli.own import open_belongings
    from nightmill.cli.screen import say
    from nightmill.errors import SettingsError

    if bool(ids) == everything:
        raise SettingsError("name notes, or give --all", hint="nightmill notes list")
    with open_belongings(project) as here:
        gone = here.forget_notes(ids or None)
    say(f"{gone} deleted")
