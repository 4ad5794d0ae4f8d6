"""What the ledger says of the latest runs of a project: which process each went through, and what each role did in them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import sqlalchemy as sa

from nightmill import event
from nightmill.store import chain, tables
from nightmill.store.database import Database
from nightmill.store.runs import Run

__all__ = [
    "DAY",
    "CheckRecord",
    "DayRecord",
    "Record",
    "counts",
    "days",
    "latest",
    "of_blueprints",
    "of_checks",
    "of_roles",
]

table, run = tables.event, tables.run
DAY = 86_400
QUEUED = "queued"
"""The key of the event with which each run begins."""
OF_ROLES = (event.TurnFinished.name, event.ReviewGiven.name)


@dataclass(slots=True)
class Record:
    """What one role did: in which *runs*, with how many turns, at what cost in US dollars (*priced*: of all of them).

    *approved* of *judged* verdicts were a yes.
    """

    runs: set[str] = field(default_factory=set)
    turns: int = 0
    cost: float = 0.0
    priced: bool = True
    judged: int = 0
    approved: int = 0


@dataclass(slots=True)
class CheckRecord:
    """How often one check ran on the trees of runs, how often it passed, and how many *seconds* each run of it took."""

    ran: int = 0
    passed: int = 0
    seconds: list[float] = field(default_factory=list)


@dataclass(slots=True)
class DayRecord:
    """What was asked for on one day (UTC): what it cost so far, and how the tasks of it ended; *open* are not over.

    *unpriced* runs have turns without a known price.
    """

    cost: float = 0.0
    tokens: int = 0
    unpriced: int = 0
    done: int = 0
    stopped: int = 0
    cancelled: int = 0
    open: int = 0


def days(database: Database, project: str, *, first: int) -> dict[int, DayRecord]:
    """The days from *first* on, each as its number since 1970, on which something was asked for in *project*."""
    found = defaultdict[int, DayRecord](DayRecord)
    number = run.c.created / float(DAY)
    day = sa.cast(sa.func.floor(number) if database.dialect == "postgresql" else number, sa.Integer).label("day")
    unpriced = sa.func.sum(sa.case((run.c.priced, 0), else_=1)).label("unpriced")
    sums = sa.func.sum(run.c.cost).label("cost"), sa.func.sum(run.c.tokens).label("tokens"), unpriced
    query = sa.select(day, run.c.kind, run.c.state, run.c.why, sa.func.count().label("n"), *sums)
    query = query.where(run.c.project == project, run.c.created >= first * DAY)
    with database.read() as connection:
        for row in connection.execute(query.group_by(day, run.c.kind, run.c.state, run.c.why)):
            each = found[row.day]
            each.cost += row.cost
            each.tokens += int(row.tokens)
            each.unpriced += int(row.unpriced)
            if row.kind == "task":
                ending = "cancelled" if row.why == "cancelled" else row.state
                ending = ending if ending in {"done", "stopped", "cancelled"} else "open"
                setattr(each, ending, getattr(each, ending) + row.n)
    return dict(found)


def latest(database: Database, project: str, *, runs: int) -> list[Run]:
    """The last so many *runs* of tasks in *project*, newest first."""
    query = sa.select(run).where(run.c.project == project, run.c.kind == "task")
    with database.read() as connection:
        rows = connection.execute(query.order_by(run.c.created.desc(), run.c.id.desc()).limit(runs)).mappings()
        return [Run(**row) for row in rows]


def of_blueprints(database: Database, runs: Sequence[Run]) -> dict[str, list[Run]]:
    """*runs* by the blueprint that each went through; those that went through none are left out."""
    found = dict[str, list[Run]]()
    by_id = {each.id: each for each in runs}
    query = sa.select(table.c.run, table.c.body).where(table.c.run.in_(by_id), table.c.key == QUEUED)
    with database.read() as connection:
        named = {row.run: json.loads(row.body).get("blueprint", "") for row in connection.execute(query)}
    for each in runs:
        if name := named.get(each.id):
            found.setdefault(name, []).append(each)
    return found


def of_roles(database: Database, runs: Sequence[Run]) -> dict[str, Record]:
    """What each role did in *runs*, by its name, whatever steps it acted in."""
    found = defaultdict[str, Record](Record)
    for told in _told(database, [each.id for each in runs]):
        each = found[told.role.partition("@")[0]]
        each.runs.add(told.run)
        if isinstance(told, event.ReviewGiven):
            each.judged += 1
            each.approved += told.approved
        else:
            each.turns += 1
            each.cost += told.cost or 0.0
            each.priced = each.priced and told.cost is not None
    return dict(found)


def of_checks(database: Database, runs: Sequence[Run]) -> dict[str, CheckRecord]:
    """How each check ended in *runs*, by its name."""
    found = defaultdict[str, CheckRecord](CheckRecord)
    for told in _of(database, [each.id for each in runs], (event.CheckFinished.name,)):
        if isinstance(told, event.CheckFinished):
            each = found[told.check]
            each.ran += 1
            each.passed += told.passed
            each.seconds.append(float(told.result.get("seconds") or 0.0))
    return dict(found)


def _told(database: Database, ids: Sequence[str]) -> Iterator[event.TurnFinished | event.ReviewGiven]:
    for told in _of(database, ids, OF_ROLES):
        yield cast("event.TurnFinished | event.ReviewGiven", told)


def _of(database: Database, ids: Sequence[str], names: Collection[str]) -> Iterator[event.Event]:
    """What was told of the runs *ids* under *names*, as far as it was not forgotten."""
    query = sa.select(table.c.name, table.c.run, table.c.body)
    still = (table.c.run.in_(ids), table.c.name.in_(names), table.c.body != chain.FORGOTTEN)
    query = query.where(*still).order_by(table.c.seq)
    with database.read() as connection:
        for row in connection.execute(query):
            yield event.from_plain(name=row.name, run=row.run, body=json.loads(row.body))


def counts(database: Database, projects: Collection[str]) -> dict[str, dict[str, int]]:
    """How many runs of tasks each of *projects* has, by their state."""
    found = dict[str, dict[str, int]]()
    query = sa.select(run.c.project, run.c.state, sa.func.count().label("n")).where(
        run.c.project.in_(projects), run.c.kind == "task"
    )
    with database.read() as connection:
        for row in connection.execute(query.group_by(run.c.project, run.c.state)):
            found.setdefault(row.project, {})[row.state] = row.n
    return found
