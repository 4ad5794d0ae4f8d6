"""The roles of a project: who each is, what it did of late, what went wrong, what it remembers and what it is told."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import Path, Query, Request
from markupsafe import Markup
from starlette.responses import Response

from nightmill import __version__, crew
from nightmill.desk.door import Door
from nightmill.desk.past import Past, past
from nightmill.desk.shelf import Shelf, mistaken, shelf
from nightmill.policy import WINDOW
from nightmill.policy.facts import Record as Mistakes
from nightmill.policy.ladder import WORDS
from nightmill.report import diff
from nightmill.report.charts import interval
from nightmill.report.hunks import rows
from nightmill.report.markdown import markdown
from nightmill.review.flake import wilson
from nightmill.server.guard import TheProject, Who, needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.pages.where import choose, tabs
from nightmill.server.problem import Refused
from nightmill.server.site import site_of
from nightmill.store import Run, records

__all__ = ["router"]

router = of_pages()

NONE = records.Record()
ROOM = 400_000
"""Characters of markup for a difference."""

Name = Annotated[str, Path(max_length=80)]
Id = Annotated[str, Query(max_length=64)]


class Member(NamedTuple):
    """A role, what it did in the last runs, what went wrong, and what it remembers; *good* of *ended* runs with it came to their end."""

    role: crew.Role
    record: records.Record
    good: int
    ended: int
    wrong: tuple[Mistakes, ...]
    memory: crew.Page

    @property
    def shipped(self) -> bool:
        """Whether its file is one of the release."""
        return self.role.source in crew.shipped()

    @property
    def source(self) -> str:
        """Where its file is."""
        return f"nightmill {__version__}" if self.shipped else self.role.source

    @property
    def picture(self) -> Markup:
        """How often runs with it ended well."""
        return interval(self.good, self.ended)

    @property
    def said(self) -> str:
        """The same in words."""
        low, high = wilson(self.good, self.ended)
        return f"{low:.0%} to {high:.0%}"


@router.get("/crew")
@needs("view", "some")
def first(request: Request, who: Who) -> Response:
    """The crew of the newest project that may be seen."""
    return choose(request, who, "crew")


@router.get("/crew/{project}")
@needs("view", "project")
def members(request: Request, who: Who, project: TheProject) -> Response:
    """All of them, who acted most first."""
    door = site_of(request).door
    found = shelf(door, project)
    runs = records.latest(door.database, project, runs=WINDOW)
    everybody = _members(door, project, found, runs)
    return page(
        request,
        "crew.html",
        project=project,
        tabs=tabs(request, who),
        commit=found.commit,
        members=sorted(everybody, key=lambda each: (-each.record.turns, each.role.name)),
        notes=found.roles.notes,
        runs=len(runs),
        words=WORDS,
    )


@router.get("/crew/{project}/{role}")
@needs("view", "project")
def one(request: Request, project: TheProject, role: Name) -> Response:
    """One of them, as one story."""
    door = site_of(request).door
    found = shelf(door, project)
    runs = records.latest(door.database, project, runs=WINDOW)
    member = next((each for each in _members(door, project, found, runs) if each.role.name == role), None)
    if member is None:
        raise _unknown(role)
    return page(
        request,
        "role.html",
        project=project,
        commit=found.commit,
        member=member,
        told=markdown(member.role.instructions),
        runs=len(runs),
        words=WORDS,
    )


@router.get("/crew/{project}/{role}/history")
@needs("view", "project")
def history(request: Request, project: TheProject, role: Name, before: Id = "", after: Id = "") -> Response:
    """How its instructions came to be, and what differs between two versions of them: the last two, unless others are asked for."""
    door = site_of(request).door
    found = shelf(door, project)
    member = next((each for each in found.roles.roles if each.name == role), None)
    if member is None:
        raise _unknown(role)
    known = past(door, project, member, found.commit)
    old, new = _pair(known, before, after)
    lines = diff.between(known.text(old), known.text(new)) if old and new else ()
    return page(
        request,
        "history.html",
        project=project,
        role=member,
        past=known,
        old=old,
        new=new,
        added=sum(each.kind == "add" for each in lines),
        removed=sum(each.kind == "cut" for each in lines),
        shown=rows(lines, ROOM),
    )


def _members(door: Door, project: str, found: Shelf, runs: list[Run]) -> list[Member]:
    did = records.of_roles(door.database, runs)
    wrong = mistaken(door, project, found.commit)
    memory = crew.Memory(door.settings.home).pages(project)
    ended = {each.id: each.state == "done" for each in runs if each.over and each.why != "cancelled"}
    return [
        Member(
            role,
            (its := did.get(role.name, NONE)),
            sum(ended.get(each, False) for each in its.runs),
            len(its.runs & ended.keys()),
            tuple(each for each in wrong if each.role == role.name),
            memory.get(role.name, crew.Page()),
        )
        for role in found.roles.roles
    ]


def _pair(known: Past, before: str, after: str) -> tuple[str, str]:
    """The ids of the two versions that are compared; "": there is none.

    Raises:
        Refused: If one that is asked for is none of these.
    """
    ids = [each.id for each in known.versions]
    if unknown := {before, after} - {"", *ids}:
        raise Refused(404, f"there is no version {unknown.pop()[:40]!r} of it", hint="the list of versions has the ids")
    new = after or (ids[0] if ids else "")
    behind = ids[ids.index(new) + 1 :] if new else []
    return before or (behind[0] if behind else ""), new


def _unknown(role: str) -> Refused:
    return Refused(404, f"there is no role {role[:80]!r} in this project", hint="the page of its crew has their names")
