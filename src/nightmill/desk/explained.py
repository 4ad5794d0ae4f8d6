"""What the agents of a process will see, measured on what is known of its project; no model is asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nightmill import spec as specs
from nightmill.blueprint.catalogue import Catalogue
from nightmill.blueprint.seen import seen
from nightmill.crew import Memory
from nightmill.desk.door import Door
from nightmill.desk.own import Explained, Ground
from nightmill.estate.nouns import Project
from nightmill.line import brief
from nightmill.line.assignment import Assignment
from nightmill.line.process.goals import REVIEW
from nightmill.line.process.measures import memory
from nightmill.line.submit import budget
from nightmill.policy import Policy
from nightmill.spec import Spec

__all__ = ["explained", "measured"]

APART = "files and instructions were not measured: the project was not taken in yet (nightmill init)"


def explained(door: Door, catalogue: Catalogue, name: str, *, ground: Ground, spec: Path | None) -> Explained:
    """What the agents of the blueprint *name* of *catalogue* see, with the spec at *spec* if there is one.

    Raises:
        SettingsError: If there is no such blueprint, or it is broken.
        SpecError: If there is no such spec.
    """
    known, note = measured(door, ground, spec)
    found = seen(
        catalogue.get(name), roles=catalogue.roles, measured=known, review=REVIEW, memory=_memory(door, ground)
    )
    return Explained(seen=tuple(found), note=note)


def measured(door: Door, ground: Ground, spec: Path | None) -> tuple[dict[str, str], str]:
    """Values that are known on *ground*, and of the spec at *spec*; and what was measured, in words."""
    read = specs.read(spec) if spec else None
    project, commit = ground.project, ground.commit
    if project is None:
        return _of_spec(read), "no project is here, so nothing of one was measured"
    assignment = _assignment(door, project, read, commit)
    found = {**_of_spec(read), "project.facts": brief.facts(assignment)}
    if not commit:
        return found, APART
    repository = door.hub(project.id)
    found["project.files"] = brief.tree(repository, commit)
    found["project.instructions"] = brief.instructions(assignment, repository)
    return found, f"measured on {ground.branch} at {commit[:12]}" + ("" if spec else "; give --spec to measure one")


def _memory(door: Door, ground: Ground) -> Mapping[str, str]:
    """What each role is given of its notes on the project."""
    pages = Memory(door.settings.home).pages(ground.project.id) if ground.project is not None else {}
    return {role: given.text for role, page in pages.items() if (given := memory(page)) is not None}


def _of_spec(read: Spec | None) -> dict[str, str]:
    if read is None:
        return {}
    criteria = "\n".join(f"{each.id}: {each.text}" for each in read.criteria)
    task = {"task.title": read.title, "task.instruction": read.text, "task.criteria": criteria}
    return {"spec.text": read.text, "spec.title": read.title, **task}


def _assignment(door: Door, project: Project, read: Spec | None, commit: str) -> Assignment:
    """What the measured parts are made from in a run, too."""
    nothing = Spec(title="", format="markdown", source="", digest="", text="", goal="", requirements=(), criteria=())
    return Assignment(
        kind="task",
        project=project,
        spec=read or nothing,
        model=door.settings.model,
        base_url="",
        base_branch="",
        base_commit=commit,
        target="",
        budget=budget(door.settings, Policy()),
        max_tokens=0,
        thinking=0,
        by="",
    )
