"""Going on from an earlier moment of a run, with what is edited there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nightmill.cli.completed import run_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rewind)


def rewind(
    run: Annotated[str, typer.Argument(metavar="RUN", autocompletion=run_ids, help="Id of a run, or its beginning.")],
    to: Annotated[
        str, typer.Option("--to", metavar="[ROLE/]TURN", help="The turn after which to go on; 0: before the first.")
    ] = "",
    instruction: Annotated[str, typer.Option(help="What the agent is told first, as your word.")] = "",
    file: Annotated[
        list[str] | None, typer.Option(metavar="PATH=LOCAL", help="Put the file LOCAL in the checkout, as PATH.")
    ] = None,
    delete: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Delete the file PATH of the checkout.")
    ] = None,
    result: Annotated[
        list[str] | None,
        typer.Option(metavar="CALL=TEXT", help="What a tool call of that turn gave, by number or id; or CALL=@FILE."),
    ] = None,
    answer: Annotated[
        str, typer.Option(metavar="QUESTION=TEXT", help="Go on from a question that a person answered, with this.")
    ] = "",
) -> None:
    """Go on from an earlier moment of a run, as a new run, with all as it was then, or as you edit it. The old run stays."""
    import sys

    from nightmill.cli.desks import open_desk
    from nightmill.cli.screen import IDLE, say
    from nightmill.kept import Back

    role, _, number = to.rpartition("/")
    back = Back(
        turn=_number(number) if to else None,
        role=role,
        instruction=instruction,
        files={path: _body(local) for path, local in _pairs(file or (), "--file", "PATH=LOCAL")},
        gone=tuple(delete or ()),
        results={call: _text(text) for call, text in _pairs(result or (), "--result", "CALL=TEXT")},
        answers=dict(_pairs([answer] if answer else (), "--answer", "QUESTION=TEXT")),
    )
    with open_desk() as desk:
        made = desk.rewind(run, back)
        sys.stdout.write(f"{made.id}\n")
        sys.stdout.flush()
        old = desk.run(run).id
        say(f"it goes on from {old}; watch it with: nightmill log --follow {made.id}")
        say(f"once it has gone on: nightmill compare {old} {made.id}")
        if desk.idle():
            say(IDLE)


def _number(text: str) -> int:
    from nightmill.errors import SettingsError

    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise SettingsError(f"--to takes the number of a turn, or ROLE/TURN, and {text!r} is none", hint="--to 3")
    return int(text)


def _pairs(given: Sequence[str], option: str, form: str) -> list[tuple[str, str]]:
    from nightmill.errors import SettingsError

    for each in given:
        if not each.partition("=")[0] or "=" not in each:
            raise SettingsError(f"{option} takes {form}, and {each!r} is not of that form", hint=f"{option} {form}")
    return [(each.partition("=")[0], each.partition("=")[2]) for each in given]


def _text(given: str) -> str:
    return _body(given[1:]).decode("utf-8", "replace") if given.startswith("@") else given


def _body(path: str) -> bytes:
    from nightmill.errors import SettingsError

    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{path!r} cannot be read: {error.strerror}", hint="name a file that you can read"
        ) from error
