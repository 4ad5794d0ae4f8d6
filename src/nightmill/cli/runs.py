"""Looking at runs and steering them: runs, show, log, pause, resume, cancel, say."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nightmill.cli.completed import run_ids

if TYPE_CHECKING:
    from nightmill.desk.nouns import Look
    from nightmill.kept import Entry, Run, Wanted

__all__ = ["print_entry", "register"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(metavar="RUN", autocompletion=run_ids, help="Id of a run, or its beginning.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (runs, show, log, pause, resume, cancel):
        app.command()(command)
    app.command("say")(say_to)


def runs(
    project: Annotated[str, typer.Option(help="Only runs of this project.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 30,
    json: Json = False,
) -> None:
    """List runs, newest first."""
    from nightmill.cli.desks import open_desk
    from nightmill.cli.screen import IDLE, print_json, say, table, when
    from nightmill.report.words import money, tokens

    with open_desk() as desk:
        found = desk.runs(project=project, limit=limit)
        idle = any(not run.over and run.state != "paused" for run in found) and desk.idle()
    if json:
        print_json([asdict(run) for run in found])
        return
    if not found:
        say("no runs yet. Start one with: nightmill run SPEC.md")
        return
    table(
        ("run", "state", "since", "turns", "tokens", "cost", "pr", "title"),
        [
            (
                run.id,
                _word(run),
                when(run.updated),
                str(run.turns),
                tokens(run.tokens),
                money(run.cost if run.priced else None),
                str(run.pull_request or ""),
                run.title,
            )
            for run in found
        ],
        spare=("tokens", "turns", "since"),
    )
    if idle:
        say(IDLE)


def _word(run: Run) -> str:
    from nightmill.report.words import face

    word = face(run.state, why=run.why, needs=run.why).word
    return f"{word} · {run.phase}" if run.state == "running" and run.phase else word


def show(
    run: Name,
    html: Annotated[Path | None, typer.Option(help="Write one self-contained page to this file.")] = None,
    json: Json = False,
) -> None:
    """Show where a run is, what it did and whether it can be trusted."""
    from nightmill.cli import page
    from nightmill.cli.advice import advice
    from nightmill.cli.desks import StoreDesk, open_desk
    from nightmill.cli.door import open_door
    from nightmill.cli.screen import print_json, say

    if html is not None:
        door = open_door()
        page.write(door, door.runs.get(run), html)
        say(f"wrote {html}")
        return
    with open_desk() as desk:
        found = desk.run(run)
        if json:
            print_json(_whole(desk, found))
            return
        page.show(desk, found)
        for line in advice(desk.door, found) if isinstance(desk, StoreDesk) else page.hints(desk, found):
            say(line)


def _whole(desk: Look, run: Run) -> dict[str, Any]:
    events = [{"seq": each.seq, "at": each.at, "name": each.name, "key": each.key} for each in desk.events(run)]
    return {**asdict(run), "events": events, "tasks": [asdict(task) for task in desk.runs(parent=run.id)]}


def log(
    run: Name,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    json: Json = False,
) -> None:
    """Print the ledger of a run, one line per event. With --json every field of it."""
    from nightmill.cli.desks import open_desk

    with open_desk() as desk:
        for entry in desk.entries(desk.run(run), wait=follow):
            if entry is not None:
                print_entry(entry, json=json)


def pause(run: Name) -> None:
    """Pause a run after its turn. It keeps its work and spends nothing."""
    _want(run, "pause", "pauses after the turn it is in; go on with: nightmill resume")


def resume(run: Name) -> None:
    """Go on with a paused or parked run."""
    _want(run, "run", "goes on; watch it with: nightmill log --follow")


def cancel(run: Name) -> None:
    """Stop a run for good. Its work so far is kept on a branch."""
    _want(run, "cancel", "stops; see what is left with: nightmill show")


def say_to(
    run: Name, text: Annotated[str, typer.Argument(metavar="TEXT", help="What to say, in plain words.")]
) -> None:
    """Say something to the agent that is at work in a run. It hears it before its next turn, as yours."""
    from nightmill.cli.desks import open_desk
    from nightmill.cli.screen import IDLE, say

    with open_desk() as desk:
        found = desk.say(run, text)
        if found.state in {"paused", "parked"}:
            say(f"{found.id} hears it when it goes on; it is {found.state}: nightmill resume {found.id}")
        elif found.model.startswith("acp:"):
            say(
                f"{found.id} hears it when its agent has ended what it does, or is started again: it cannot be interrupted"
            )
        else:
            say(f"{found.id} hears it before its next turn; watch it with: nightmill log --follow {found.id}")
        if desk.idle():
            say(IDLE)


def _want(name: str, wanted: Wanted, then: str) -> None:
    from nightmill.cli.desks import open_desk
    from nightmill.cli.screen import IDLE, say

    with open_desk() as desk:
        found = desk.want(name, wanted)
        say(f"{found.id} {then} {found.id}")
        if desk.idle():
            say(IDLE)


def print_entry(entry: Entry, *, json: bool) -> None:
    """Print one entry: a line for people, an object for programs."""
    import sys
    from json import dumps, loads

    from nightmill.cli.lines import line
    from nightmill.cli.screen import safe, when

    if json:
        plain = {
            "seq": entry.seq,
            "at": entry.at,
            "run": entry.run,
            "name": entry.name,
            "body": loads(entry.body),
            "hash": entry.hash,
        }
        sys.stdout.write(dumps(plain, ensure_ascii=False) + "\n")
    elif (said := line(entry.event())) is not None:
        sys.stdout.write(f"{when(entry.at)}  {said.mark} {safe(said.text)}\n")
    sys.stdout.flush()
