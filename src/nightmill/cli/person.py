"""Who is let in at a server's doors, here or there: person list, invite, grant, remove; token list, make, revoke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nightmill.access import Grant, Who

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
    """List everybody who was ever let in or is invited now, with their roles."""
    from dataclasses import asdict

    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import print_json, say, table, when

    with open_office() as office:
        found = office.people()
    if json:
        print_json([asdict(each) for each in found])
    elif not found:
        say("nobody is let in yet: nightmill person invite ADDRESS admin")
    else:
        rows = [
            (
                each.address,
                each.name,
                _standing(each),
                when(each.added) if each.added else "",
            )
            for each in found
        ]
        table(("address", "name", "roles", "since"), rows, spare=("since", "name"), wrap=True)


def invite(
    address: Address,
    roles: Roles,
    origin: Annotated[
        str, typer.Option(help="Where browsers find the server of the store here; one elsewhere says it itself.")
    ] = "",
) -> None:
    """Make a link with which somebody chooses a password, good once and for three days. Somebody who lost theirs gets it the same way."""
    from nightmill.cli.door import settings
    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import put
    from nightmill.errors import SettingsError

    if origin and (server := settings().server):
        raise SettingsError(f"the server {server!r} says itself where browsers find it", hint="leave out --origin")
    grants = [_grant(each) for each in roles]
    with open_office() as office:
        link = office.invite(address, grants=grants)
    put(f"{origin.rstrip('/')}{link}")


def grant(address: Address, roles: Roles) -> None:
    """Give somebody exactly these roles in the projects that are named; `none@PROJECT` takes all of one away."""
    from nightmill.access import ROLES
    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import say
    from nightmill.errors import SettingsError

    wanted: dict[str, set[Any]] = {}
    for each in roles:
        name, _, project = each.partition("@")
        if name not in {*ROLES, "none"}:
            raise SettingsError(f"there is no role {name!r}", hint=f"there are {', '.join(ROLES)}, and none")
        wanted.setdefault(project, set()).update({name} - {"none"})
    with open_office() as office:
        found = [office.grant(address, project, names) for project, names in wanted.items()][-1]
    say(f"{address}: {', '.join(map(_shown, found.grants)) or 'no role'}")


def remove(address: Address) -> None:
    """Shut somebody out. Their sessions, tokens and invitations end now; what they did stays theirs."""
    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import say

    with open_office() as office:
        office.shut_out(address)
    say(f"{address} is not let in any more")


def list_tokens(json: Json = False) -> None:
    """List the tokens that are good, without what they are shown by. At a server one's own, unless one administers everything."""
    from dataclasses import asdict

    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import print_json, say, table, when

    with open_office() as office:
        found = office.tokens()
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
    """Make a token for a program of somebody, and print it, this once. At a server: of oneself, and within the token that one shows."""
    from nightmill.access import ACTS
    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import put, say, when
    from nightmill.errors import SettingsError

    if unknown := sorted(set(scope) - set(ACTS)):
        raise SettingsError(f"there is no scope {unknown[0]!r}", hint=f"there are {', '.join(ACTS)}")
    with open_office() as office:
        made = office.make_token(address, name, scopes=[each for each in ACTS if each in scope], days=days)
    if made.short:
        say("it is good no longer than the token that it was made with; one that is, is made at the server's /settings")
    say(f"the token {name!r} of {address} is good until {when(made.expires)}; shown this once:")
    put(made.secret)


def revoke(address: Address, name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called.")]) -> None:
    """End a token now, and those that were made with it."""
    from nightmill.cli.offices import open_office
    from nightmill.cli.screen import say

    with open_office() as office:
        office.revoke_token(address, name)
    say(f"the token {name!r} of {address} is not good any more")


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


def _standing(who: Who) -> str:
    """What *who* may do, and what of it only once they use their invitation."""
    from nightmill.cli.screen import when

    roles = ", ".join(map(_shown, who.grants)) or "no role"
    invited = f"invited until {when(who.invited)}" if who.invited else ""
    if who.let_in:
        return f"{roles}; {invited} again" if invited else roles
    return f"{invited}: {roles}" if invited else f"shut out {when(who.removed)}"


def _shown(grant: Grant) -> str:
    return f"{grant.role}@{grant.project}" if grant.project else grant.role
