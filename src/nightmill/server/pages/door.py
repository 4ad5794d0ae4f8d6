"""Coming in and going out."""

from __future__ import annotations

import threading
from typing import Annotated

from fastapi import Form, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from nightmill.access import hashed, matches, refusal, stale
from nightmill.errors import SettingsError
from nightmill.server.guard import needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.place import place
from nightmill.server.problem import Refused
from nightmill.server.rates import Rate
from nightmill.server.site import Site, site_of

__all__ = ["AT_ONCE", "FOR_ONE_NAME", "begin", "inside", "router", "signed"]

router = of_pages()

AT_ONCE = threading.BoundedSemaphore(2)
"""Passwords that are looked at together: each takes 64 MiB."""

FROM_ONE_PEER, FROM_ONE_PLACE, FOR_ONE_NAME, FOR_IT_ALL = Rate(200, 0.5), Rate(20, 3.0), Rate(6, 30.0), Rate(60, 10.0)
"""Wrong passwords from who connects, from where it comes, for one mail address from there, and for that from anywhere.

Whoever tries passwords of somebody keeps them out only where both are behind one address.
"""

WRONG = "This address and this password do not belong together."

Secret = Annotated[str, Path(max_length=100)]
Word = Annotated[str, Form(max_length=1000)]


@router.get("/sign-in")
@needs(None, "nothing")
def sign_in(request: Request, next: Annotated[str, Query(max_length=2000)] = "/", *, ended: bool = False) -> Response:
    """The form; *ended*: a page that was open found that its session is over."""
    return _form(request, next, ended=ended)


@router.post("/sign-in")
@needs(None, "nothing")
def signed_in(
    request: Request,
    address: Word,
    password: Word,
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Whether they are who they say."""
    site = site_of(request)
    here, name = place(request, proxied=site.secure), address.strip().casefold()
    tries = (
        ("peer", here.peer, FROM_ONE_PEER),
        ("place", here.whole, FROM_ONE_PLACE),
        ("name", f"{here.whole} {name}", FOR_ONE_NAME),
        ("all", name, FOR_IT_ALL),
    )
    for what, who, rate in tries:  # who is refused at one takes nothing of the next
        if wait := site.rates.take(what, who, rate):
            after = {"Retry-After": str(round(wait + 1))}
            raise Refused(429, "too many attempts to sign in", hint="wait a little", headers=after)
    before = site.people.password(name)
    with AT_ONCE:
        good = matches(password, before)
        again = hashed(password) if good and stale(before) else ""
    if again:
        site.people.rehash(name, before=before, password=again)
    if not good:
        return _form(request, next, address=address, wrong=WRONG)
    for what, who, _ in tries:
        site.rates.give_back(what, who)
    return begin(site, request, name, inside(next))


@router.post("/sign-out")
@needs(None, "nothing")
def sign_out(request: Request) -> Response:
    """End the session."""
    site = site_of(request)
    if secret := request.cookies.get(site.cookie):
        site.keys.end(secret)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(site.cookie, secure=site.secure, httponly=True, samesite="lax")
    return answer


@router.get("/welcome/{secret}")
@needs(None, "nothing")
def welcome(request: Request, secret: Secret) -> Response:
    """The form with which somebody who was invited chooses a password."""
    address = site_of(request).people.invited(secret)
    if not address:
        raise Refused(404, "this invitation is used, or its time is over", hint="ask an admin for a new one")
    return page(request, "welcome.html", address=address, name="", wrong="")


@router.post("/welcome/{secret}")
@needs(None, "nothing")
def welcomed(request: Request, secret: Secret, name: Word, password: Word) -> Response:
    """Let them in."""
    site = site_of(request)
    address = site.people.invited(secret)
    if not address:
        raise Refused(404, "this invitation is used, or its time is over", hint="ask an admin for a new one")
    wrong = refusal(password, address=address)
    if not wrong:
        with AT_ONCE:
            kept = hashed(password)
        try:
            person = site.people.redeem(secret, name=name, password=kept)
        except SettingsError as error:
            wrong = f"{error.message}; {error.hint}"
        else:
            if person is None:
                raise Refused(404, "this invitation is used, or its time is over", hint="ask an admin for a new one")
            return begin(site, request, address, "/")
    return page(request, "welcome.html", status=422, address=address, name=name, wrong=wrong)


def _form(request: Request, to: str, *, address: str = "", wrong: str = "", ended: bool = False) -> Response:
    provider = site_of(request).provider
    name = provider.config.name if provider is not None else ""
    status = 401 if wrong else 200
    said = {"next": inside(to), "address": address, "wrong": wrong, "ended": ended, "provider": name}
    return page(request, "sign_in.html", status=status, **said)


def begin(site: Site, request: Request, address: str, to: str) -> Response:
    """*to* a page, as *address* from now on: what the browser showed before is worth nothing any more."""
    if old := request.cookies.get(site.cookie):
        site.keys.end(old)
    return signed(site, RedirectResponse(to, 303), address)


def signed(site: Site, answer: Response, address: str) -> Response:
    """*answer* with a session of *address* for the browser that gets it."""
    answer.set_cookie(
        site.cookie, site.keys.begin(address), secure=site.secure, httponly=True, samesite="lax", path="/"
    )
    return answer


def inside(next: str) -> str:
    r"""*next* if it is a page of ours; `//host` and `/\host` are not."""
    ours = next.startswith("/") and not next.startswith("//") and "\\" not in next and next.isprintable()
    return next if ours else "/"
