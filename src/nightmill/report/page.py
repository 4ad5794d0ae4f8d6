"""The page: one HTML file that loads nothing, runs nothing and links nowhere but into itself.

Everything on it was written by models, tools and strangers, so the templates escape all of it twice over: Jinja
escapes markup, and every value passes `text.plain`, which makes unseen characters seen, before it is placed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from markupsafe import Markup

from nightmill import event as e
from nightmill.plan import Task
from nightmill.report.nouns import Blob, Child, Entry
from nightmill.report.section import Section, section
from nightmill.report.summary import read, together
from nightmill.report.text import one_line

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["page"]

MOST_EVENTS = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One event in the list at the end."""

    seq: int
    after: str
    name: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The events of one run in the list at the end. *chain* says which entries of the ledger they are."""

    run: str
    lines: tuple[Line, ...]
    left_out: int
    chain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One task of the plan, and the section of its run if it has one here."""

    task: Task
    child: str
    section: Section | None


def page(
    events: Sequence[Entry],
    *,
    blob: Blob,
    now: float,
    children: Sequence[Child] = (),
    diff: str = "",
    body: str = "",
) -> str:
    """The whole page of one run.

    *diff* is git's unified text of what the run changed, *body* the text of its pull request; of a spec's run
    they belong to its *children*. *now* is Unix seconds: a run that has not ended is drawn up to it. A body that
    the store lacks is named as missing.

    Raises:
        ValueError: If there are no events.
    """
    share = 1 + len(children)
    own = Child(run=events[0].event.run if events else "", events=events, diff=diff, body=body)
    named = [("", own), *((f"r{number}-", child) for number, child in enumerate(children, 1) if child.events)]
    sections = [section(each, anchor=anchor, blob=blob, now=now, share=share) for anchor, each in named]
    lists = [_told(each, MOST_EVENTS // share) for _, each in named]
    run, *parts = sections
    whole = together(run.summary, [part.summary for part in parts]) if parts else run.summary
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        _environment()
        .get_template("page.html")
        .render(
            run=run,
            whole=whole,
            parts=parts,
            lists=lists,
            steps=_steps(events, parts),
            style=Markup(style),  # noqa: S704 - our own file
            style_hash=digest,
            now=now,
        )
    )


def _told(child: Child, most: int) -> Told:
    entries = sorted(child.events, key=lambda entry: entry.seq)
    return Told(
        run=child.run,
        lines=tuple(_line(entry, entries[0].at) for entry in entries[:most]),
        left_out=max(len(entries) - most, 0),
        chain=_chain(entries),
    )


def _line(entry: Entry, start: float) -> Line:
    after = entry.at - start
    return Line(
        seq=entry.seq,
        after=f"{after:+.3f}",
        name=entry.event.name,
        told=one_line(json.dumps(entry.event.to_plain(), ensure_ascii=False, default=str), most=240),
    )


def _chain(entries: Sequence[Entry]) -> str:
    span = f"{entries[0].seq} to {entries[-1].seq}"
    ends = [getattr(entry, "hash", "") for entry in (entries[0], entries[-1])]
    return f"{span}, hashes {ends[0]} … {ends[1]}" if all(ends) else span


def _steps(events: Sequence[Entry], sections: Sequence[Section]) -> list[Step]:
    plans = [entry.event for entry in events if isinstance(entry.event, e.PlanMade)]
    if not plans:
        return []
    queued = {entry.event.task: entry.event.child for entry in events if isinstance(entry.event, e.TaskQueued)}
    by_run = {section.summary.run: section for section in sections}
    tasks = [task for plain_task in plans[-1].tasks if (task := read(Task, plain_task)) is not None]
    return [
        Step(task=task, child=queued.get(task.id, ""), section=by_run.get(queued.get(task.id, ""))) for task in tasks
    ]


@cache
def _style() -> str:
    return "\n" + resources.files(__package__).joinpath("static/page.css").read_text("utf-8")


@cache
def _environment() -> Environment:
    # Imported here: `nightmill run` uses this room's summary, and need not pay for templates.
    from nightmill.report.drawing import environment  # noqa: PLC0415 - only who draws a page needs it

    return environment()
