"""Who acts for you: crew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nightmill.crew import Role
    from nightmill.desk.own import Belongings
    from nightmill.policy import Record

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(crew)


def crew(
    role: Annotated[str, typer.Argument(metavar="ROLE", help="Show this role's instructions.")] = "",
    project: Annotated[Path, typer.Option(help="The repository.")] = Path(),
    memory: Annotated[
        bool, typer.Option("--memory", help="Show what the role remembers of the project, and where that is kept.")
    ] = False,
    forget: Annotated[
        int | None, typer.Option(metavar="NUMBER", min=1, help="Take this note out of what the role remembers.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the roles that act in a project: what each may write, where it comes from, what it asks, what went wrong."""
    from dataclasses import asdict

    from nightmill.cli.own import open_belongings
    from nightmill.cli.screen import print_json, say, table
    from nightmill.errors import SettingsError

    if (memory or forget) and not role:
        raise SettingsError("whose memory is not said", hint="nightmill crew ROLE --memory")
    with open_belongings(project) as here:
        found = here.team()
        if memory or forget:
            _remember(here, found.crew.role(role).name, forget=forget, json=json)
            return
    if role:
        _show(found.crew.role(role), json=json)
        return
    if json:
        print_json({**asdict(found.crew), "records": [asdict(each) for each in found.records]})
        return
    wrong = {each.name: _wrong([one for one in found.records if one.role == each.name]) for each in found.crew.roles}
    rows = [
        (each.name, each.writes, _source(each), each.point_of_view or each.description, wrong[each.name])
        for each in found.crew.roles
    ]
    table(("role", "writes", "from", "asks", "went wrong"), rows, spare=("from",), wrap=True)
    for note in found.crew.notes:
        say(f"! {note}")


def _wrong(found: list[Record]) -> str:
    return "; ".join(
        f"{each.kind} {each.times} ({each.model}): {each.measure}"
        + (f", without {', '.join(each.takes)}" if each.takes else "")
        for each in found
    )


def _remember(here: Belongings, role: str, *, forget: int | None, json: bool) -> None:
    """Show what *role* remembers of the project that is *here*, or take the note of the number *forget* out of it."""
    import sys

    from nightmill.cli.screen import print_json, safe, say
    from nightmill.errors import RepoError, SettingsError

    page = here.remembered(role)
    if json and not forget:
        print_json({"notes": page.notes, "trouble": page.trouble, "folder": page.folder, "project": here.id})
        return
    if page.trouble and (forget or not page.notes):
        where = f"git clone {page.folder}, mend it there, and push" if page.folder else "mend it where the server runs"
        raise RepoError(page.trouble, hint=where)
    if forget:
        if forget > len(page.notes):
            raise SettingsError(
                f"the {role} has no note {forget} of {here.id!r}", hint=f"nightmill crew {role} --memory lists them"
            )
        here.forget(role, forget, page.notes[forget - 1])
        say(f"the {role} is not told any more: {page.notes[forget - 1]}")
        return
    for number, note in enumerate(page.notes, 1):
        sys.stdout.write(safe(f"{number:>3}  {note}") + "\n")
    sys.stdout.flush()
    if not page.notes:
        say(f"the {role} remembers nothing of {here.id}")
    if page.folder:
        say(f"kept in {page.folder} as {here.id}/{role}.md; to edit it: git clone {page.folder}, and push")


def _show(role: Role, *, json: bool) -> None:
    import sys
    from dataclasses import asdict

    from nightmill.cli.screen import print_json, safe

    if json:
        print_json(asdict(role))
        return
    tools = "all that a step offers" if role.tools is None else ", ".join(role.tools) or "none"
    head = [f"{role.name}: {role.description}", f"from {_source(role)} · writes {role.writes} · tools: {tools}"]
    head += [f"model {role.model}"] if role.model else []
    sys.stdout.write(safe("\n".join((*head, "", role.instructions))) + "\n")


def _source(role: Role) -> str:
    return "nightmill" if role.source.startswith("nightmill/crew/roles/") else role.source
