"""Tasks that runs left: task list, show, start, drop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nightmill.cli.door import Door
    from nightmill.desk.nouns import Remainder
    from nightmill.desk.remedy import Wanted

__all__ = ["register"]

task_app = typer.Typer(help="What runs could not end, each as a task that somebody can start.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(metavar="TASK", help="Id of a task, or its beginning: the run that left it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    task_app.command("list")(list_tasks)
    for command in (show, start, drop):
        task_app.command()(command)
    app.add_typer(task_app, name="task")


def list_tasks(
    project: Annotated[str, typer.Option(help="Only tasks of this project.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Those that are closed, too.")] = False,
    json: Json = False,
) -> None:
    """List what runs left and nobody has ended yet, oldest first."""
    from dataclasses import asdict

    from nightmill.cli.desks import open_desk
    from nightmill.cli.screen import print_json, say, table, when

    with open_desk() as desk:
        found = desk.tasks(project=project, every=every)
    if json:
        print_json([asdict(each) for each in found])
    elif not found:
        say("no run has left a task" if every else "no task is open")
    else:
        rows = [
            (each.id, each.state, when(each.filed), str(each.findings), each.child or "–", each.title) for each in found
        ]
        table(("task", "state", "since", "open", "goes on in", "title"), rows, spare=("since", "open"))


def show(
    task: Name,
    spec: Annotated[bool, typer.Option("--spec", help="Print the spec that a run of it is started with.")] = False,
    json: Json = False,
) -> None:
    """Show all that is known of a task: what is open with its tests, what is settled, what the checks said, whose work it is."""
    import sys

    from nightmill.cli.desks import open_desk
    from nightmill.cli.screen import print_json, safe, say

    with open_desk() as desk:
        found = desk.task(task)
    if json:
        print_json(_plain(found))
        return
    text = found.spec if spec else "\n".join(_lines(found)) + "\n"
    sys.stdout.write("".join(f"{safe(line)}\n" for line in text.removesuffix("\n").split("\n")))
    sys.stdout.flush()
    if found.task.state == "open" and not spec:
        say(f"have a run go on with it: nightmill task start {found.task.id}")


def start(
    task: Name,
    model: Annotated[str | None, typer.Option(help="`provider:name`, instead of that of the run that left it.")] = None,
    base_url: Annotated[str | None, typer.Option("--base-url", help="Endpoint of that model.")] = None,
    blueprint: Annotated[str, typer.Option(help="By which it is worked on; else by that of the run.")] = "",
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the ledger as JSON lines.")] = False,
) -> None:
    """Have a run go on with a task, from the work that there is, until there is a pull request."""
    import time

    from nightmill.cli import asking, beside, watching
    from nightmill.cli.door import open_door, person, settings
    from nightmill.cli.screen import say
    from nightmill.cli.site import worker_of
    from nightmill.desk import remedy
    from nightmill.errors import SettingsError

    if (found := settings()).server:
        from nightmill.cli import afar

        if base_url:
            raise SettingsError("a server asks the endpoints that it knows", hint="leave --base-url out")
        raise typer.Exit(afar.take_up(found, task, model=model or "", blueprint=blueprint, detach=detach, json=json))
    door = open_door(model=model, base_url=base_url)
    wanted = remedy.Wanted(task=task, by=person(), home=Path.home(), blueprint=blueprint)
    if model:
        from dataclasses import replace

        door, agent = worker_of(door, door.settings.home, asked=True)
        wanted = replace(wanted, model=door.settings.model, base_url=door.settings.base_url, agent=agent)
    _check(door, wanted)
    with beside.attended(door):
        started = remedy.start(door, wanted, now=time.time)
    run = started.run
    if not started.new:
        say(f"somebody was first: run {run.id} goes on with it")
    if detach:
        watching.detached(run.id, json=json)
        return
    raise typer.Exit(asking.follow(door, run, json=json))


def drop(
    task: Name, because: Annotated[str, typer.Option("--because", help="Why nobody has to go on with it.")]
) -> None:
    """Drop a task. Its work stays where it is."""
    from nightmill.cli.desks import open_desk
    from nightmill.cli.screen import say

    with open_desk() as desk:
        dropped = desk.drop(task, because=because)
    say(f"{dropped.id} is dropped")


def _check(door: Door, wanted: Wanted) -> None:
    """Refuse a model that cannot be had before anything is made."""
    from dataclasses import replace

    from nightmill.cli import asking
    from nightmill.desk import remedy

    settings = remedy.settings_of(door.settings, remedy.left(door, wanted.task), wanted)
    asking.check(replace(door, settings=settings))


def _lines(found: Remainder) -> list[str]:
    filed, known = found.task, found.known
    goes = f": run {filed.child}" if filed.child else ""
    why = f" ({filed.because})" if filed.because else ""
    lines = [
        filed.title,
        f"{filed.id} · {filed.state}{goes}{f' by {filed.by}' if filed.by else ''}{why}",
        f"left by run {known.run}, by the blueprint {known.blueprint}, of the spec {found.about!r}",
        f"its work: commit {known.commit[:12]}, tree {known.tree[:12]}, on top of {found.commit[:12]} ({found.target})",
        *(
            f"  {part.role} in run {part.run or known.run}: {part.commit[:12]} {_first(part.summary)}"
            for part in known.parts
        ),
        "",
        f"open: {len(known.findings) + known.more}" + (f", {known.more} of them only in the run" if known.more else ""),
    ]
    for each in known.findings:
        lines += [
            f"  {each.id} {each.severity} {each.title}".rstrip(),
            *(f"    {name}: {_first(text)}" for name in SHOWN if (text := getattr(each, name))),
        ]
    if known.settled:
        lines += ["", f"settled: {len(known.settled)}"]
        lines += [f"  {each.id} {each.state}: {each.title} ({_first(each.by)})" for each in known.settled]
    for said in known.said:
        lines += ["", f"{said.role} {'agrees' if said.approved else 'does not agree'}:"]
        cases = (("for it", said.case_for), ("against it", said.case_against))
        lines += [f"  {name}: {_first(text)}" for name, text in cases if text]
    for heading, text in (("the checks said", known.checks), ("the approach", known.approach)):
        if text.strip():
            lines += ["", f"{heading}:", *(f"  {line}" for line in text.strip().split("\n"))]
    return lines


SHOWN = ("test", "expected", "happened", "detail", "answer", "why")


def _first(text: str) -> str:
    return " ".join(text.split())[:400]


def _plain(found: Remainder) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **asdict(found.task),
        "known": asdict(found.known),
        "spec": found.about,
        "base": {"branch": found.branch, "commit": found.commit, "target": found.target},
    }
