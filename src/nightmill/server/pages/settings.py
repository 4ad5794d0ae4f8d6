"""Settings of one's own: tokens, password, and signing out everywhere."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from nightmill.access import ACTS, ROLES, Act, Person, hashed, matches, refusal
from nightmill.server.guard import Who, needs, of_pages
from nightmill.server.pages.door import AT_ONCE, FOR_ONE_NAME, signed
from nightmill.server.pages.render import page
from nightmill.server.problem import Refused
from nightmill.server.site import Site, site_of
from nightmill.store.keys import DAY

__all__ = ["router"]

router = of_pages()

ONCE = ("made", "wrong", "changed")

Line = Annotated[str, Form(min_length=1, max_length=254)]
Sure = Annotated[str, Form(pattern="^yes$")]
Word = Annotated[str, Form(max_length=1000)]


class NewToken(BaseModel):
    """A token as somebody asks for it."""

    name: str = Field(min_length=1, max_length=80)
    scopes: list[Act] = Field(min_length=1, max_length=4)
    days: int = Field(90, ge=1, le=366)


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
    return RedirectResponse("/settings", 303)


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
def password(request: Request, who: Who, current: Word, new: Word) -> Response:
    """Let who knows the password have another; the session here goes on as a new one, and no other does."""
    _in_person(who)
    site = site_of(request)
    if wait := site.rates.take("own", who.address, FOR_ONE_NAME):
        raise Refused(
            429, "too many wrong passwords", hint="wait a little", headers={"Retry-After": str(round(wait + 1))}
        )
    if wrong := _replaced(site, who, current, new):
        return _page(request, who, wrong=wrong, status=422)
    site.rates.give_back("own", who.address)
    return signed(site, _page(request, who, changed="yes"), who.address)


def _replaced(site: Site, who: Person, current: str, new: str) -> str:
    """Why *new* is not the password now; "" if it is."""
    before = site.people.password(who.address)
    with AT_ONCE:
        good = matches(current, before)
    if not good:
        return "This is not the password that you have now."
    if wrong := refusal(new, address=who.address):
        return f"The new one is not taken: {wrong}."
    if new == current:
        return "The new one is the one that you have now."
    with AT_ONCE:
        kept = hashed(new)
    if not site.people.replace(who.address, before=before, password=kept):
        return "The password was changed elsewhere meanwhile."
    return ""


def _page(request: Request, who: Person, *, status: int = 200, **said: str) -> Response:
    """The page, with what is *said* on it this once."""
    site = site_of(request)
    return page(
        request,
        "settings.html",
        status=status,
        tokens=site.keys.tokens(who.address),
        acts=[act for act in ACTS if any(act in ROLES[each.role] for each in who.grants)],
        by_password=who.way == "session" and bool(site.people.password(who.address)),
        **{**dict.fromkeys(ONCE, ""), **said},
    )


def _in_person(who: Person) -> None:
    if who.way != "session":
        raise Refused(403, "only who has signed in changes how they sign in", hint="sign in with a browser")
