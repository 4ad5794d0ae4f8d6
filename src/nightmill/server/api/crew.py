"""Who acts in a project, what each remembers of it, and what holds for its changes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from nightmill.desk import belongings
from nightmill.desk.own import Remembered, Team
from nightmill.desk.shelf import known, shelf
from nightmill.estate import rules
from nightmill.policy import Policy
from nightmill.server.api.runs import Limit, cursor_of, read_cursor
from nightmill.server.guard import TheProject, Who, needs, of_api
from nightmill.server.problem import Refused
from nightmill.server.receipts import once, repeat
from nightmill.server.site import site_of
from nightmill.store import notes

__all__ = ["router"]

router = of_api("crew")

Role = Annotated[str, Path(max_length=80, description="Name of a role.")]


class Forget(BaseModel):
    """Which note goes, and what it says: of another one by that number nothing goes."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(ge=1, le=100_000, strict=True)
    note: str = Field(min_length=1, max_length=70_000)


class PolicyOut(BaseModel):
    """What changes need. *version* is a digest of it: a yes that was given under another counts nothing."""

    policy: Policy
    version: str


class NoteOut(BaseModel):
    """What an agent noted for the runs after its own. *files* are the ids of git blobs by path."""

    id: str
    project: str
    run: str
    key: str
    kind: str
    who: str
    text: str
    spec: str
    tree: str
    files: Mapping[str, str]
    at: float


class Notes(BaseModel):
    """A page of notes, newest first."""

    notes: list[NoteOut]
    next: str | None = Field(description="The cursor of the next page, null at the end.")


class ForgetNotes(BaseModel):
    """Which notes go: those with these ids, or all."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[str, Field(min_length=1, max_length=300)]] = Field(default=[], max_length=2000)
    all: bool = Field(default=False, strict=True)


class Forgotten(BaseModel):
    """How many went."""

    notes: int


@router.get("/projects/{project}/crew")
@needs("view", "project")
def members(request: Request, project: TheProject) -> Team:
    """All roles that act in it, at its main branch, and what each did wrong of late."""
    return belongings.team(site_of(request).door, project)


@router.get("/projects/{project}/crew/{role}/memory")
@needs("view", "project")
def memory(request: Request, project: TheProject, role: Role) -> Remembered:
    """What a role remembers of it."""
    _known(request, project, role)
    return belongings.remembered(site_of(request).door, project, role, here=False)


@router.post("/projects/{project}/crew/{role}/forget")
@needs("operate", "project")
def forget(request: Request, project: TheProject, role: Role, who: Who, which: Forget) -> Remembered:
    """Take a note out of what a role remembers. The repository of the memory has it still."""
    site = site_of(request)

    def do() -> dict[str, Any]:
        _known(request, project, role)
        belongings.forget(site.door, project, role, which.number, which.note, by=who.by)
        return asdict(belongings.remembered(site.door, project, role, here=False))

    body = which.model_dump()
    given = once(site.door.database, request, body, do, who=who.address, now=site.clock(), found=repeat)
    return TypeAdapter(Remembered).validate_python(given)


@router.get("/projects/{project}/policy")
@needs("view", "project")
def policy(request: Request, project: TheProject) -> PolicyOut:
    """What holds for its changes: the operator's policy, and what its main branch asks for beyond it."""
    door = site_of(request).door
    found = rules.holding(known(door, project, shelf(door, project).commit), home=door.settings.home)
    return PolicyOut(policy=found, version=found.version)


@router.get("/projects/{project}/notes")
@needs("view", "project")
def noted(
    request: Request, project: TheProject, cursor: Annotated[str, Query(max_length=500)] = "", limit: Limit = 50
) -> Notes:
    """What agents noted, newest first."""
    after = read_cursor(cursor) if cursor else None
    found = notes.newest(site_of(request).door.database, project, most=limit + 1, after=after)
    more = cursor_of(found[limit - 1].at, found[limit - 1].id) if len(found) > limit else None
    return Notes(notes=[NoteOut(id=each.id, **asdict(each)) for each in found[:limit]], next=more)


@router.post("/projects/{project}/notes/forget")
@needs("operate", "project")
def forget_notes(request: Request, project: TheProject, who: Who, which: ForgetNotes) -> Forgotten:
    """Delete notes: no later run is given them. If one of *ids* is none of the project's, nothing is deleted."""
    if bool(which.ids) == which.all:
        raise Refused(422, "name notes, or say all", hint="`ids`, or `all`")
    site = site_of(request)

    def do() -> dict[str, Any]:
        ids = None if which.all else which.ids
        return {"notes": notes.delete(site.door.database, project, ids, by=who.by, at=time.time())}

    def gone() -> dict[str, Any]:
        return {"notes": notes.forgotten(site.door.database, project, by=who.by)}

    body, base = which.model_dump(), site.door.database
    return Forgotten(**once(base, request, body, do, who=who.address, now=site.clock(), found=gone))


def _known(request: Request, project: str, role: str) -> None:
    if not any(each.name == role for each in shelf(site_of(request).door, project).roles.roles):
        raise Refused(404, f"there is no role {role[:80]!r}", hint="`nightmill crew` lists them")
