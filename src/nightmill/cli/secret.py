"""The operator's secrets and those of projects: secret set, list, remove, and here alone rotate."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["register"]

secret_app = typer.Typer(help="Secrets, kept encrypted and never shown again.", no_args_is_help=True)

Named = Annotated[
    str, typer.Argument(help="What `credentials.yaml` calls it, as secret:NAME; or a provider's ..._API_KEY.")
]


Project = Annotated[
    str,
    typer.Option(
        metavar="ID", help="Only for this project, in place of the operator's; its id, as `project list` has it."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (set_, remove, rotate):
        secret_app.command(name=command.__name__.rstrip("_"))(command)
    secret_app.command(name="list")(list_)
    app.add_typer(secret_app, name="secret")


def set_(name: Named, project: Project = "") -> None:
    """Keep the secret that comes on standard input; one of this name is replaced. Workers read it when they start."""
    import sys
    from getpass import getpass

    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import say

    value = getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.read(1 << 16).rstrip("\r\n")
    with open_office() as office:
        office.keep_secret(name, value, project=project)
    say(f"{name} is kept; nothing shows it again")


def list_(project: Project = "", json: Json = False) -> None:
    """List the names, what takes each, and when and by whom it was set."""
    from dataclasses import asdict

    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import print_json, say, table, when

    with open_office() as office:
        found = office.secrets(project)
    if json:
        print_json(
            [
                {
                    **asdict(each),
                    "kept": each.kept and each.kept._asdict(),
                    "uses": [use._asdict() for use in each.uses],
                }
                for each in found
            ]
        )
        return
    there = [each for each in found if project or each.kept or each.others]
    if not there:
        say("no secrets are kept" if not project else f"no credential of {project} takes a secret")
        return
    rows = [
        (
            each.name,
            ", ".join(use.by for use in each.uses) or "nothing",
            when(each.kept.at) if each.kept else "not set",
            each.kept.by if each.kept else "",
            ", ".join(other or "the operator's" for other in each.others),
        )
        for each in there
    ]
    table(("name", "taken by", "set", "by", "else" if project else "own of"), rows, spare=("by",), wrap=True)


def remove(name: Named, project: Project = "") -> None:
    """Delete a secret. A server keeps the last one that a credential takes."""
    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import say

    with open_office() as office:
        office.remove_secret(name, project=project)
    say(f"{name} is gone")


def rotate() -> None:
    """Encrypt all anew, on the machine of the store: under NIGHTMILL_SECRET_KEY_NEW, or else under a new key in the home."""
    from nightmill.cli.door import new_key, open_door
    from nightmill.cli.screen import say

    door, new = open_door(), new_key()
    count = door.vault.rotate(new)
    where = "NIGHTMILL_SECRET_KEY_NEW, which is NIGHTMILL_SECRET_KEY from now on" if new else "a new key in the home"
    say(f"{count} secrets are under {where}")
