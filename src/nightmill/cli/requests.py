"""What a model was sent, turn by turn: rebuilt from the ledger, and compared with what went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nightmill.cli.completed import run_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightmill.desk.requested import Requested
    from nightmill.kept import Run

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

    from nightmill.cli.desks import open_desk
    from nightmill.cli.screen import IN_JSON, safe, say

    with open_desk() as desk:
        found = desk.run(run)
        if turn is None:
            made = [each for each in desk.requested(found.id) if not role or each.role == role]
            _list(found, made)
        else:
            sent = desk.request(found.id, turn, role=role)
            if sys.stdout.isatty():  # the same in JSON, without what moves a cursor
                sys.stdout.write(f"{safe(sent.body.translate(IN_JSON))}\n")
            else:
                sys.stdout.buffer.write(sent.body.encode("utf-8", "surrogateescape") + b"\n")
            made = [sent.request]
            if sent.hidden:
                say("· what looks like a secret is hidden in it; where the store is it is printed byte for byte")
    if any(each.rebuilt == "differs" for each in made):
        say("what differs was sent by another version of nightmill, or a blob was exchanged")
        raise typer.Exit(1)


def _list(run: Run, made: Sequence[Requested]) -> None:
    from nightmill.cli.screen import say, table
    from nightmill.report.words import tokens

    if not made:
        say(f"{run.id} has no finished turn" + ("; its tasks have runs of their own" if run.kind == "spec" else ""))
        return
    rows = [
        (
            str(each.turn),
            each.role,
            f"{each.size:,}",
            each.rebuilt,
            ", ".join(f"{share.name} {tokens(share.tokens)}" for share in each.shares),
        )
        for each in made
    ]
    table(("turn", "role", "bytes", "rebuilt", "mostly, in tokens"), rows, spare=("role",))
