"""Looking at runs and steering them: runs, show, log, pause, resume, cancel."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nightmill.cli.door import Door
    from nightmill.store.ledger import Entry
    from nightmill.store.runs import Run

__all__ = ["print_entry", "register"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or its beginning.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (runs, show, log, pause, resume, cancel):
        app.command()(command)


def runs(
    project: Annotated[str, typer.Option(help="Only runs of this project.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 30,
    json: Json = False,
) -> None:
    """List runs, newest first."""
    from nightmill.cli.door import open_door
    from nightmill.cli.screen import IDLE, print_json, say, table, when
    from nightmill.report.words import money, tokens

    door = open_door()
    found = door.runs.list(project=project, limit=limit)
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
    if any(not run.over and run.state != "paused" for run in found) and not door.alive():
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
    from nightmill.cli.door import open_door
    from nightmill.cli.screen import print_json, say

    door = open_door()
    found = door.runs.get(run)
    if html is not None:
        page.write(door, found, html)
        say(f"wrote {html}")
    elif json:
        events = [
            {"seq": entry.seq, "at": entry.at, "name": entry.name, "key": entry.key}
            for entry in door.ledger.read(run=found.id)
        ]
        print_json(
            {**asdict(found), "events": events, "tasks": [asdict(child) for child in door.runs.list(parent=found.id)]}
        )
    else:
        page.show(door, found)


def log(
    run: Name,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    json: Json = False,
) -> None:
    """Print the ledger of a run, one line per event. With --json every field of it."""
    from nightmill.cli import follow as follower
    from nightmill.cli.door import open_door

    door = open_door()
    found = door.runs.get(run)
    for entry in follower.entries(door, found, wait=follow):
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


def _want(name: str, wanted: Any, then: str) -> None:
    from nightmill.cli.door import open_door, person
    from nightmill.cli.screen import IDLE, say

    door = open_door()
    found = door.runs.want(name, wanted, by=person())
    for child in _open_children(door, found):
        door.runs.want(child.id, wanted, by=person())
    say(f"{found.id} {then} {found.id}")
    if not door.alive():
        say(IDLE)


def _open_children(door: Door, run: Run) -> list[Run]:
    return [child for child in door.runs.list(parent=run.id) if not child.over]


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
