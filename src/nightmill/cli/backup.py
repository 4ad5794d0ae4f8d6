"""The home as one file: backup, restore."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(backup)
    app.command()(restore)


def backup(
    file: Annotated[Path, typer.Argument(help="Where to write it: a new file, outside of the home.")],
) -> None:
    """Write everything that nightmill keeps to one file, while its workers work. It holds keys: guard it as the home."""
    import time

    from nightmill.cli.door import open_door
    from nightmill.cli.screen import say
    from nightmill.desk import backup as keeping

    settings = open_door().settings
    say(f"· copying what {settings.home} holds")
    packed = keeping.backup(settings.home, file.absolute(), store=settings.store, at=time.time())
    say(f"wrote {packed.entries:,} files and folders, {packed.bytes / 1e6:,.1f} MB, to {file}")


def restore(file: Annotated[Path, typer.Argument(help="What `backup` wrote.")]) -> None:
    """Make a home of a backup, where there is none. Its runs go on with the next worker: let only one of both go on."""
    from nightmill.cli.door import open_door
    from nightmill.cli.screen import say, when
    from nightmill.desk import backup as keeping

    settings = open_door().settings
    home = settings.home
    say(f"· unpacking into {home}, and comparing each file with its hash")
    head = keeping.restore(file, home, store=settings.store)
    say(f"{home} is what {head.home} was at {when(head.at)}; `nightmill ledger verify` proves its ledger")
