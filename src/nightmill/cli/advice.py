"""What a person can do next about a run, as commands to copy."""

from __future__ import annotations

import json
import shlex
import time
from typing import TYPE_CHECKING, Any

from nightmill.cli.screen import IDLE
from nightmill.desk.attention import commands
from nightmill.store.questions import Questions

if TYPE_CHECKING:
    from nightmill.cli.door import Door
    from nightmill.store.questions import Question
    from nightmill.store.runs import Run

__all__ = ["advice", "last", "pull_requests"]


def advice(door: Door, run: Run) -> list[str]:
    """A line per thing to do, the most likely first."""
    if run.state == "done":
        return _after_done(door, run)
    if asked := [command for each in _open(door, run) for command in commands(each)]:
        return [f"what it asks: nightmill waiting {run.id}", *asked]
    if run.state in {"parked", "paused"}:
        return [f"go on with: nightmill resume {run.id}   give it up: nightmill cancel {run.id}"]
    if run.state == "stopped":
        return _after_stop(door, run)
    idle = [] if door.alive() else [IDLE]
    return [*idle, f"watch it: nightmill log --follow {run.id}   stop it: nightmill cancel {run.id}"]


def _open(door: Door, run: Run) -> list[Question]:
    """What *run* or a task of it asks people."""
    runs = {run.id, *(child.id for child in door.runs.list(parent=run.id))}
    return [each for each in Questions(door.database, time.time).open() if each.run in runs]


def pull_requests(door: Door, run: Run) -> list[int]:
    """The pull requests that came of *run*, the first to be merged first."""
    children = door.runs.list(parent=run.id) if run.kind == "spec" else []
    return sorted({number for each in (run, *children) if (number := each.pull_request)})


def last(door: Door, run: Run, name: str) -> dict[str, Any]:
    """The fields of the newest event *name* of *run*, none if there is no such event, or if it was forgotten."""
    bodies = [entry.body for entry in door.ledger.read(run=run.id) if entry.name == name]
    found: dict[str, Any] = json.loads(bodies[-1]) if bodies else {}
    return {} if "forgotten" in found else found


def _after_done(door: Door, run: Run) -> list[str]:
    report = f"how it came about: nightmill show {run.id} --html report.html"
    local = door.forge
    numbers = [
        number for number in pull_requests(door, run) if local.get(project=run.project, number=number).state == "open"
    ]
    if not numbers:
        return [report]
    first, *more = numbers
    then = f", then {', '.join(map(str, more))}" if more else ""
    return [f"look at it: nightmill pr show {first}   merge it: nightmill pr merge {first}{then}", report]


def _after_stop(door: Door, run: Run) -> list[str]:
    lines = []
    for each in (run, *door.runs.list(parent=run.id)):
        if branch := last(door, each, "work_preserved").get("branch"):
            where = shlex.quote(str(door.hub(each.project).path))
            lines.append(f"look at its work: git fetch {where} {branch} && git log -p -1 FETCH_HEAD")
    return lines
