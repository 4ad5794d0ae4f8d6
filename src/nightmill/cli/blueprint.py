"""Processes: blueprint list, show, check, draw, approve, revoke, diff; explain and test stand beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nightmill.cli.explained import explain
from nightmill.cli.rehearsal import rehearsal

if TYPE_CHECKING:
    from nightmill.blueprint import Blueprint
    from nightmill.blueprint.catalogue import Entry
    from nightmill.desk.own import Process, Repertoire

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
    from nightmill.cli.own import open_repertoire
    from nightmill.cli.screen import print_json, say, table

    with open_repertoire(project) as here:
        found, inside = here.listed(), bool(here.id)
    if json:
        print_json([_plain(each) for each in found])
        return
    table(
        ("name", "v", "from", "state", "title"),
        [
            (
                each.name,
                "?" if each.version is None else str(each.version),
                each.place,
                f"{MARKS[each.state]} {_briefly(each)}",
                each.faults[0] if each.faults else each.title,
            )
            for each in found
        ],
        spare=("v", "from"),
    )
    for each in found:
        if each.hides:
            say(f"note: {each.source} takes the place of {', '.join(each.hides)}")
    if not inside:
        say("there is no nightmill.yaml here, so these are the operator's and the shipped ones alone")


def show(
    name: Name,
    project: Where = Path(),
    source: Annotated[bool, typer.Option("--source", help="Print the file as it is.")] = False,
    json: Json = False,
) -> None:
    """Show a blueprint: what it is for, what it takes and gives, its steps, and who approved of it."""
    from nightmill.cli.described import described
    from nightmill.cli.own import open_process
    from nightmill.cli.screen import print_json, safe
    from nightmill.desk.processes import is_file

    with open_process(name, project) as (here, called):
        process, entry = here.whole(called)
    if source:
        sys.stdout.write(safe(entry.body.decode("utf-8", "backslashreplace")))
        return
    plain = _plain(process)
    if is_file(name):  # whether it is approved of is asked of a project
        plain |= {"state": None, "why": None}
    if json:
        print_json({**plain, "blueprint": _values(entry.blueprint) if entry.blueprint else None})
        return
    said = f"{MARKS[process.state]} {process.why}" if plain["state"] not in {None, "broken"} else ""
    sys.stdout.write(
        "\n".join(map(safe, described(entry, said, closure=process.closure if process.calls else ""))) + "\n"
    )


def check(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME|FILE...", help="Blueprints or files; none: all that there are.")
    ] = None,
    project: Where = Path(),
    json: Json = False,
) -> None:
    """Say what is wrong with blueprints, each fault with its file and line. Exit status 0: nothing; 2: something."""
    from nightmill.cli.own import here
    from nightmill.cli.screen import print_json, safe, say
    from nightmill.report.words import count

    processes = here(project)
    found = [processes.chosen(name)[0] for name in names] if names else list(processes.catalogue.entries.values())
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
    from nightmill.cli.own import open_process
    from nightmill.cli.screen import say
    from nightmill.errors import SettingsError

    with open_process(name, project) as (here, called):
        text = svg(_whole(here.whole(called).entry))
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
        str,
        typer.Option(
            "--digest",
            help="Only if the SHA-256 of its file, or of it with all that it calls, begins so, as `show` printed it. "
            "Through a server it has to be said.",
        ),
    ] = "",
) -> None:
    """Say yes to a blueprint as it is now, with all that it calls. Whoever changes it needs another yes."""
    from nightmill.cli.door import settings
    from nightmill.cli.own import open_repertoire
    from nightmill.cli.screen import say
    from nightmill.errors import SettingsError

    with open_repertoire(project) as here:
        process = here.whole(name).process
        _must_be_seen(process, digest, afar=bool(settings().server))
        if not process.closure:
            raise SettingsError("\n".join(process.faults) or process.why, hint=process.hint)
        if process.may_run:
            say(f"nothing to do: {name} is {process.why}")
            return
        here.approve(name, closure=process.closure)
        called = f", with what it calls: {', '.join(process.calls)}" if process.calls else ""
        version = f"version {process.version} ({(process.digest or '')[:12]})"
        say(f"approved {name} {version} for {here.id}{called}", style="green")


def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A blueprint, as `blueprint list` names it.")],
    digest: Annotated[
        str, typer.Option("--digest", help="Only of the file with this SHA-256 (or that begins so); else of every one.")
    ] = "",
    project: Where = Path(),
) -> None:
    """Take the approvals of a blueprint back, or the one of a version. Runs under way go on; none starts."""
    from nightmill.cli.own import open_repertoire
    from nightmill.cli.screen import say

    with open_repertoire(project) as here:
        gone = here.revoke(name, digest=digest)
    say(f"revoked {len(gone)} of {name}: version {', '.join(map(str, gone))}")


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
    from nightmill.cli.own import open_process
    from nightmill.cli.screen import print_json, safe, say

    with open_process(name, project) as (here, called):
        after = here.whole(called).entry
        before, named = (b"", "") if other else _approved(here, called)
    if other:
        with open_process(other, project) as (there, called):
            found = there.whole(called).entry
        before, named = found.body, found.source
    steps = differences(_read(before, named), _whole(after))
    text = lines(before, after.body, names=(named, after.source))
    if json:
        print_json({"before": named, "after": after.source, "steps": [each._asdict() for each in steps], "text": text})
        return
    marks = {"added": "+", "removed": "-", "moved": "↕", "changed": "~"}
    said = [f"{marks[each.what]} {each.step or after.name}: {each.said}" for each in steps]
    sys.stdout.write("".join(f"{safe(line)}\n" for line in [*said, *([""] if said and text else []), *text]))
    sys.stdout.flush()
    if not text:
        say(f"nothing differs from {named}")


def _must_be_seen(process: Process, digest: str, *, afar: bool) -> None:
    """Refuse a yes to what the person has not looked at: what is here they have, of a server's they say which."""
    from nightmill.errors import SettingsError

    own = process.digest or ""
    if afar and not digest and not process.may_run:
        raise SettingsError(
            f"it is not said which {process.name} you looked at",
            hint=f"nightmill blueprint show {process.name} prints its SHA-256; give that with --digest",
        )
    if digest and not (own.startswith(digest) or process.closure.startswith(digest)):
        raise SettingsError(
            f"{process.source} is not what you looked at: its SHA-256 is {own[:12]}…, not {digest!r}",
            hint=f"look again: nightmill blueprint diff {process.name}",
        )
    if afar and digest and process.calls and not process.closure.startswith(digest):
        raise SettingsError(
            f"{process.name} calls {', '.join(process.calls)}, and that SHA-256 is of its own file alone",
            hint=f"give the one with all that it calls, which nightmill blueprint show {process.name} prints",
        )


