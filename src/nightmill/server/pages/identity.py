"""Coming in by an identity provider, and going out of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from fastapi import Query, Request
from starlette.responses import RedirectResponse, Response

from nightmill.server.guard import needs, of_pages
from nightmill.server.identity.flow import Flow
from nightmill.server.pages.door import begin, inside
from nightmill.server.place import place
from nightmill.server.problem import Refused
from nightmill.server.rates import Rate
from nightmill.server.site import Site, site_of
from nightmill.store.keys import ATTEMPT

if TYPE_CHECKING:
    from nightmill.server.identity.provider import Provider

__all__ = ["router"]

router = of_pages()

AGAIN = "sign in anew"
FROM_ONE_PLACE = Rate(burst=200, seconds=0.5)
"""Comings and goings of one address of the network, with all who are behind it."""
WAITING = 8
"""Who may wait for the provider together: one that hangs is not to hold up everybody else here."""
AT_ONCE = threading.BoundedSemaphore(WAITING)

Text = Annotated[str, Query(max_length=4000)]


@router.get("/sign-in/with")
@needs(None, "nothing")
def sign_in_with(request: Request, next: Annotated[str, Query(max_length=2000)] = "/") -> Response:
    """To the provider, with an attempt that only this browser can end."""
    site = site_of(request)
    provider = _provider(site)
    _patient(site, request)
    secret = site.keys.attempt(inside(next))
    with _waiting():
        answer = RedirectResponse(provider.begin(Flow(secret)), 303)
    # Lax, since it is the provider's page that leads back here.
    answer.set_cookie(
        site.attempt, secret, max_age=int(ATTEMPT), secure=site.secure, httponly=True, samesite="lax", path="/"
    )
    return answer


@router.get("/sign-in/back")
@needs(None, "nothing")
def came_back(request: Request, state: Text = "", code: Text = "", iss: Text = "", error: Text = "") -> Response:
    """From the provider: whom it names, if this is its answer to what this browser asked."""
    site = site_of(request)
    provider = _provider(site)
    _patient(site, request)
    secret = request.cookies.get(site.attempt, "")
    flow = Flow(secret)
    # Looked at first: what another page made the browser bring here ends no attempt of its own.
    if not secret or not flow.began(state):
        raise Refused(400, "this is no answer to what this browser asked", hint=AGAIN)
    to = site.keys.attempted(secret)
    if to is None:
        raise Refused(400, "this browser asked too long ago, or came back before", hint=AGAIN)
    with _waiting():
        provider.answers(issuer=iss)
        if not code:
            why = error[:80] or "it gave no code"
            raise Refused(403, f"the identity provider let nobody in: {why}", hint=AGAIN)
        said = provider.person(flow, code)
    config = provider.config
    address = site.people.welcome(config.issuer, said.subject, address=said.address, name=said.name)
    if address is None:
        who = said.address or "an address that the identity provider has verified"
        raise Refused(403, f"nobody has invited {who}", hint="ask an admin of this server for an invitation")
    if config.roles:
        site.people.regrant(address, config.grants(said.groups), by=config.issuer)
    answer = begin(site, request, address, to)
    answer.delete_cookie(site.attempt, secure=site.secure, httponly=True, samesite="lax")
    return answer


@router.get("/sign-out/with")
@needs(None, "nothing")
def sign_out_with(request: Request) -> Response:
    """To where somebody ends their session at the provider, too; a browser comes here signed out already."""
    site = site_of(request)
    provider = _provider(site)
    _patient(site, request)
    with _waiting():
        place = provider.farewell(f"{site.origin}/sign-in")
    return RedirectResponse(place or "/sign-in", 303)


def _patient(site: Site, request: Request) -> None:
    if wait := site.rates.take("identity", place(request, proxied=site.secure).whole, FROM_ONE_PLACE):
        raise Refused(
            429, "too many attempts to sign in", hint="wait a little", headers={"Retry-After": str(round(wait + 1))}
        )


@contextmanager
def _waiting() -> Iterator[None]:
    if not AT_ONCE.acquire(blocking=False):
        raise Refused(503, "too many wait for the identity provider", hint=AGAIN, headers={"Retry-After": "10"})
    try:
        yield
    finally:
        AT_ONCE.release()


def _provider(site: Site) -> Provider:
    if site.provider is None:
        raise Refused(404, "no identity provider speaks for people here", hint="sign in with a password")
    return site.provider
