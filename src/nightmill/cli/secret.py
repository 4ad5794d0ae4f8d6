"""The operator's secrets: secret set, list, remove, rotate."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["register"]

secret_app = typer.Typer(help="Secrets, kept encrypted and never shown again.", no_args_is_help=True)

Named = Annotated[
    str, typer.Argument(help="What `credentials.yaml` calls it, as secret:NAME; or a provider's ..._API_KEY.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (set_, remove, rotate):
        secret_app.command(name=command.__name__.rstrip("_"))(command)
    secret_app.command(name="list")(list_)
    app.add_typer(secret_app, name="secret")


def set_(name: Named) -> None:
    """Keep the secret that comes on standard input; one of this name is replaced. Workers read it when they start."""
    import sys
    import time
    from getpass import getpass

    from nightmill.cli.door import vault
    from nightmill.cli.screen import say

    value = getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.read(1 << 16).rstrip("\r\n")
    vault().put(name, value, at=time.time())
    say(f"{name} is kept; nothing shows it again")


def list_() -> None:
    """List the names, and when each was set."""
    from nightmill.cli.door import vault
    from nightmill.cli.screen import say, table, when

    names = vault().names()
    if not names:
        say("no secrets are kept")
        return
    table(["name", "set"], [[name, when(at)] for name, at in names.items()])


def remove(name: Named) -> None:
    """Delete a secret."""
    from nightmill.cli.door import vault
    from nightmill.cli.screen import say

    vault().remove(name)
    say(f"{name} is gone")


def rotate() -> None:
    """Encrypt all anew: under NIGHTMILL_SECRET_KEY_NEW, or else under a new key in the home."""
    from nightmill.cli.door import new_key, vault
    from nightmill.cli.screen import say

    new = new_key()
    count = vault().rotate(new)
    where = "NIGHTMILL_SECRET_KEY_NEW, which is NIGHTMILL_SECRET_KEY from now on" if new else "a new key in the home"
    say(f"{count} secrets are under {where}")
