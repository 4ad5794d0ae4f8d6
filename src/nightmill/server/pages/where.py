"""Which project a page is of, where it is of one: the ones that somebody may see, to choose from."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from nightmill.access import Person
from nightmill.server.pages.render import page
from nightmill.server.site import site_of
from nightmill.store import projects

__all__ = ["choose", "tabs"]


def tabs(request: Request, who: Person) -> list[str]:
    """The projects that *who* may see, newest first."""
    seen = who.projects("view")
    known = projects.known(site_of(request).door.database)
    return [each.id for each in reversed(known) if seen is None or each.id in seen]


def choose(request: Request, who: Person, what: str) -> Response:
    """Lead to the page *what* of the newest project that *who* may see."""
    found = tabs(request, who)
    if not found:
        return page(request, "nowhere.html")
    return RedirectResponse(f"/{what}/{quote(found[0], safe='')}", 303)
