"""What a model was sent, turn by turn: rebuilt from the ledger, and compared with what went."""

from __future__ import annotations

from typing import Annotated

import typer

from nightmill.cli.completed import run_ids

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(requests)


def requests(
    run: Annotated[str, typer.Argument(metavar="RUN", autocompletion=run_ids, help="Id of a run, or its beginning.")],
    turn: Annotated[
        int | None, typer.Argument(metavar="[TURN]", min=1, help="Print the body of this turn's request.")
    ] = None,
    role: Annotated[str, typer.Option(help="Whose turns: explorers have names such as 'explorer 3.1'.")] = "",
) -> None:
    """Rebuild what a model was sent, turn by turn, and compare it with what went.

    With TURN the request's body is printed, byte for byte. The exit status is 1 if one is not what was sent.
    """
    import sys

    from nightmill.cli.door import open_door
    from nightmill.cli.screen import say, table
    from nightmill.errors import SettingsError
    from nightmill.line import replay
    from nightmill.line.assignment import read
    from nightmill.report.words import tokens

    door = open_door()
    found = door.runs.get(run)
    assignment = read(door.blobs.get(found.assignment))
    rebuilt = list(replay.requests(found.id, assignment=assignment, ledger=door.ledger, blobs=door.blobs))
    if role:
        rebuilt = [each for each in rebuilt if each.role == role]
    if turn is not None:
        own = (each for each in rebuilt if each.turn == turn)
        chosen = min(own, key=lambda each: each.role.startswith("explorer"), default=None)
        if chosen is None:
            raise SettingsError(
                f"{found.id} has no finished turn {turn}; it has {len(rebuilt)}", hint=f"nightmill requests {found.id}"
            )
        sys.stdout.buffer.write(chosen.body + b"\n")
        rebuilt = [chosen]
    elif rebuilt:
        rows = [
            (
                str(each.turn),
                each.role,
                f"{len(each.body):,}",
                "as sent" if each.same else "differs" if each.sent else "no reply",
                ", ".join(f"{share.name} {tokens(share.tokens)}" for share in each.shares[:3]),
            )
            for each in rebuilt
        ]
        table(("turn", "role", "bytes", "rebuilt", "mostly, in tokens"), rows, spare=("role",))
    else:
        say(f"{found.id} has no finished turn" + ("; its tasks have runs of their own" if found.kind == "spec" else ""))
    if any(each.sent and not each.same for each in rebuilt):
        say("what differs was sent by another version of nightmill, or a blob was exchanged")
        raise typer.Exit(1)
