"""Secrets: which there are, what takes each, who set it when; set and deleted, and shown to nobody."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from nightmill.access import Person
from nightmill.desk import secrets
from nightmill.errors import SettingsError
from nightmill.server.guard import TheProject, Who, needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.site import site_of
from nightmill.store import projects

__all__ = ["router"]

router = of_pages()

Name = Annotated[str, Form(min_length=1, max_length=100)]
Sure = Annotated[str, Form(pattern="^yes$")]


class Given(BaseModel):
    """A secret as somebody gives it."""

    name: str = Field(min_length=1, max_length=100)
    value: str = Field(min_length=1, max_length=60_000)


@router.get("/settings/secrets")
@needs("administer", "some")
def first(request: Request, who: Who) -> Response:
    """The operator's; who may not see those is led to the newest project of theirs."""
    if who.may("administer"):
        return _page(request, who, "")
    mine = who.projects("administer") or ()
    known = [each.id for each in reversed(projects.known(site_of(request).door.database)) if each.id in mine]
    return RedirectResponse(f"/settings/secrets/of/{known[0]}", 303) if known else page(request, "nowhere.html")


@router.post("/settings/secrets/keep")
@needs("administer", "every")
def keep(request: Request, who: Who, given: Annotated[Given, Form()]) -> Response:
    """Set one of the operator's."""
    return _keep(request, who, given, "")


@router.post("/settings/secrets/remove")
@needs("administer", "every")
def remove(request: Request, who: Who, name: Name, sure: Sure) -> Response:
    """Delete one of the operator's."""
    assert sure  # noqa: S101 - the form was whole
    secrets.remove(site_of(request).door, name, project="", by=who.by)
    return _back("")


@router.get("/settings/secrets/of/{project}")
@needs("administer", "project")
def of_project(request: Request, who: Who, project: TheProject) -> Response:
    """Those that a project has in place of the operator's, or may have."""
    return _page(request, who, project)


@router.post("/settings/secrets/of/{project}/keep")
@needs("administer", "project")
def keep_own(request: Request, who: Who, project: TheProject, given: Annotated[Given, Form()]) -> Response:
    """Set one of a project's own."""
    return _keep(request, who, given, project)


@router.post("/settings/secrets/of/{project}/remove")
@needs("administer", "project")
def remove_own(request: Request, who: Who, project: TheProject, name: Name, sure: Sure) -> Response:
    """Delete one of a project's own."""
    assert sure  # noqa: S101 - the form was whole
    secrets.remove(site_of(request).door, name, project=project, by=who.by)
    return _back(project)


def _keep(request: Request, who: Person, given: Given, project: str) -> Response:
    site = site_of(request)
    try:
        secrets.keep(site.door, given.name, given.value, project=project, by=who.by, at=site.clock())
    except SettingsError as error:
        return _page(request, who, project, wrong=error, status=409)
    return _back(project)


def _page(
    request: Request, who: Person, project: str, *, wrong: SettingsError | None = None, status: int = 200
) -> Response:
    door, mine = site_of(request).door, who.projects("administer")
    try:
        found = secrets.of_project(door, project) if project else secrets.listed(door)
    except SettingsError as error:
        found, wrong = [], wrong or error
    return page(
        request,
        "secrets.html",
        status=status,
        project=project,
        every=mine is None,
        projects=[each.id for each in projects.known(door.database) if mine is None or each.id in mine],
        held=found,
        wrong=wrong,
    )


def _back(project: str) -> Response:
    return RedirectResponse(f"/settings/secrets/of/{project}" if project else "/settings/secrets", 303)
