"""Processes: blueprint list, show, check, draw, approve, revoke, diff; explain and test stand beside it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nightmill.cli.explained import explain
from nightmill.cli.rehearsal import rehearsal

if TYPE_CHECKING:
    from nightmill.blueprint import Blueprint
    from nightmill.blueprint.approval import Standing
    from nightmill.blueprint.catalogue import Entry
    from nightmill.cli.processes import Processes

__all__ = ["register"]

blueprint_app = typer.Typer(
    help="Processes: which there are, what they do, who approved of them.", no_args_is_help=True
)

Where = Annotated[Path, typer.Option("--project", help="A folder in the repository.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A blueprint, or the file of one.")]

MARKS = {"shipped": "✓", "approved": "✓", "changed": "!", "not approved": "·", "broken": "✗"}
REFUSED = 2


def register(app: typer.Typer) -> None:
    """Add the commands."""
    blueprint_app.command("list")(list_blueprints)
    blueprint_app.command("test")(rehearsal)
    blueprint_app.command()(explain)
    for command in (show, check, draw, approve, revoke, diff):
        blueprint_app.command()(command)
    app.add_typer(blueprint_app, name="blueprint")


def list_blueprints(project: Where = Path(), json: Json = False) -> None:
    """List the blueprints: the project's, the operator's, the shipped; and whether they are approved."""
    from nightmill.cli.screen import print_json, say, table

    here = _here(project)
    rows = [(each, here.standing(each.name)) for each in here.catalogue.entries.values()]
    if json:
        print_json([{**_plain(each), "state": state.word, "why": state.said} for each, state in rows])
        return
    table(
        ("name", "v", "from", "state", "title"),
        [
            (
                each.name,
                str(each.blueprint.version) if each.blueprint else "?",
                each.place,
                f"{MARKS[state.word]} {_briefly(state)}",
                (each.blueprint.title if each.blueprint else each.faults[0]) if not each.faults else each.faults[0],
            )
            for each, state in rows
        ],
        spare=("v", "from"),
    )
    for each, _ in rows:
        if each.hides:
            say(f"note: {each.source} takes the place of {', '.join(each.hides)}")
    if here.project is None:
        say("there is no nightmill.yaml here, so these are the operator's and the shipped ones alone")


def show(
    name: Name,
    project: Where = Path(),
    source: Annotated[bool, typer.Option("--source", help="Print the file as it is.")] = False,
    json: Json = False,
) -> None:
    """Show a blueprint: what it is for, what it takes and gives, its steps, and who approved of it."""
    from nightmill.cli.described import described
    from nightmill.cli.screen import print_json, safe

    here = _here(project)
    entry = here.found(name)
    if source:
        sys.stdout.write(safe(entry.body.decode("utf-8", "backslashreplace")))
        return
    state = None if "/" in name else here.standing(entry.name)
    if json:
        values = _values(entry.blueprint) if entry.blueprint else None
        print_json({**_plain(entry), "state": state and state.word, "why": state and state.said, "blueprint": values})
        return
    said = f"{MARKS[state.word]} {state.said}" if state and state.word != "broken" else ""
    sys.stdout.write("\n".join(map(safe, described(entry, said))) + "\n")


def check(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME|FILE...", help="Blueprints or files; none: all that there are.")
    ] = None,
    project: Where = Path(),
    json: Json = False,
) -> None:
    """Say what is wrong with blueprints, each fault with its file and line. Exit status 0: nothing; 2: something."""
    from nightmill.cli.screen import print_json, safe, say
    from nightmill.report.words import count

    here = _here(project)
    found = [here.found(name) for name in names] if names else list(here.catalogue.entries.values())
    broken = [each for each in found if each.faults]
    if json:
        print_json([{"name": each.name, "file": each.source, "faults": each.faults} for each in found])
    else:
        lines = [line for each in broken for line in (*each.faults, *([f"  hint: {each.hint}"] if each.hint else []))]
        sys.stdout.write("".join(f"{safe(line)}\n" for line in lines))
        sys.stdout.flush()
        say(f"{count(len(found), 'blueprint')}, {len(broken) or 'none'} broken")
    raise typer.Exit(REFUSED if broken else 0)


def draw(
    name: Name,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The SVG file; else standard output.")] = None,
    project: Where = Path(),
) -> None:
    """Draw a blueprint as SVG, for light and dark pages, phones too."""
    from nightmill.blueprint.draw import svg
    from nightmill.cli.screen import say
    from nightmill.errors import SettingsError

    here = _here(project)
    text = svg(_whole(here.found(name)))
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{str(output)!r} cannot be written: {error.strerror}", hint="name another file") from error
    say(f"wrote {output}")


def approve(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A blueprint, as `blueprint list` names it.")],
    project: Where = Path(),
    digest: Annotated[
        str, typer.Option("--digest", help="Only if the file has this SHA-256 (or begins so), as `show` printed it.")
    ] = "",
) -> None:
    """Say yes to a blueprint as it is now, with all that it calls. Whoever changes it needs another yes."""
    from nightmill.cli.door import person
    from nightmill.cli.screen import say
    from nightmill.desk.consent import consent
    from nightmill.errors import SettingsError

    here = _here(project)
    state = here.standing(name)
    closure = here.catalogue.closure(name)
    own = closure.blueprints[0]
    if digest and not own.digest.startswith(digest):
        raise SettingsError(
            f"{own.source} is not what you looked at: its SHA-256 is {own.digest[:12]}…, not {digest!r}",
            hint=f"look again: nightmill blueprint diff {name}",
        )
    if state.may_run:
        say(f"nothing to do: {name} is {state.said}")
        return
    if here.project is None:
        raise SettingsError("an approval is for a project, and there is none here", hint="nightmill init")
    consent(here.door, here.catalogue, name, project=here.project.id, by=person())
    called = (
        f", with what it calls: {', '.join(each.name for each in closure.blueprints[1:])}"
        if closure.blueprints[1:]
        else ""
    )
    say(f"approved {name} version {own.version} ({own.digest[:12]}) for {here.project.id}{called}", style="green")


def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A blueprint, as `blueprint list` names it.")],
    digest: Annotated[
        str, typer.Option("--digest", help="Only of the file with this SHA-256 (or that begins so); else of every one.")
    ] = "",
    project: Where = Path(),
) -> None:
    """Take the approvals of a blueprint back, or the one of a version. Runs under way go on; none starts."""
    from nightmill.cli.door import person
    from nightmill.cli.screen import say
    from nightmill.errors import SettingsError
    from nightmill.store import blueprints

    here = _here(project)
    mine = [each for each in here.approvals if each.name == name and each.stands and each.digest.startswith(digest)]
    if not mine:
        raise SettingsError(f"no approval of {name!r} stands in this project", hint="nightmill blueprint list")
    gone = [each for each in mine if blueprints.revoke(here.door.database, each, by=person(), at=time.time())]
    say(f"revoked {len(gone)} of {name}: version {', '.join(str(each.version) for each in gone)}")


def diff(
    name: Name,
    other: Annotated[
        str, typer.Argument(metavar="[NAME|FILE]", help="Compare with this one; else with what was approved last.")
    ] = "",
    project: Where = Path(),
    json: Json = False,
) -> None:
    """Say how a blueprint differs from what was approved, or from another: by step in words, then the lines."""
    from nightmill.blueprint.difference import differences, lines
    from nightmill.cli.screen import print_json, safe, say

    here = _here(project)
    after = here.found(name)
    before, named = _before(here, after, other)
    found = differences(_read(before, named), _whole(after))
    text = lines(before, after.body, names=(named, after.source))
    if json:
        print_json({"before": named, "after": after.source, "steps": [each._asdict() for each in found], "text": text})
        return
    marks = {"added": "+", "removed": "-", "moved": "↕", "changed": "~"}
    said = [f"{marks[each.what]} {each.step or after.name}: {each.said}" for each in found]
    sys.stdout.write("".join(f"{safe(line)}\n" for line in [*said, *([""] if said and text else []), *text]))
    sys.stdout.flush()
    if not text:
        say(f"nothing differs from {named}")


def _briefly(state: Standing) -> str:
    """*state* in a few words, without addresses."""
    who = state.last.by.partition(" <")[0] if state.last else ""
    return {"approved": f"approved by {who}", "changed": f"changed since {who}"}.get(state.word, state.word)


def _before(here: Processes, after: Entry, other: str) -> tuple[bytes, str]:
    from nightmill.errors import SettingsError

    if other:
        found = here.found(other)
        return found.body, found.source
    last = next((each for each in here.approvals if each.name == after.name and each.stands), None)
    if last is None:
        raise SettingsError(f"no version of {after.name!r} was approved here", hint="name what to compare it with")
    return here.door.blobs.get(last.digest), f"{after.name} version {last.version}, approved by {last.by}"


def _read(body: bytes, named: str) -> Blueprint:
    from nightmill.blueprint import parse

    return parse(body, source=named)


def _here(project: Path) -> Processes:
    from nightmill.cli.door import open_door
    from nightmill.cli.processes import processes

    return processes(open_door(), project)


def _whole(entry: Entry) -> Blueprint:
    from nightmill.errors import SettingsError

    if entry.blueprint is None:
        raise SettingsError("\n".join(entry.faults), hint=entry.hint)
    return entry.blueprint


def _plain(entry: Entry) -> dict[str, Any]:
    read = entry.blueprint
    return {
        "name": entry.name,
        "version": read.version if read else None,
        "title": read.title if read else "",
        "from": entry.place,
        "file": entry.source,
        "digest": read.digest if read else None,
        "changes": read.changes if read else None,
        "cues": read.cues if read else (),
        "faults": entry.faults,
        "hides": entry.hides,
    }


def _values(blueprint: Blueprint) -> Any:
    from pydantic import TypeAdapter

    from nightmill.blueprint import Blueprint as Kind

    return TypeAdapter(Kind).dump_python(blueprint, mode="json")
