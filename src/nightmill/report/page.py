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
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from nightmill import __version__
from nightmill import event as e
from nightmill.plan import Task
from nightmill.report import charts, svg, words
from nightmill.report.avatar import avatar, mill, sign
from nightmill.report.hunks import FileView, files
from nightmill.report.nouns import Blob, Child, Entry
from nightmill.report.summary import Summary, read, summary, together
from nightmill.report.text import Shown, one_line, plain, shown, visible
from nightmill.report.timeline import Timeline
from nightmill.report.trust import Trust, trust
from nightmill.report.turns import Turns, turns
from nightmill.report.weave import timeline

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["page"]

ROOM_TURNS, ROOM_CHECKS, ROOM_DIFF, ROOM_BODY = 900_000, 200_000, 400_000, 30_000
"""Characters of what others wrote that one page shows, shared by all its runs."""
MOST_EVENTS = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One event in the list at the end."""

    seq: int
    after: str
    name: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Everything that the page says of one run. *anchor* begins every id of it."""

    anchor: str
    summary: Summary
    trust: Trust
    timeline: Timeline
    turns: Turns
    files: tuple[FileView, ...]
    files_left_out: int
    body: Shown | None
    lines: tuple[Line, ...]
    lines_left_out: int
    chain: str
    """Which entries of the ledger this is made from."""


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
    run = _section(own, anchor="", blob=blob, now=now, share=share)
    parts = [
        _section(child, anchor=f"r{number}-", blob=blob, now=now, share=share)
        for number, child in enumerate(children, 1)
        if child.events
    ]
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
            steps=_steps(events, parts),
            style=Markup(style),  # noqa: S704 - our own file
            style_hash=digest,
            version=__version__,
            now=now,
        )
    )


def _section(child: Child, *, anchor: str, blob: Blob, now: float, share: int) -> Section:
    entries = sorted(child.events, key=lambda entry: entry.seq)
    told = [entry.event for entry in entries]
    woven = timeline(entries, now=now)
    short = summary(entries, now=now, woven=woven)
    lanes = [lane.name for lane in woven.lanes]
    taken = turns(told, blob=blob, anchor=anchor, lanes=lanes, room=ROOM_TURNS // share)
    changed, left_out = files(child.diff, room=ROOM_DIFF // share, edited=taken.edited)
    most = MOST_EVENTS // share
    return Section(
        anchor=anchor,
        summary=short,
        trust=trust(told, short, blob=blob, room=ROOM_CHECKS // share),
        timeline=woven,
        turns=taken,
        files=tuple(changed),
        files_left_out=left_out,
        body=shown(child.body, ROOM_BODY // share) if child.body else None,
        lines=tuple(_line(entry, entries[0].at) for entry in entries[:most]),
        lines_left_out=max(len(entries) - most, 0),
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
    return "\n" + resources.files(__package__).joinpath("templates/page.css").read_text("utf-8")


@cache
def _environment() -> Environment:
    # Imported here: `nightmill run` uses this room's summary, and need not pay for templates.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("nightmill.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_final,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "text": visible,
        "duration": words.duration,
        "tokens": words.tokens,
        "money": words.money,
        "moment": words.moment,
        "line": one_line,
    }
    environment.globals |= {
        "avatar": avatar,
        "mill": mill,
        "sign": sign,
        "picture": svg.picture,
        "cost_chart": charts.cost,
        "context_chart": charts.context,
        "time_chart": charts.time,
        "work": charts.WORK,
        "share": words.share,
        "count": words.count,
    }
    return environment


def _final(value: Any) -> Any:
    """What every expression of a template passes: text loses its effects even where nobody thought of it."""
    return value if hasattr(value, "__html__") else plain(str(value))
