"""What people do with the tasks that runs left: look at one, have a run go on with it, or drop it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nightmill.desk import readable
from nightmill.desk.door import Door
from nightmill.desk.nouns import Remainder
from nightmill.errors import SettingsError
from nightmill.kept import Filed, Started
from nightmill.line import submit
from nightmill.line.assignment import queued, read, write
from nightmill.line.remediation import Left
from nightmill.line.remediation import read as read_known
from nightmill.store import projects

if TYPE_CHECKING:
    from collections.abc import Callable

    from nightmill.agent.external import External
    from nightmill.settings import Settings

__all__ = ["Wanted", "drop", "dropped", "left", "settings_of", "shown", "start"]

EXTERNAL = "acp:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How the *task* is to be gone on with: by the models and the blueprint of the run that left it, where none is named.

    *model* and *base_url* take their place together, with the *agent* that does the developer's work. *home* is that of the
    user whose git configuration says which folders to trust. *run* is the id of the new run, "": any.
    """

    task: str
    by: str
    home: Path
    model: str = ""
    base_url: str = ""
    agent: External | None = None
    blueprint: str = ""
    run: str = ""


def left(door: Door, name: str) -> Left:
    """The task *name* with all that is known of it.

    Raises:
        SettingsError: If there is none.
    """
    filed = door.tasks.get(name)
    run = door.runs.get(filed.run)
    return Left(
        filed=filed,
        known=read_known(door.blobs.get(filed.body)),
        asked=read(door.blobs.get(run.assignment)),
    )


def shown(door: Door, name: str) -> Remainder:
    """The task *name* as people are shown it.

    Raises:
        SettingsError: If there is none.
    """
    found = left(door, name)
    asked = found.asked
    return Remainder(
        task=found.filed,
        known=read_known(readable.body(door, found.filed.body)),
        about=asked.spec.title,
        branch=asked.base_branch,
        commit=asked.base_commit,
        target=asked.target,
        model=asked.model,
        blueprint=asked.blueprints[0].name,
        spec=door.hidden.text(found.spec(threshold=door.settings.spec_threshold).text),
    )


def settings_of(settings: Settings, found: Left, wanted: Wanted) -> Settings:
    """*settings* with the models and the blueprint by which *found* is gone on with."""
    asked = found.asked
    if wanted.model:
        chosen = replace(settings, model=wanted.model, base_url=wanted.base_url)
    else:
        chosen = replace(
            settings, model=asked.model, base_url=asked.base_url, fallbacks=asked.fallbacks, model_small=asked.small
        )
    return replace(chosen, blueprint=wanted.blueprint or asked.blueprints[0].name)


def start(door: Door, wanted: Wanted, *, now: Callable[[], float]) -> Started:
    """Have a run go on with it, from the work that there is: one, however many start it at once.

    The run that left it, if that still waits, is told so, and ends.

    Raises:
        SettingsError: If there is no such task, it is no longer open, or it cannot be worked on as is asked.
        SpecError: If the spec that is made of it is refused.
        RepoError: If the work is not there any more.
    """
    if wanted.model.startswith(EXTERNAL) and wanted.agent is None:
        raise SettingsError(
            "an external agent would do the work, and those are started from a terminal only",
            hint="name another `model`, or use `nightmill task start` on the machine of the server",
        )
    found = left(door, wanted.task)
    known = projects.get(door.database, found.filed.project)
    project = door.project(known.root)
    if project.id != found.filed.project:
        raise SettingsError(
            f"in {str(known.root)!r} is the project {project.id!r} by now, not {found.filed.project!r}",
            hint="nightmill init there",
        )
    settings = settings_of(door.settings, found, wanted)
    taken = submit.TakenUp(spec=found.spec(threshold=settings.spec_threshold), begun=found.begun, left=found.asked)
    door.hub(project.id).commit_of(found.filed.head)
    ask = submit.Ask(
        spec=taken,
        root=known.root,
        base="",
        by=wanted.by,
        home=wanted.home,
        now=now,
        agent=wanted.agent if wanted.model else found.asked.agent,
    )
    assignment = submit.prepared(ask, settings=settings, database=door.database, project=project)
    asked = queued(assignment, run=wanted.run or submit.identifier(), title=assignment.spec.title)
    started = door.tasks.start(found.filed.id, asked, assignment=door.blobs.put(write(assignment)), by=wanted.by)
    _release(door, found.filed, f"run {started.run.id} goes on with it", by=wanted.by)
    return started


def drop(door: Door, name: str, *, by: str, because: str) -> Filed:
    """Let nobody go on with the task *name*; the run that left it, if that still waits, ends.

    Raises:
        SettingsError: If there is none, it is no longer open, or no reason is given.
    """
    return dropped(door, door.tasks.drop(door.tasks.get(name).id, by=by, because=because).id, by=by)


def dropped(door: Door, name: str, *, by: str) -> Filed:
    """The task *name*, which was dropped; the run that left it ends now, if it still waits."""
    found = door.tasks.get(name)
    _release(door, found, f"nobody goes on with it: {found.because}", by=by)
    return found


def _release(door: Door, filed: Filed, said: str, *, by: str) -> None:
    """Answer what the run that left *filed* waits with, where any answer ends it: there is nothing to decide there now."""
    for each in door.questions.of(filed.run):
        if each.state == "open" and each.ends:
            with contextlib.suppress(SettingsError):  # somebody else was first
                door.questions.answer(each.id, said, by=by)
