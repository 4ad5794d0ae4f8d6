"""Runs: all that somebody may see, newest first, by project and state."""

from __future__ import annotations

from typing import Annotated, Literal, get_args
from urllib.parse import urlencode

from fastapi import Query, Request
from starlette.responses import Response

from nightmill.server.api.runs import Limit, State, cursor_of, read_cursor
from nightmill.server.guard import Who, needs, of_pages
from nightmill.server.pages.night import LIFE
from nightmill.server.pages.render import page
from nightmill.server.site import site_of
from nightmill.store.projects import known

__all__ = ["router"]

router = of_pages()


@router.get("/runs")
@needs("view", "some")
def listed(
    request: Request,
    who: Who,
    project: Annotated[str, Query(max_length=80)] = "",
    state: State | Literal[""] = "",
    cursor: Annotated[str, Query(max_length=200)] = "",
    limit: Limit = 50,
) -> Response:
    """One page of them."""
    door, seen = site_of(request).door, who.projects("view")
    projects = seen if not project else {project} if seen is None or project in seen else set()
    found = door.runs.list(
        projects=projects,
        states=(state,) if state else (),
        before=read_cursor(cursor) if cursor else None,
        limit=limit + 1,
    )
    asked = {"project": project, "state": state, "limit": "" if limit == 50 else str(limit)}
    more = asked | {"cursor": cursor_of(found[limit - 1].created, found[limit - 1].id)} if len(found) > limit else {}
    return page(
        request,
        "runs.html",
        runs=found[:limit],
        took=door.runs.families([run.id for run in found[:limit]]),
        project=project,
        state=state,
        cursor=cursor,
        states=get_args(State),
        projects=sorted(each.id for each in known(door.database) if seen is None or each.id in seen),
        more=urlencode({name: value for name, value in more.items() if value}),
        life=LIFE,
    )
