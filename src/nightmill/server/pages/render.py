"""Templates to answers. Everything on a page may be a stranger's words: all of it is escaped, and unseen signs are shown."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

from fastapi import Request
from jinja2 import Environment, PackageLoader
from starlette.responses import HTMLResponse, Response

from nightmill.access import Person
from nightmill.report.drawing import environment
from nightmill.server.site import Site, site_of

__all__ = ["ROOMS", "STATIC", "page", "refused"]

ROOMS = ("server", "report", "blueprint")
STATIC = tuple(resources.files(f"nightmill.{room}").joinpath("static") for room in ROOMS)
"""The folders of files that are sent as they are; the pages of the server look like the report's."""


def page(request: Request, template: str, /, *, status: int = 200, **values: Any) -> HTMLResponse:
    """*template* with *values*, for whoever sends *request*."""
    known = {name: getattr(request.state, name, None) for name in ("who", "after")}
    return _answer(site_of(request), template, status=status, path=request.url.path, **known, **values)


def refused(request: Request, site: Site, said: Response) -> HTMLResponse:
    """The problem *said* as a page for whoever sends *request*, if that is known."""
    problem = json.loads(bytes(said.body))
    who = getattr(request.state, "who", None)
    found = _answer(site, "refused.html", status=said.status_code, who=who, path="", problem=problem)
    found.headers.update({name: value for name, value in said.headers.items() if name in {"retry-after", "connection"}})
    return found


def _answer(site: Site, template: str, /, *, status: int, who: Person | None, path: str, **values: Any) -> HTMLResponse:
    text = _environment().get_template(template).render(who=who, path=path, now=site.clock(), **values)
    return HTMLResponse(text, status_code=status)


@cache
def _environment() -> Environment:
    made = environment(PackageLoader("nightmill.server"))
    made.globals["static"] = _static
    return made


@cache
def _static(name: str) -> str:
    """The address of a file that never changes under it."""
    (held,) = (file.read_bytes() for folder in STATIC if (file := folder.joinpath(name)).is_file())
    return f"/static/{name}?{hashlib.sha256(held).hexdigest()[:12]}"
