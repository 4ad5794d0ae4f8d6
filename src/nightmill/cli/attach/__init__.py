"""Looking at a run as it goes, and taking part: attach."""

from __future__ import annotations

from typing import Annotated

import typer

from nightmill.cli.completed import run_ids

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(attach)


def attach(
    run: Annotated[str, typer.Argument(metavar="RUN", autocompletion=run_ids, help="Id of a run, or its beginning.")],
) -> None:
    """Look at a run as it goes, together with others, and say, approve, pause or cancel from there."""
    import secrets
    import sys
    from contextlib import suppress

    from nightmill.cli.desks import open_desk
    from nightmill.errors import NightmillError, SettingsError

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SettingsError("attach needs a terminal", hint=f"nightmill log --follow {run}")
    with open_desk() as acting, open_desk() as watching:
        found = acting.run(run)
        from nightmill.cli.attach.view import Attached

        terminal = secrets.token_hex(8)
        Attached(found, acting=acting, watching=watching, terminal=terminal).run()
        with suppress(NightmillError):  # it is forgotten soon, too, if nobody says so
            acting.attend(found.id, terminal, seconds=0.0)
