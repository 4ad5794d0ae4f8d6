"""A task that a run left: what is open, who said what of it, and the two things that can become of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import Form, Request
from starlette.responses import RedirectResponse, Response

from nightmill import event
from nightmill.server.guard import TheTask, Who, needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.site import site_of

__all__ = ["router"]

router = of_pages()

LIFE = tuple(
    kind.name for kind in (event.TaskFiled, event.TaskStarted, event.TaskDropped, event.RunDone, event.RunStopped)
)
"""What changes this page."""


@router.get("/tasks/{task}")
@needs("view", "task")
def one(request: Request, task: TheTask, who: Who) -> Response:
    """The page."""
    from nightmill.desk import remedy  # noqa: PLC0415 - all that makes a run, which a server at rest need not hold

    found = remedy.shown(site_of(request).door, task.id)
    return page(request, "task.html", found=found, operates=who.may("operate", task.project), life=LIFE)


@router.post("/tasks/{task}/start")
@needs("operate", "task")
def start(request: Request, task: TheTask, who: Who) -> Response:
    """Have a run go on with it, which the answer leads to."""
    from nightmill.desk import remedy  # noqa: PLC0415 - all that makes a run, which a server at rest need not hold

    site, home = site_of(request), Path.home()  # noqa: TID251 - the server is a door, and its user is who trusts folders
    started = remedy.start(site.door, remedy.Wanted(task=task.id, by=who.by, home=home), now=site.clock)
    return RedirectResponse(f"/runs/{started.run.id}", 303)


@router.post("/tasks/{task}/drop")
@needs("operate", "task")
def drop(
    request: Request, task: TheTask, who: Who, because: Annotated[str, Form(min_length=1, max_length=4000)]
) -> Response:
    """Let nobody go on with it."""
    from nightmill.desk import remedy  # noqa: PLC0415 - all that makes a run, which a server at rest need not hold

    remedy.drop(site_of(request).door, task.id, by=who.by, because=because)
    return RedirectResponse(f"/tasks/{task.id}", 303)
