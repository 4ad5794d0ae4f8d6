"""Compare: two runs side by side, from where they part."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated

from fastapi import Path, Request
from starlette.responses import Response

from nightmill.report.hunks import files
from nightmill.server.beside import compared
from nightmill.server.guard import TheRun, Who, needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.site import site_of

__all__ = ["router"]

router = of_pages()

MOST = 200
"""Turns of each side that are shown."""
ROOM = 300_000
"""Characters of markup of the difference."""


@router.get("/runs/{run}/compare/{other}")
@needs("view", "run")
def beside(
    request: Request, run: TheRun, who: Who, other: Annotated[str, Path(min_length=1, max_length=200)]
) -> Response:
    """Both, and how their trees differ."""
    found = compared(site_of(request), run, who, other)
    views, left_out = files(found.diff, room=ROOM, edited={})
    part = SimpleNamespace(files=views, files_left_out=left_out, anchor="", body=None)
    return page(request, "compare.html", found=found, part=part, most=MOST)
