"""Webhooks: who elsewhere is told of what and how that goes, and whose forges are heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

from fastapi import Form, Path, Request
from markupsafe import Markup
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from nightmill.access import Person
from nightmill.desk import heard, hooks
from nightmill.desk.door import Door
from nightmill.event import EVENTS
from nightmill.hook import Undelivered
from nightmill.kept import Kept
from nightmill.report.charts import stripe
from nightmill.report.words import Face
from nightmill.server.guard import TheProject, Who, needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.site import site_of
from nightmill.store import projects
from nightmill.told import Dead, Delivery, Hook

__all__ = ["router"]

router = of_pages()

OFTEN = (
    *("run_done", "run_stopped", "run_parked", "question_asked", "question_decided"),
    *("pull_request_opened", "pull_request_merged", "forge_heard"),
)
"""Events that most want to hear of."""
SHOWN = 10
"""Letters that are shown in words."""
FEW = 6
"""Projects whose forge is not heard that are shown without being asked for."""

Id = Annotated[str, Path(max_length=40)]
Sure = Annotated[str, Form(pattern="^yes$")]


class New(BaseModel):
    """Whom to tell, and of what; *others* are names of events with spaces or commas between them."""

    url: str = Field(min_length=1, max_length=2000)
    events: list[str] = Field(default_factory=list, max_length=100)
    others: str = Field("", max_length=4000)
    project: str = Field("", max_length=80)


class Row(NamedTuple):
    """A webhook, how it goes in a word, its last letters, newest first, and what was given up."""

    hook: Hook
    face: Face
    sent: Sequence[Delivery]
    dead: Sequence[Dead]

    @property
    def picture(self) -> Markup:
        """How its last letters went."""
        ends = [not each.reason for each in reversed(self.sent)]
        return stripe(ends, label=f"{sum(ends)} of the last {len(ends)} letters arrived")


class Ear(NamedTuple):
    """The forge of a *project*: since when it is heard, None: it is not; and when it last said something, 0: never."""

    project: str
    kept: Kept | None
    said: float


class Said(NamedTuple):
    """What the page says this once: a *title*, and a *secret* or a few *words*. *well*: it went as it should."""

    title: str
    words: str = ""
    secret: str = ""
    address: str = ""
    well: bool = True


@router.get("/settings/webhooks")
@needs("administer", "some")
def webhooks(request: Request, who: Who) -> Response:
    """The page."""
    return _page(request, who)


@router.post("/settings/webhooks")
@needs("administer", "every")
def add(request: Request, who: Who, new: Annotated[New, Form()]) -> Response:
    """Add one; this answer is the only one that shows its secret."""
    events = [*new.events, *new.others.replace(",", " ").split()]
    made = hooks.add(site_of(request).door, new.url.strip(), events=events, project=new.project, by=who.by)
    return _page(request, who, Said(f"The secret of {made.hook.id}", secret=made.secret), status=201)


@router.post("/settings/webhooks/{hook}/pause")
@needs("administer", "every")
def pause(request: Request, who: Who, hook: Id) -> Response:
    """Send it nothing until it is resumed."""
    site_of(request).door.hooks.change(hook, "paused", by=who.by)
    return _back(hook)


@router.post("/settings/webhooks/{hook}/resume")
@needs("administer", "every")
def resume(request: Request, who: Who, hook: Id) -> Response:
    """Send it what it missed, and go on."""
    site_of(request).door.hooks.change(hook, "resumed", by=who.by)
    return _back(hook)


@router.post("/settings/webhooks/{hook}/again")
@needs("administer", "every")
def again(request: Request, hook: Id, seq: Annotated[int, Form(ge=0, le=2**53)] = 0) -> Response:
    """Send it what was given up, and what waits to be tried again, now."""
    site_of(request).door.hooks.again(hook, seq)
    return _back(hook)


@router.post("/settings/webhooks/{hook}/test")
@needs("administer", "every")
async def test(request: Request, who: Who, hook: Id) -> Response:
    """Try it out; this answer says how that went."""
    site = site_of(request)
    try:
        status = await hooks.try_out(site.door, hook, now=site.clock())
    except Undelivered as error:
        said = Said(f"The test of {hook} did not arrive", str(error), well=False)
    else:
        said = Said(f"The test of {hook} arrived", f"It answered {status}.")
    return await run_in_threadpool(_page, request, who, said)


@router.post("/settings/webhooks/{hook}/rotate")
@needs("administer", "every")
def rotate(request: Request, who: Who, hook: Id, leaked: Annotated[str, Form(pattern="^(yes)?$")] = "") -> Response:
    """Give it another secret, which this answer alone shows."""
    site = site_of(request)
    secret = hooks.rotate(site.door, hook, by=who.by, at=site.clock(), at_once=leaked == "yes")
    until = "The one before is good no more." if leaked else "For a day, letters are signed with the one before, too."
    return _page(request, who, Said(f"The new secret of {hook}", until, secret=secret))


@router.post("/settings/webhooks/{hook}/remove")
@needs("administer", "every")
def remove(request: Request, who: Who, hook: Id, sure: Sure) -> Response:
    """Tell it nothing more."""
    assert sure  # noqa: S101 - the form was whole
    hooks.remove(site_of(request).door, hook, by=who.by)
    return RedirectResponse("/settings/webhooks", 303)


@router.post("/settings/heard/{project}")
@needs("administer", "project")
def listen(request: Request, who: Who, project: TheProject) -> Response:
    """Hear the forge of a project; this answer is the only one that shows the secret that it has to be given."""
    site = site_of(request)
    secret = heard.listen(site.door, project, at=site.clock(), by=who.by)
    address = f"{site.origin}/api/v1/projects/{project}/heard"
    return _page(request, who, Said(f"For the forge of {project}", secret=secret, address=address), status=201)


@router.post("/settings/heard/{project}/stop")
@needs("administer", "project")
def deafen(request: Request, who: Who, project: TheProject, sure: Sure) -> Response:
    """Hear it no more."""
    assert sure  # noqa: S101 - the form was whole
    heard.deafen(site_of(request).door, project, by=who.by)
    return RedirectResponse("/settings/webhooks", 303)


def _page(request: Request, who: Person, said: Said | None = None, *, status: int = 200) -> Response:
    """The page, with what is *said* on it this once."""
    door, mine = site_of(request).door, who.projects("administer")
    known = [each.id for each in projects.known(door.database) if mine is None or each.id in mine]
    return page(
        request,
        "webhooks.html",
        status=status,
        said=said,
        every=mine is None,
        rows=_rows(door) if mine is None else (),
        ears=_ears(door, known),
        often=OFTEN,
        shown=SHOWN,
        few=FEW,
        names=sorted(set(EVENTS) - set(OFTEN)),
        projects=known,
    )


def _rows(door: Door) -> list[Row]:
    given_up = door.hooks.dead()
    return [
        Row(
            each,
            _face(each),
            door.hooks.delivered(each.id),
            [dead for dead in given_up if dead.hook == each.id],
        )
        for each in door.hooks.all()
    ]


def _face(hook: Hook) -> Face:
    if hook.paused:
        return Face("paused", "past", "bars")
    if hook.tries or hook.lost:
        return Face("does not arrive", "failed", "cross")
    return Face("well", "proven", "check")


def _ears(door: Door, known: Sequence[str]) -> list[Ear]:
    found, last = heard.listening(door), door.hooks.heard()
    return [Ear(each, found.get(each), last.get(each, 0.0)) for each in known]


def _back(hook: str) -> Response:
    return RedirectResponse(f"/settings/webhooks#{hook}", 303)
