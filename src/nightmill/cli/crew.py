"""Who acts for you: crew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nightmill.cli.door import Door
    from nightmill.crew import Role
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

    from nightmill.cli.door import open_door
    from nightmill.cli.screen import print_json, say, table
    from nightmill.crew import find, in_folder
    from nightmill.errors import SettingsError

    door = open_door()
    top = project.resolve()
    root = next((folder for folder in (top, *top.parents) if (folder / "nightmill.yaml").is_file()), top)
    found = find(project=in_folder(root), operator=in_folder(door.settings.home, ("crew",)))
    if memory or forget:
        if not role:
            raise SettingsError("whose memory is not said", hint="nightmill crew ROLE --memory")
        _remember(door, door.project(root).id, found.role(role).name, forget=forget, json=json)
        return
    if role:
        _show(found.role(role), json=json)
        return
    records = _records(door, root)
    if json:
        print_json({**asdict(found), "records": [asdict(each) for each in records]})
        return
    wrong = {each.name: _wrong([record for record in records if record.role == each.name]) for each in found.roles}
    rows = [
        (each.name, each.writes, _source(each), each.point_of_view or each.description, wrong[each.name])
        for each in found.roles
    ]
    table(("role", "writes", "from", "asks", "went wrong"), rows, spare=("from",), wrap=True)
    for note in found.notes:
        say(f"! {note}")


def _records(door: Door, root: Path) -> tuple[Record, ...]:
    """What the roles did wrong of late in the project whose folder is *root*, if it is one that can be read."""
    from nightmill.errors import SettingsError
    from nightmill.estate.rules import holding
    from nightmill.policy import WINDOW, records
    from nightmill.store import mistakes

    if not door.settings.store and not (door.settings.home / "nightmill.db").exists():
        return ()
    try:
        project = door.project(root)
        ladder = holding(project, home=door.settings.home).ladder
    except SettingsError:  # the commands that need it say what is wrong with it
        return ()
    made = mistakes.recent(door.database, project.id, runs=WINDOW)
    return records(ladder, ((each.role, each.model, each.kind) for each in made))


def _wrong(found: list[Record]) -> str:
    return "; ".join(
        f"{each.kind} {each.times} ({each.model}): {each.measure}"
        + (f", without {', '.join(each.takes)}" if each.takes else "")
        for each in found
    )


def _remember(door: Door, project: str, role: str, *, forget: int | None, json: bool) -> None:
    """Show what *role* remembers of *project*, or take the note of the number *forget* out of it."""
    import sys
    import time
    from email.utils import parseaddr

    from nightmill.cli.door import person
    from nightmill.cli.screen import print_json, safe, say
    from nightmill.crew import Memory
    from nightmill.crew.memory import Person
    from nightmill.errors import RepoError

    kept = Memory(door.settings.home)
    if forget:
        name, mail = parseaddr(person())
        line = kept.forget(project, role, forget, author=Person(name=name, email=mail), at=time.time())
        say(f"the {role} is not told any more: {line}")
        return
    page = kept.page(project, role)
    if json:
        print_json({"notes": page.notes, "trouble": page.trouble, "folder": str(kept.folder), "project": project})
        return
    for number, note in enumerate(page.notes, 1):
        sys.stdout.write(safe(f"{number:>3}  {note}") + "\n")
    sys.stdout.flush()
    if page.trouble:
        raise RepoError(page.trouble, hint=f"git clone {kept.folder}, mend it there, and push")
    if not page.notes:
        say(f"the {role} remembers nothing of {project}")
    if kept.folder.exists():
        say(f"kept in {kept.folder} as {project}/{role}.md; to edit it: git clone {kept.folder}, and push")


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
