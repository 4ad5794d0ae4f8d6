"""Settings: your own tokens and password; for those who administer everything, who is let in and as what."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from nightmill.access import ACTS, EVERY, ROLES, Act, Grant, Person, RoleName, matches
from nightmill.server.guard import Who, needs, of_pages
from nightmill.server.pages.door import AT_ONCE, FOR_ONE_NAME
from nightmill.server.pages.render import page
from nightmill.server.problem import Refused
from nightmill.server.site import site_of
from nightmill.store import projects
from nightmill.store.keys import DAY

__all__ = ["router"]

router = of_pages()

ONCE = ("made", "link", "invited", "wrong")

Address = Annotated[str, Path(max_length=254)]
Line = Annotated[str, Form(min_length=1, max_length=254)]
Sure = Annotated[str, Form(pattern="^yes$")]


class NewToken(BaseModel):
    """A token as somebody asks for it."""

    name: str = Field(min_length=1, max_length=80)
    scopes: list[Act] = Field(min_length=1, max_length=4)
    days: int = Field(90, ge=1, le=366)


class Roles(BaseModel):
    """All the roles of somebody in one project, or in every one."""

    project: str = Field(EVERY, max_length=80)
    roles: list[RoleName] = Field(default_factory=list, max_length=4)


class Invitation(Roles):
    """Whom to invite, and as what."""

    address: str = Field(min_length=3, max_length=254)


@router.get("/settings")
@needs("view", "nothing")
def settings(request: Request, who: Who) -> Response:
    """The page."""
    return _page(request, who)


@router.post("/settings/tokens")
@needs("view", "nothing")
def make(request: Request, who: Who, token: Annotated[NewToken, Form()]) -> Response:
    """Make a token; this answer is the only one that shows it."""
    _in_person(who)
    secret = site_of(request).keys.make(token.name, owner=who, scopes=token.scopes, seconds=token.days * DAY)
    return _page(request, who, made=secret, status=201)


@router.post("/settings/tokens/revoke")
@needs("view", "nothing")
def revoke(request: Request, who: Who, name: Line) -> Response:
    """End a token."""
    _in_person(who)
    site_of(request).keys.revoke(name, owner=who.address, by=who.by)
    return _back()


@router.post("/settings/sessions")
@needs("view", "nothing")
def leave(request: Request, who: Who, sure: Sure) -> Response:
    """Sign out everywhere, here too."""
    assert sure  # noqa: S101 - the form was whole
    _in_person(who)
    site_of(request).keys.leave(who.address)
    return RedirectResponse("/sign-in", 303)


@router.post("/settings/password")
@needs("view", "nothing")
def password(request: Request, who: Who, current: Annotated[str, Form(max_length=1000)]) -> Response:
    """Let who knows the password choose a new one, as who was invited does."""
    _in_person(who)
    site = site_of(request)
    if wait := site.rates.take("name", who.address, FOR_ONE_NAME):
        raise Refused(429, "too many wrong passwords", hint="wait a little", headers={"Retry-After": f"{wait:.0f}"})
    with AT_ONCE:
        good = matches(current, site.people.password(who.address))
    if not good:
        return _page(request, who, wrong="This is not the password that you have now.", status=422)
    site.rates.give_back("name", who.address)
    return RedirectResponse(f"/welcome/{site.people.invite(who.address, by=who.by)}", 303)


@router.post("/settings/people")
@needs("administer", "every")
def invite(request: Request, who: Who, invitation: Annotated[Invitation, Form()]) -> Response:
    """Invite somebody; this answer is the only one that shows the link."""
    site = site_of(request)
    grants = [Grant(role=each, project=invitation.project) for each in invitation.roles]
    secret = site.people.invite(invitation.address, grants=grants, by=who.by)
    return _page(request, who, link=f"{site.origin}/welcome/{secret}", invited=invitation.address, status=201)


@router.post("/settings/people/{address}/roles")
@needs("administer", "every")
def grant(request: Request, who: Who, address: Address, roles: Annotated[Roles, Form()]) -> Response:
    """Give somebody exactly these roles in a project."""
    site_of(request).people.grant(address, roles.project, roles.roles, by=who.by)
    return _back()


@router.post("/settings/people/{address}/remove")
@needs("administer", "every")
def remove(request: Request, who: Who, address: Address, sure: Sure) -> Response:
    """Shut somebody out."""
    assert sure  # noqa: S101 - the form was whole
    site_of(request).people.remove(address, by=who.by)
    return _back()


def _page(request: Request, who: Person, *, status: int = 200, **said: str) -> Response:
    """The page, with what is *said* on it this once."""
    site = site_of(request)
    administers = who.may("administer")
    return page(
        request,
        "settings.html",
        status=status,
        tokens=site.keys.tokens(who.address),
        acts=[act for act in ACTS if any(act in ROLES[each.role] for each in who.grants)],
        administers=administers,
        people=site.people.everybody() if administers else (),
        roles=ROLES,
        projects=[each.id for each in projects.known(site.door.database)] if administers else (),
        by_password=who.way == "session" and bool(site.people.password(who.address)),
        **{**dict.fromkeys(ONCE, ""), **said},
    )


def _in_person(who: Person) -> None:
    if who.way != "session":
        raise Refused(403, "only who has signed in changes how they sign in", hint="sign in with a browser")


def _back() -> Response:
    return RedirectResponse("/settings", 303)
