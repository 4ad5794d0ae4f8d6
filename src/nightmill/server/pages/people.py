"""Who is let in, and as what: for those who administer everything."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from nightmill.access import EVERY, ROLES, Grant, RoleName
from nightmill.server.guard import Who, needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.site import site_of
from nightmill.store import projects

__all__ = ["router"]

router = of_pages()

Address = Annotated[str, Path(max_length=254)]
Sure = Annotated[str, Form(pattern="^yes$")]


class Roles(BaseModel):
    """All the roles of somebody in one project, or in every one."""

    project: str = Field(EVERY, max_length=80)
    roles: list[RoleName] = Field(default_factory=list, max_length=4)


class Invitation(Roles):
    """Whom to invite, and as what."""

    address: str = Field(min_length=3, max_length=254)


@router.get("/settings/people")
@needs("administer", "every")
def people(request: Request) -> Response:
    """The page."""
    return _page(request)


@router.post("/settings/people")
@needs("administer", "every")
def invite(request: Request, who: Who, invitation: Annotated[Invitation, Form()]) -> Response:
    """Invite somebody; this answer is the only one that shows the link."""
    site = site_of(request)
    grants = [Grant(role=each, project=invitation.project) for each in invitation.roles]
    secret = site.people.invite(invitation.address, grants=grants, by=who.by)
    return _page(request, link=f"{site.origin}/welcome/{secret}", invited=invitation.address, status=201)


@router.post("/settings/people/{address}/roles")
@needs("administer", "every")
def grant(request: Request, who: Who, address: Address, roles: Annotated[Roles, Form()]) -> Response:
    """Give somebody exactly these roles in a project."""
    site_of(request).people.grant(address, roles.project, roles.roles, by=who.by)
    return RedirectResponse("/settings/people", 303)


@router.post("/settings/people/{address}/remove")
@needs("administer", "every")
def remove(request: Request, who: Who, address: Address, sure: Sure) -> Response:
    """Shut somebody out."""
    assert sure  # noqa: S101 - the form was whole
    site_of(request).people.remove(address, by=who.by)
    return RedirectResponse("/settings/people", 303)


def _page(request: Request, *, status: int = 200, link: str = "", invited: str = "") -> Response:
    """The page, with the *link* of who was *invited* on it this once."""
    site = site_of(request)
    return page(
        request,
        "people.html",
        status=status,
        people=site.people.everybody(),
        roles=ROLES,
        projects=[each.id for each in projects.known(site.door.database)],
        link=link,
        invited=invited,
    )
