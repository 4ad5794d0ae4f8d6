"""The projects: what each has under way, what waits there, how its runs and checks end, and which of its tests are unsteady."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from statistics import median
from typing import NamedTuple

from fastapi import Request
from markupsafe import Markup
from starlette.responses import Response

from nightmill.desk.door import Door
from nightmill.desk.shelf import unsteady
from nightmill.report.charts import interval
from nightmill.report.hours import Hour
from nightmill.report.words import duration, money, tokens
from nightmill.review.flake import wilson
from nightmill.server.guard import TheProject, Who, needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.pages.where import tabs
from nightmill.server.site import site_of
from nightmill.store import Run, projects, records

__all__ = ["router"]

router = of_pages()

LOOKED_AT, CHECKED, SHOWN, MOST_UNSTEADY = 500, 100, 12, 60
"""Runs that are looked back on, those of which the checks are, and how many of each kind are shown."""
DAYS = 30
"""Days that are drawn, with this one."""
EPOCH = date(1970, 1, 1).toordinal()


class Row(NamedTuple):
    """A project, its runs of tasks by state, its open changes, and the commit of its main branch ("": none yet)."""

    project: projects.Known
    runs: dict[str, int]
    open: int
    tip: str


class Rate(NamedTuple):
    """How often something named went as it should: *good* of *total* times; *more* about it, in words."""

    name: str
    good: int
    total: int
    more: str = ""

    @property
    def picture(self) -> Markup:
        """The rate, and between which rates the truth lies."""
        return interval(self.good, self.total)

    @property
    def said(self) -> str:
        """The same in words."""
        low, high = wilson(self.good, self.total)
        return f"{low:.0%} to {high:.0%}"


class Day(NamedTuple):
    """One day (UTC), as 05-01, and what came of what was asked for on it."""

    name: str
    its: records.DayRecord

    @property
    def ended(self) -> str:
        """How its tasks ended, in words; those that a person cancelled say nothing of them."""
        parts = [(self.its.done, "done"), (self.its.stopped, "stopped"), (self.its.open, "not over")]
        return ", ".join(f"{number} {word}" for number, word in parts if number) or "no task"


@router.get("/projects")
@needs("view", "some")
def listed(request: Request, who: Who) -> Response:
    """All that may be seen, newest first."""
    door, seen = site_of(request).door, who.projects("view")
    known = [each for each in reversed(projects.known(door.database)) if seen is None or each.id in seen]
    names = [each.id for each in known]
    counted = records.counts(door.database, names)
    waiting = Counter(each.project for each in door.forge.all(projects=names, state="open"))
    rows = []
    for each in known:
        hub = door.hub(each.id)
        tip = (hub.resolve("HEAD") or "") if hub.path.is_dir() else ""
        rows.append(Row(each, counted.get(each.id, {}), waiting[each.id], tip))
    return page(request, "projects.html", rows=rows)


@router.get("/projects/{project}")
@needs("view", "project")
def one(request: Request, who: Who, project: TheProject) -> Response:
    """How the work in one goes."""
    door = site_of(request).door
    known = projects.get(door.database, project)
    hub = door.hub(project)
    runs = records.latest(door.database, project, runs=LOOKED_AT)
    ended = [each for each in runs if each.over and each.why != "cancelled"]
    stops = Counter(each.why for each in ended if each.state == "stopped")
    days = _days(door, project, int(site_of(request).clock() // records.DAY))
    spent = sum((each.its.cost for each in days), 0.0)
    priced = bool(spent) or not any(each.its.unpriced for each in days)
    return page(
        request,
        "project.html",
        project=known,
        tabs=tabs(request, who),
        tip=(hub.resolve("HEAD") or "") if hub.path.is_dir() else "",
        ended=Rate("runs of tasks", sum(each.state == "done" for each in ended), len(ended)),
        stops=stops.most_common(),
        days=days,
        spent=spent,
        priced=priced,
        burn=[_burn(each, priced=priced) for each in days],
        through=[_through(each) for each in days],
        checks=_checks(door, runs[:CHECKED]),
        unsteady=_unsteady(door, project),
        open=door.forge.all(projects=[project], state="open", limit=SHOWN),
        runs=runs[:SHOWN],
    )


def _days(door: Door, project: str, today: int) -> list[Day]:
    """The last `DAYS`, without a gap, oldest first."""
    found = records.days(door.database, project, first=today - DAYS + 1)
    numbers = range(today - DAYS + 1, today + 1)
    return [Day(f"{date.fromordinal(EPOCH + each):%m-%d}", found.get(each, records.DayRecord())) for each in numbers]


def _burn(day: Day, *, priced: bool) -> Hour:
    told = f"{day.name}: {money(day.its.cost)}, {tokens(day.its.tokens)} tokens"
    return Hour(day.name, (("money", day.its.cost if priced else day.its.tokens / 1000),), told)


def _through(day: Day) -> Hour:
    parts = (("good", float(day.its.done)), ("bad", float(day.its.stopped)), ("open", float(day.its.open)))
    return Hour(day.name, parts, f"{day.name}: {day.ended}")


def _checks(door: Door, runs: Sequence[Run]) -> list[Rate]:
    found = records.of_checks(door.database, runs)
    return [Rate(name, each.passed, each.ran, duration(median(each.seconds))) for name, each in sorted(found.items())]


def _unsteady(door: Door, project: str) -> list[Rate]:
    """Those that surely fail most often first."""
    rates = [Rate(test or "as a whole", each.failed, each.runs, check) for check, test, each in unsteady(door, project)]
    return sorted(rates, key=lambda each: (-wilson(each.good, each.total)[0], each.name))[:MOST_UNSTEADY]