def _briefly(process: Process) -> str:
    """How it stands in a few words, without addresses."""
    who = process.by.partition(" <")[0]
    return {"approved": f"approved by {who}", "changed": f"changed since {who}"}.get(process.state, process.state)


def _approved(here: Repertoire, name: str) -> tuple[bytes, str]:
    last = here.approved(name)
    return last.body, f"{name} version {last.version}, approved by {last.by}"


def _read(body: bytes, named: str) -> Blueprint:
    from nightmill.blueprint import parse

    return parse(body, source=named)


def _whole(entry: Entry) -> Blueprint:
    from nightmill.errors import SettingsError

    if entry.blueprint is None:
        raise SettingsError("\n".join(entry.faults), hint=entry.hint)
    return entry.blueprint


def _plain(process: Process) -> dict[str, Any]:
    return {
        "name": process.name,
        "version": process.version,
        "title": process.title,
        "from": process.place,
        "file": process.source,
        "digest": process.digest,
        "closure": process.closure,
        "changes": process.changes,
        "cues": process.cues,
        "faults": process.faults,
        "hides": process.hides,
        "state": process.state,
        "why": process.why,
    }


def _values(blueprint: Blueprint) -> Any:
    from pydantic import TypeAdapter

    from nightmill.blueprint import Blueprint as Kind

    return TypeAdapter(Kind).dump_python(blueprint, mode="json")
