"""A run on the screen, and as one HTML page: both from its ledger."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from nightmill.desk.nouns import commands

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nightmill.cli.door import Door
    from nightmill.desk.nouns import Desk, Look
    from nightmill.kept import Entry, Run
    from nightmill.report.summary import Summary

__all__ = ["hints", "show", "write"]

MARKS = {"shown": "✓", "inspected": "?", "claimed": "?", "not shown": "✗"}


def show(look: Look, run: Run) -> None:
    """Print where *run* is: state, what it took, checks, evidence."""
    from nightmill.cli.screen import safe
    from nightmill.desk.seen import told
    from nightmill.report.summary import summary
    from nightmill.report.words import count, duration, price, share, tokens

    entries = look.events(run)
    seen = summary(told(entries), now=time.time())
    lines = [
        f"{seen.face.word}: {' '.join(seen.title.split())}",
        f"{run.id} · {run.kind} · {run.project} · {seen.model}",
        "",
    ]
    lines.append(seen.headline)
    cached = f", {share(seen.usage.cache_read, seen.usage.input)} of the input cached" if seen.cached else ""
    cost = price(seen.cost, whole=seen.priced)
    lines.append(
        f"{count(seen.turns, 'turn')} · {tokens(seen.tokens)} tokens{cached} · {cost} · {duration(seen.total_seconds)}"
    )
    lines += [f"environment {seen.environment[:12]}"] if seen.environment else []
    lines += [f"! environment: {sentence}" for sentence in seen.drift]
    lines += [f"✗ {reason}" for reason in seen.reasons if _is_news(reason, seen)]
    lines += [f"{'✓' if check.passed else '✗'} check {check.check} on {check.tree[:10]}" for check in seen.checks]
    lines += _evidence(seen)
    lines += _judged(seen)
    lines += _steps(seen)
    lines += _outputs(entries)
    lines += _left(entries)
    lines += _tasks(run, look.runs(parent=run.id)[::-1])
    if seen.hint:
        lines.append(f"hint: {seen.hint}")
    sys.stdout.write("\n".join(safe(line) for line in lines) + "\n")
    sys.stdout.flush()


def hints(desk: Desk, run: Run) -> list[str]:
    """What to do next about a run of a server, a line each."""
    if asked := [command for each in desk.asked(run.id) for command in commands(each.question)]:
        return [f"what it asks: nightmill waiting {run.id}", *asked]
    if run.state in {"parked", "paused"}:
        return [f"go on with: nightmill resume {run.id}   give it up: nightmill cancel {run.id}"]
    if run.over:
        return []
    return [f"watch it: nightmill log --follow {run.id}   stop it: nightmill cancel {run.id}"]


def _outputs(entries: Sequence[Entry]) -> list[str]:
    """What the run's blueprint gave, by name: texts as they are, everything else as JSON."""
    from nightmill.event import RunDone

    ended = [entry.event() for entry in entries if entry.name == RunDone.name]
    given = next((each.outputs for each in reversed(ended) if isinstance(each, RunDone)), {})
    return [
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in given.items()
    ]


def _left(entries: Sequence[Entry]) -> list[str]:
    """A line for each task that the run left."""
    from nightmill.event import TaskFiled

    filed = [entry.event() for entry in entries if entry.name == TaskFiled.name]
    return [
        f"left the task {each.task} ({each.findings} open): nightmill task show {each.task}"
        for each in filed
        if isinstance(each, TaskFiled)
    ]


def _tasks(run: Run, tasks: Sequence[Run]) -> list[str]:
    """A line for each of the *tasks* of *run*, and what it cost with them."""
    from nightmill.report.words import count, price, tokens

    lines = []
    for task in tasks:
        number = f" · pull request {task.pull_request}" if task.pull_request else ""
        lines.append(f"{task.id}  {task.state}{number}  {' '.join(task.title.split())}")
    if tasks:
        everyone = (run, *tasks)
        turns, used, cost = (sum(getattr(each, name) for each in everyone) for name in ("turns", "tokens", "cost"))
        paid = price(cost, whole=all(each.priced for each in everyone))
        lines.append(f"with its tasks: {count(turns, 'turn')} · {tokens(used)} tokens · {paid}")
    return lines


def _is_news(reason: str, seen: Summary) -> bool:
    """Whether the headline does not say *reason* already."""
    return seen.state != "done" and reason.rstrip(".").casefold() not in seen.headline.casefold()


def _evidence(seen: Summary) -> list[str]:
    """A line per criterion, and one for what shows it."""
    lines = []
    for each in seen.verdict.evidence if seen.verdict else ():
        more = f" and {len(each.by) - 1} more" if len(each.by) > 1 else ""
        by = f"shown by {each.by[0]}{more}" if each.by else f"{each.state}: {each.note}" if each.note else each.state
        lines += [f"{MARKS[each.state]} {each.criterion}  {' '.join(each.text.split())}", f"      {by}"]
    return lines


def _judged(seen: Summary) -> list[str]:
    """A line per role that judged the work, and one for each of its findings that weighs."""
    lines = []
    for each in seen.reviews:
        said = "approves" if each.approved else "does not approve"
        lines.append(f"{'✓' if each.approved else '✗'} {each.role} {said} of tree {each.tree[:10]}")
        heavy = [found for found in each.findings if found.get("severity") != "note"]
        lines += [f"      {found.get('severity')}: {' '.join(str(found.get('title')).split())}" for found in heavy[:10]]
    return lines


def _steps(seen: Summary) -> list[str]:
    """A line per step that was done or failed, below the one that it is in."""
    from nightmill.report.steps import rungs

    signs = {"done": "✓", "failed": "✗"}
    lines = [
        f"  {'  ' * each.depth}{signs[each.told.state]} {each.name}"
        f"{f' (round {each.round})' if each.round else ''}  {each.told.title}".rstrip()
        for each in rungs(seen.steps)
    ]
    return ["", "steps:", *lines] if lines else []


def write(door: Door, run: Run, file: Path) -> None:
    """Write the page of *run* to *file*, whole or not at all.

    Raises:
        SettingsError: If it cannot be written.
    """
    from nightmill.desk import readable
    from nightmill.desk.seen import seen
    from nightmill.errors import SettingsError
    from nightmill.report.page import page

    own, *children = [seen(door, each) for each in (run, *reversed(door.runs.list(parent=run.id)))]
    text = page(own.events, blob=readable.blob(door), children=children, now=time.time(), diff=own.diff, body=own.body)
    unfinished = file.with_name(f".{file.name}.tmp")
    try:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
        unfinished.replace(file)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise SettingsError(f"{str(file)!r} cannot be written: {error.strerror}", hint="name another file") from error
