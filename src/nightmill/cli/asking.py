"""Asking for a run, and watching it: what `run` does."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nightmill.cli import bell
from nightmill.cli.door import Door, fingerprints, open_door, person, settings, settings_file
from nightmill.cli.surroundings import surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightmill.store.ledger import Entry
    from nightmill.store.runs import Run

__all__ = ["asked", "follow", "run"]

ATTEND, RESTARTS = 5.0, 3
"""Seconds between looks whether a worker lives, and how often `run` starts one anew."""


def run(
    spec: Path,
    *,
    model: str | None = None,
    base_url: str | None = None,
    blueprint: str | None = None,
    project: Path = Path(),
    base: str = "",
    inputs: tuple[str, ...] = (),
    detach: bool = False,
    json: bool = False,
) -> int:
    """Put a run of *spec* in the queue and see to it that a worker is there; watch it to its end, unless *detach*.

    Gives the exit status.
    """
    found = settings(model=model, base_url=base_url, blueprint=blueprint)
    if found.server:
        from nightmill.cli import afar

        if base_url or inputs:
            open_door(base_url=base_url)  # says that this can only be done where its store is
        ask = afar.Ask(spec=spec, project=project, model=model or "", blueprint=blueprint or "", base=base)
        return afar.run(found, ask, detach=detach, json=json)
    door = Door(found)
    made = asked(door, spec, project=project, base=base, inputs=inputs, named=model is not None)
    if detach:
        from nightmill.cli import watching

        watching.detached(made, json=json)
        return 0
    return follow(door, door.runs.get(made), json=json)


def asked(
    door: Door, spec: Path, *, project: Path, base: str, inputs: tuple[str, ...], named: bool, run: str = ""
) -> str:
    """The id of the new run, *run* if it is given: taken in by a worker that is alive or is started for it, else here."""
    run, settings = run or bell.identifier(), door.settings
    question = bell.question(
        settings,
        run,
        spec=str(spec.absolute()),
        project=str(project.absolute()),
        base=base,
        inputs=list(inputs),
        named=named,
        by=person(),
        home=str(Path.home()),
        config=str(settings_file(os.environ)),
        keys=fingerprints(),
        held=surroundings(settings),
    )
    answer = bell.ask(settings.home, question)
    if answer.done and not answer.unlike:
        return run
    from nightmill.cli import beside

    if answer.done:
        beside.note(answer)
        return run
    # Only of a store of its own is it known without a look that no worker is alive, and an unused home stays as it is.
    alone = not settings.store and (settings.home / "nightmill.db").exists() and bell.unheard(settings.home)
    if alone and beside.start(door, question):
        return run
    submitted(door, spec, project=project, base=base, inputs=inputs, named=named, run=run)
    beside.wake(door)
    return run


def submitted(
    door: Door, spec: Path, *, project: Path, base: str, inputs: tuple[str, ...], named: bool, run: str
) -> None:
    """Put *run* in the queue. What is refused leaves nothing, not even an empty store."""
    from nightmill.cli.site import worker_of
    from nightmill.line import submit

    submit.accepted(spec, settings=door.settings)
    found = door.project(project)
    door, agent = worker_of(door, found.root, asked=named)
    check(door)
    ask = submit.Ask(
        run=run,
        spec=spec,
        root=project,
        base=base,
        by=person(),
        home=Path.home(),
        now=time.time,
        agent=agent,
        inputs=inputs,
    )
    submit.submit(ask, settings=door.settings, database=door.database, blobs=door.blobs, runs=door.runs, project=found)


def check(door: Door) -> None:
    """Refuse a model that cannot be had; its key is looked for where it will be used, unless a worker is at work."""
    from nightmill.cli.door import credentials, keys
    from nightmill.model import connect

    settings = door.settings
    credentials()  # the worker reads them, too, but nobody looks at what it says
    connect.check(settings.model, base_url=settings.base_url)
    if not ((settings.home / "nightmill.db").exists() or settings.store) or not door.alive():
        connect.check(settings.model, base_url=settings.base_url, keys=keys())


def follow(door: Door, asked: Run, *, json: bool = False) -> int:
    """Show *asked* until it ends or a person must act, and return the exit code."""
    from nightmill.cli import pulls, watching
    from nightmill.cli.follow import entries as entries_of

    if not watching.watched(_attended(door, entries_of(door, asked, wait=True)), asked.id, json=json):
        return watching.LEFT
    ended = watching.as_its_tasks(door.runs.get(asked.id), door.runs.list(parent=asked.id))
    if not json:
        pulls.announce(door, ended)
    return watching.exit_code(ended)


def _attended(door: Door, entries: Iterator[Entry | None]) -> Iterator[Entry | None]:
    """*entries*; while they are waited for, a worker is started again when the last one has died, a few times."""
    from nightmill.cli import beside

    looked, left = time.monotonic(), RESTARTS
    for entry in entries:
        if entry is None and left and time.monotonic() - looked > ATTEND:
            looked, left = time.monotonic(), left - (not door.alive())
            beside.ensure(door)
        yield entry
