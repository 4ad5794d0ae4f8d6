"""What waits for a person: one list, each thing once, with its reason and the one thing to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nightmill.desk import remarks
from nightmill.desk.door import Door
from nightmill.desk.nouns import Thing, commands
from nightmill.store.projects import known

__all__ = ["Thing", "commands", "elsewhere", "waiting"]


def waiting(door: Door) -> list[Thing]:
    """What waits for a person, oldest first."""
    asked = list(door.questions.open())
    projects = {run.id: run.project for run in door.runs.some({each.run for each in asked})}
    tasks = list(_tasks(door))
    decided = {each.run for each in tasks}  # with its task, and there is nothing else that its run could be told
    things = [
        Thing(each.created, each.title, each.run, projects.get(each.run, ""), each.kind, each.id)
        for each in asked
        if not (each.ends and each.run in decided)
    ]
    own = {each.run for each in asked if each.step != remarks.STEP}
    return sorted([*things, *tasks, *_parked(door, own), *_unmerged(door)])


def elsewhere(door: Door, here: Path) -> dict[str, Path]:
    """The folders of those projects that *here* is not in."""
    return {each.id: each.root for each in known(door.database) if each.root != here and each.root not in here.parents}


def _tasks(door: Door) -> Iterator[Thing]:
    """What runs left and nobody has taken up."""
    for each in door.tasks.list(states=("open",)):
        open_ = f"{each.findings} {'finding is' if each.findings == 1 else 'findings are'} open"
        reason = f"left by run {each.run}, {open_ if each.findings else 'its checks do not pass'}: {each.title}"
        yield Thing(each.filed, reason, each.run, each.project, "task", task=each.id)


def _parked(door: Door, asking: set[str]) -> Iterator[Thing]:
    """Runs that something keeps from going on which a person must change; those with a question are in the list already."""
    for run in door.runs.list(states=("parked",)):
        if run.why == "person" and run.id not in asking:
            yield Thing(run.updated, run.reason, run.id, run.project, "parked")


def _unmerged(door: Door) -> Iterator[Thing]:
    for row in door.forge.unmerged():
        said = remarks.about(door, row.run)
        more = f" ({len(said)} comment{'s' if said[1:] else ''} at {said[-1].forge})" if said else ""
        yield Thing(row.opened, f"to be merged: {row.title}{more}", row.run, row.project, "merge", "", row.number)
