"""Who is let in at the server's doors: person list, invite, grant, remove; token list, make, revoke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nightmill.access import Grant
    from nightmill.cli.door import Door
    from nightmill.store.keys import Keys
    from nightmill.store.people import People

__all__ = ["register"]

person_app = typer.Typer(help="Who is let in at the server's doors.", no_args_is_help=True)
token_app = typer.Typer(help="What programs show to be let in.", no_args_is_help=True)

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="Mail address.")]
Roles = Annotated[
    list[str], typer.Argument(metavar="ROLE…", help="viewer, operator, approver, admin; of one project: ROLE@PROJECT.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    person_app.command("list")(list_people)
    for command in (invite, grant, remove):
        person_app.command()(command)
    token_app.command("list")(list_tokens)
    for token in (make, revoke):
        token_app.command()(token)
    app.add_typer(person_app, name="person")
    app.add_typer(token_app, name="token")


def list_people(json: Json = False) -> None:
    """List everybody who was ever let in, with their roles."""
    from dataclasses import asdict

    from nightmill.cli.door import open_door
    from nightmill.cli.screen import print_json, say, table, when

    found = _people(open_door()).everybody()
    if json:
        print_json([asdict(each) for each in found])
    elif not found:
        say("nobody is let in yet: nightmill person invite ADDRESS admin")
    else:
        rows = [
            (
                each.address,
                each.name,
                f"shut out {when(each.removed)}" if each.removed else ", ".join(map(_shown, each.grants)) or "no role",
                when(each.added),
            )
            for each in found
        ]
        table(("address", "name", "roles", "since"), rows, spare=("since", "name"), wrap=True)


def invite(
    address: Address,
    roles: Roles,
    origin: Annotated[str, typer.Option(help="Where browsers find the server.")] = "",
) -> None:
    """Make a link with which somebody chooses a password, good once and for three days. Somebody who lost theirs gets it the same way."""
    import sys

    from nightmill.cli.door import open_door, person

    door = open_door()
    secret = _people(door).invite(address, grants=[_grant(each) for each in roles], by=person())
    sys.stdout.write(f"{origin.rstrip('/')}/welcome/{secret}\n")


def grant(address: Address, roles: Roles) -> None:
    """Give somebody exactly these roles in the projects that are named; `none@PROJECT` takes all of one away."""
    from nightmill.access import ROLES
    from nightmill.cli.door import open_door, person
    from nightmill.cli.screen import say
    from nightmill.errors import SettingsError

    people = _people(open_door())
    wanted: dict[str, set[Any]] = {}
    for each in roles:
        name, _, project = each.partition("@")
        if name not in {*ROLES, "none"}:
            raise SettingsError(f"there is no role {name!r}", hint=f"there are {', '.join(ROLES)}, and none")
        wanted.setdefault(project, set()).update({name} - {"none"})
    for project, names in wanted.items():
        people.grant(address, project, names, by=person())
    found = people.find(address)
    say(f"{address}: {', '.join(map(_shown, found.grants)) or 'no role' if found else ''}")


def remove(address: Address) -> None:
    """Shut somebody out. Their sessions and tokens end now; what they did stays theirs."""
    from nightmill.cli.door import open_door, person
    from nightmill.cli.screen import say

    _people(open_door()).remove(address, by=person())
    say(f"{address} is not let in any more")


def list_tokens(json: Json = False) -> None:
    """List all tokens that are good, without what they are shown by."""
    from dataclasses import asdict

    from nightmill.cli.door import open_door
    from nightmill.cli.screen import print_json, say, table, when

    found = _keys(open_door()).tokens()
    if json:
        print_json([asdict(each) for each in found])
    elif not found:
        say("there are no tokens")
    else:
        rows = [
            (each.name, each.address, ", ".join(each.scopes), when(each.used), when(each.expires)) for each in found
        ]
        table(("name", "of", "scopes", "used", "until"), rows, spare=("used", "scopes"), wrap=True)


def make(
    address: Address,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called.")],
    scope: Annotated[list[str], typer.Option(help="view, operate, approve or administer; again for more.")] = ["view"],  # noqa: B006
    days: Annotated[int, typer.Option(min=1, max=366, help="How long it is good.")] = 90,
) -> None:
    """Make a token for a program of somebody, and print it, this once."""
    import sys

    from nightmill.cli.door import open_door
    from nightmill.errors import SettingsError
    from nightmill.store.keys import DAY

    door = open_door()
    owner = _people(door).known(address)
    if owner is None:
        raise SettingsError(f"{address} is not let in", hint="nightmill person invite ADDRESS ROLE")
    secret = _keys(door).make(name, owner=owner, scopes=scope, seconds=days * DAY)  # type: ignore[arg-type]  # it judges them
    sys.stdout.write(f"{secret}\n")


def revoke(address: Address, name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called.")]) -> None:
    """End a token now."""
    from nightmill.cli.door import open_door, person
    from nightmill.cli.screen import say

    _keys(open_door()).revoke(name, owner=address, by=person())
    say(f"the token {name!r} of {address} is not good any more")


def _people(door: Door) -> People:
    import time

    from nightmill.store.people import People

    return People(door.database, time.time)


def _keys(door: Door) -> Keys:
    import time

    from nightmill.store.keys import Keys

    return Keys(door.database, time.time, known=_people(door).known)


def _grant(text: str) -> Grant:
    from nightmill.access import ROLES, Grant
    from nightmill.errors import SettingsError

    name, _, project = text.partition("@")
    for role in ROLES:
        if role == name:
            return Grant(role=role, project=project)
    raise SettingsError(
        f"there is no role {name!r}", hint=f"there are {', '.join(ROLES)}; of one project: ROLE@PROJECT"
    )


def _shown(grant: Grant) -> str:
    return f"{grant.role}@{grant.project}" if grant.project else grant.role
