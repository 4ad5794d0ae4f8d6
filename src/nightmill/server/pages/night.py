"""Night, the first page: what happened, and what waits for whoever looks."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import Request
from starlette.responses import Response

from nightmill import event
from nightmill.desk import attention
from nightmill.desk.night import Sums, evening
from nightmill.report.hours import Hour
from nightmill.report.night import clock
from nightmill.report.words import Face, count, face, money, tokens
from nightmill.server.guard import Who, needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.site import site_of

__all__ = ["LIFE", "router"]

router = of_pages()

DECIDED = ("approve", "merge")
"""What waits for who may approve; all else is for who operates."""
LATEST = 30
LANDED = 20

LIFE = tuple(
    kind.name
    for kind in (
        event.RunQueued,
        event.RunStarted,
        event.RunParked,
        event.RunPaused,
        event.RunResumed,
        event.RunDone,
        event.RunStopped,
        event.PhaseStarted,
        event.TurnFinished,
        event.QuestionAsked,
        event.QuestionDecided,
        event.PullRequestOpened,
        event.PullRequestMerged,
        event.TaskFiled,
        event.TaskStarted,
        event.TaskDropped,
    )
)
"""What changes this page."""


@router.get("/")
@needs("view", "nothing")
def night(request: Request, who: Who) -> Response:
    """What waits, what ran and landed since yesterday evening, what it took, and the latest runs."""
    site = site_of(request)
    door, seen, now = site.door, who.projects("view"), site.clock()
    things = [each for each in attention.waiting(door) if seen is None or each.project in seen]
    mine = [each for each in things if who.may("approve" if each.kind in DECIDED else "operate", each.project)]
    told = site.nights.since(evening(now), now=now, projects=seen)
    latest = door.runs.list(projects=seen, parent="", limit=LATEST)
    priced = told.all.cost > 0 or not told.all.unpriced
    titles = {run.id: run for run in door.runs.some({each.run for each in told.landed[:LANDED]})}
    return page(
        request,
        "night.html",
        mine=mine,
        nowhere=seen is not None and not seen,
        others=[each for each in things if each not in mine],
        night=told,
        began=f"yesterday, {clock(told.since)} {datetime.fromtimestamp(told.since, UTC).astimezone().tzname()}",
        landed=[(each, titles.get(each.run)) for each in told.landed[:LANDED]],
        now_by_state=_states(door.runs.counts(projects=seen)),
        priced=priced,
        burn=[_burn(at, sums, priced=priced) for at, sums in told.hours],
        through=[_through(at, sums) for at, sums in told.hours],
        runs=latest,
        took=door.runs.families([run.id for run in latest]),
        commands=attention.commands,
        life=LIFE,
    )


def _states(counts: dict[tuple[str, str], int]) -> list[tuple[Face, int]]:
    """Runs that are not over, by face."""
    return [
        (face(state, why=why, needs=why), number)
        for (state, why), number in sorted(counts.items())
        if state not in {"done", "stopped"}
    ]


def _burn(at: float, sums: Sums, *, priced: bool) -> Hour:
    told = f"{clock(at)}: {money(sums.cost)}, {tokens(sums.tokens)} tokens in {count(sums.turns, 'turn')}"
    return Hour(clock(at), (("money", sums.cost if priced else sums.tokens / 1000),), told)


def _through(at: float, sums: Sums) -> Hour:
    told = f"{clock(at)}: {sums.done} done, {sums.stopped} stopped, {sums.merged} merged"
    return Hour(clock(at), (("good", sums.done), ("bad", sums.stopped)), told)
