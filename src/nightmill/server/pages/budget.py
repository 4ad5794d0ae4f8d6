"""What runs may spend: today all together and each project, and what one run may take; more for today by who administers everything."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from nightmill.access import Person
from nightmill.desk import spending
from nightmill.errors import SettingsError
from nightmill.server.guard import Who, needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.site import site_of
from nightmill.store.accounts import DAY

__all__ = ["router"]

router = of_pages()

Dollars = Annotated[float, Form(allow_inf_nan=False)]


@router.get("/settings/budget")
@needs("view", "some")
def budget(request: Request, who: Who) -> Response:
    """The page; what all runs together spend is for who sees all of them."""
    return _page(request, who)


@router.post("/settings/budget")
@needs("administer", "every")
def more(request: Request, who: Who, dollars: Dollars) -> Response:
    """Add to what today may cost; those who wait for that look again."""
    try:
        waiting = spending.more(site_of(request).door, dollars, by=who.by)
    except SettingsError as error:
        return _page(request, who, wrong=error, status=422)
    return _page(request, who, added=dollars, waiting=waiting)


def _page(
    request: Request,
    who: Person,
    *,
    added: float = 0.0,
    waiting: int = 0,
    wrong: SettingsError | None = None,
    status: int = 200,
) -> Response:
    site, seen = site_of(request), who.projects("view")
    door, every = site.door, seen is None
    pots = spending.today(door, seen=seen)
    return page(
        request,
        "budget.html",
        status=status,
        day=pots[0] if every else None,
        pots=pots[1:] if every else pots,
        asks=spending.asks(door, pots[0].standing.name) if every else None,
        closed=spending.closed(door) if every else {},
        ends=DAY - site.clock() % DAY,
        limits=door.settings,
        may=who.may("administer"),
        added=added,
        waiting=waiting,
        wrong=wrong,
    )
