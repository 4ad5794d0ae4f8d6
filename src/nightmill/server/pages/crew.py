"""The roles of a project: who each is, what it may do, what it did of late."""

from __future__ import annotations

from typing import NamedTuple

from fastapi import Request
from starlette.responses import Response

from nightmill import crew
from nightmill.desk.shelf import mistaken, shelf
from nightmill.policy import WINDOW
from nightmill.policy.facts import Record as Mistakes
from nightmill.policy.ladder import WORDS
from nightmill.server.guard import TheProject, Who, needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.pages.where import choose, tabs
from nightmill.server.site import site_of
from nightmill.store import records

__all__ = ["router"]

router = of_pages()

NONE = records.Record()
SHIPPED = "nightmill/crew/roles/"


class Member(NamedTuple):
    """A role, what it did in the last runs, what went wrong, and what it remembers."""

    role: crew.Role
    record: records.Record
    wrong: tuple[Mistakes, ...]
    memory: crew.Page

    @property
    def source(self) -> str:
        """Where its file is."""
        return "nightmill" if self.role.source.startswith(SHIPPED) else self.role.source


@router.get("/crew")
@needs("view", "some")
def first(request: Request, who: Who) -> Response:
    """The crew of the newest project that may be seen."""
    return choose(request, who, "crew")


@router.get("/crew/{project}")
@needs("view", "project")
def members(request: Request, who: Who, project: TheProject) -> Response:
    """The page."""
    door = site_of(request).door
    found = shelf(door, project)
    runs = records.latest(door.database, project, runs=WINDOW)
    did = records.of_roles(door.database, runs)
    wrong = mistaken(door, project, found.commit)
    memory = crew.Memory(door.settings.home).pages(project)
    rows = [
        Member(
            role,
            did.get(role.name, NONE),
            tuple(each for each in wrong if each.role == role.name),
            memory.get(role.name, crew.Page()),
        )
        for role in found.roles.roles
    ]
    rows.sort(key=lambda each: (-each.record.turns, each.role.name))
    return page(
        request,
        "crew.html",
        project=project,
        tabs=tabs(request, who),
        commit=found.commit,
        members=rows,
        notes=found.roles.notes,
        runs=len(runs),
        words=WORDS,
    )
