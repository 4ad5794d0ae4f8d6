"""Starting work: run, worker."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightmill.cli.door import Door
    from nightmill.store.ledger import Entry
    from nightmill.store.runs import Run

__all__ = ["follow", "register"]

ATTEND, RESTARTS = 5.0, 3
"""Seconds between looks whether a worker lives, and how often `run` starts one anew."""

Model = Annotated[
    str | None,
    typer.Option(
        help="`provider:name`: anthropic:…, openai:…, openai-responses:…, gemini:…, ollama:…; or `acp:` and an external agent."
    ),
]
Url = Annotated[str | None, typer.Option("--base-url", help="Endpoint instead of the provider's own.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(run)
    app.command()(worker)


def run(
    spec: Annotated[Path, typer.Argument(help="A spec: a Markdown file, or a spec-kit, OpenSpec or Kiro folder.")],
    model: Model = None,
    base_url: Url = None,
    project: Annotated[Path, typer.Option(help="The repository.")] = Path(),
    base: Annotated[str, typer.Option(help="Branch to start from and to open the pull request against.")] = "",
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the ledger as JSON lines.")] = False,
) -> None:
    """Work on a spec until there is a pull request."""
    from nightmill.cli import serve
    from nightmill.cli.door import open_door, person
    from nightmill.cli.screen import say
    from nightmill.cli.site import worker_of

    door = open_door(model=model, base_url=base_url)
    from nightmill.line import submit

    # What is refused leaves nothing, not even an empty store.
    submit.accepted(spec, settings=door.settings)
    found = door.project(project)
    door, agent = worker_of(door, found.root, asked=model is not None)
    check(door)
    asked = submit.submit(
        submit.Ask(spec=spec, root=project, base=base, by=person(), home=Path.home(), now=time.time, agent=agent),
        settings=door.settings,
        database=door.database,
        blobs=door.blobs,
        runs=door.runs,
        project=found,
    )
    serve.ensure(door)
    if detach:
        sys.stdout.write(f'{{"run": "{asked.id}"}}\n' if json else f"{asked.id}\n")
        sys.stdout.flush()
        say(f"watch it: nightmill log --follow {asked.id}   where it is: nightmill show {asked.id}")
        return
    raise typer.Exit(follow(door, asked, json=json))


def check(door: Door) -> None:
    """Refuse a model that cannot be had; its key is looked for where it will be used, unless a worker is at work."""
    from nightmill.cli.door import keys
    from nightmill.cli.site import credentials
    from nightmill.model import connect

    settings = door.settings
    credentials()  # the worker reads them, too, but nobody looks at what it says
    connect.check(settings.model, base_url=settings.base_url)
    if not ((settings.home / "nightmill.db").exists() or settings.store) or not door.alive():
        connect.check(settings.model, base_url=settings.base_url, keys=keys())


def worker(
    until_idle: Annotated[float | None, typer.Option(help="End after so many seconds without work.")] = None,
) -> None:
    """Work on runs until Ctrl-C. What it has in hand goes on with the next worker."""
    from nightmill.cli import serve
    from nightmill.cli.door import open_door

    serve.serve(open_door(), until_idle=until_idle)


def follow(door: Door, asked: Run, *, json: bool = False) -> int:
    """Show *asked* until it ends or a person must act, and return the exit code."""
    from nightmill.cli import live, pulls
    from nightmill.cli.follow import entries as entries_of
    from nightmill.cli.runs import print_entry
    from nightmill.cli.screen import out, say

    entries = _attended(door, entries_of(door, asked, wait=True))
    try:
        if json:
            sight = live.Sight()
            for entry in filter(None, entries):
                print_entry(entry, json=True)
                sight.take(entry, entry.event())
                if sight.needs == "person":
                    break
        else:
            live.watch(entries, console=out())
    except KeyboardInterrupt:
        say(f"\n{asked.id} goes on without this terminal.")
        say(f"watch it: nightmill log --follow {asked.id}   stop it: nightmill cancel {asked.id}")
        return 0
    ended = _as_its_tasks(door, door.runs.get(asked.id))
    if not json:
        pulls.announce(door, ended)
    return exit_code(ended)


def _attended(door: Door, entries: Iterator[Entry | None]) -> Iterator[Entry | None]:
    """*entries*; while they are waited for, a worker is started again when the last one has died, a few times."""
    from nightmill.cli import serve

    looked, left = time.monotonic(), RESTARTS
    for entry in entries:
        if entry is None and left and time.monotonic() - looked > ATTEND:
            looked, left = time.monotonic(), left - (not door.alive())
            serve.ensure(door)
        yield entry


def _as_its_tasks(door: Door, run: Run) -> Run:
    """*run*, which waits where one of its tasks does: its own row only says that it is at work."""
    from dataclasses import replace

    tasks = () if run.over else door.runs.list(parent=run.id)
    waits = next((task for task in tasks if task.state in {"parked", "paused"}), run)
    return replace(run, state=waits.state, reason=waits.reason)


def exit_code(run: Run) -> int:
    """0 done, 1 failed or cancelled, 2 refused, 3 parked, 4 stopped by a limit."""
    if run.state == "done":
        return 0
    if run.state in {"parked", "paused"}:
        return 3
    return {"refused": 2, "limit": 4}.get(run.why, 1)
