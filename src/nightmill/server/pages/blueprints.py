"""The processes of a project: drawn, with who answers for each, how often it ran, how that ended and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple
from urllib.parse import quote

from fastapi import Form, Path, Request
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from nightmill.blueprint.approval import Standing, standing
from nightmill.blueprint.catalogue import Entry
from nightmill.blueprint.draw import svg
from nightmill.desk.processes import Processes, at_main
from nightmill.desk.shelf import Shelf, shelf
from nightmill.errors import SettingsError
from nightmill.intake import estimate
from nightmill.report.charts import interval
from nightmill.report.words import Face
from nightmill.review.flake import wilson
from nightmill.server.guard import TheProject, Who, needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.pages.where import choose, tabs
from nightmill.server.site import site_of
from nightmill.store import Run, blueprints, records

__all__ = ["router"]

router = of_pages()

LOOKED_AT = 500
"""Runs of tasks in a project that are looked back on."""
SHOWN = 20

FACES = {
    "shipped": Face("shipped", "proven", "check"),
    "approved": Face("approved", "proven", "check"),
    "changed": Face("changed since", "person", "diamond"),
    "not approved": Face("not approved", "person", "diamond"),
    "broken": Face("broken", "failed", "cross"),
}

Name = Annotated[str, Path(max_length=80)]


class Past(NamedTuple):
    """What became of the *runs* of a blueprint: *good* of *ended*; one that a person cancelled says nothing of it."""

    runs: Sequence[Run]
    good: int
    ended: int
    cost: estimate.Past

    @property
    def picture(self) -> Markup:
        """Its rate of success."""
        return interval(self.good, self.ended)

    @property
    def said(self) -> str:
        """The same in words."""
        low, high = wilson(self.good, self.ended)
        return f"{low:.0%} to {high:.0%}" if self.ended else ""


class Process(NamedTuple):
    """A blueprint of the catalogue with how it stands and what it did."""

    entry: Entry
    standing: Standing
    past: Past

    @property
    def face(self) -> Face:
        """How its standing looks."""
        return FACES[self.standing.word]


@router.get("/blueprints")
@needs("view", "some")
def first(request: Request, who: Who) -> Response:
    """Those of the newest project that may be seen."""
    return choose(request, who, "blueprints")


@router.get("/blueprints/{project}")
@needs("view", "project")
def listed(request: Request, who: Who, project: TheProject) -> Response:
    """All of a project, the most used first."""
    found, done = _of(request, project)
    rows = [_process(request, project, found, each, done) for each in found.catalogue.entries.values()]
    rows.sort(key=lambda each: (-len(each.past.runs), each.entry.name))
    return page(
        request,
        "blueprints.html",
        project=project,
        tabs=tabs(request, who),
        commit=found.commit,
        processes=rows,
        looked=sum(len(runs) for runs in done.values()),
    )


@router.get("/blueprints/{project}/{name}")
@needs("view", "project")
def one(request: Request, who: Who, project: TheProject, name: Name) -> Response:
    """One, drawn."""
    found, done = _of(request, project)
    entry = found.catalogue.entry(name)
    read, process = entry.blueprint, _process(request, project, found, entry, done)
    return page(
        request,
        "blueprint.html",
        project=project,
        commit=found.commit,
        process=process,
        picture=Markup(svg(read, styled=False)) if read else None,  # noqa: S704 - it escapes all that it is given
        shown=SHOWN,
        may=(may := who.may("approve", project)),
        closure=(closure := "" if entry.faults or process.standing.may_run else _closure(found, name)),
        mine=bool(closure and may) and _at_main(request, project, who).wrote(name),
    )


@router.post("/blueprints/{project}/{name}/approve")
@needs("approve", "project")
def approve(
    request: Request, who: Who, project: TheProject, name: Name, closure: Annotated[str, Form(max_length=64)]
) -> Response:
    """Say yes to exactly what was looked at, with all that it calls."""
    _at_main(request, project, who).approve(name, closure=closure)
    return RedirectResponse(f"/blueprints/{quote(project, safe='')}/{quote(name, safe='')}", 303)


def _at_main(request: Request, project: str, who: Who) -> Processes:
    return at_main(site_of(request).door, project, by=who.by, apart=who.way != "local")


def _closure(found: Shelf, name: str) -> str:
    """The digest of all that a yes would be to, "" if there is nothing whole to say yes to."""
    try:
        return found.catalogue.closure(name).digest
    except SettingsError:
        return ""


def _of(request: Request, project: str) -> tuple[Shelf, dict[str, list[Run]]]:
    door = site_of(request).door
    runs = records.latest(door.database, project, runs=LOOKED_AT)
    return shelf(door, project), records.of_blueprints(door.database, runs)


def _process(request: Request, project: str, found: Shelf, entry: Entry, done: dict[str, list[Run]]) -> Process:
    said = blueprints.kept(site_of(request).door.database, project, entry.name)
    return Process(entry, standing(found.catalogue, entry.name, said), _past(done.get(entry.name, [])))


def _past(runs: Sequence[Run]) -> Past:
    ended = [each for each in runs if each.over and each.why != "cancelled"]
    good = [each for each in ended if each.state == "done"]
    return Past(runs, len(good), len(ended), estimate.of([each.cost for each in good if each.priced]))
