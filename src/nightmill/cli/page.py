"""A run on the screen, and as one HTML page: both from its ledger."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from nightmill.cli.door import Door
    from nightmill.report.nouns import Told
    from nightmill.report.summary import Summary
    from nightmill.store.runs import Run

__all__ = ["show", "write"]

MARKS = {"shown": "✓", "claimed": "?", "not shown": "✗"}


def show(door: Door, run: Run) -> None:
    """Print where *run* is: state, what it took, checks, evidence, what to do next."""
    from nightmill.cli.advice import advice
    from nightmill.cli.screen import safe, say
    from nightmill.report.summary import summary
    from nightmill.report.words import count, duration, money, share, tokens

    seen = summary(told(door, run), now=time.time())
    lines = [
        f"{seen.face.word}: {' '.join(seen.title.split())}",
        f"{run.id} · {run.kind} · {run.project} · {seen.model}",
        "",
    ]
    lines.append(seen.headline)
    cached = f", {share(seen.usage.cache_read, seen.usage.input)} of the input cached" if seen.cached else ""
    cost = "price unknown" if seen.cost is None else money(seen.cost) + ("" if seen.priced else " and more")
    lines.append(
        f"{count(seen.turns, 'turn')} · {tokens(seen.tokens)} tokens{cached} · {cost} · {duration(seen.total_seconds)}"
    )
    lines += [f"environment {seen.environment[:12]}"] if seen.environment else []
    lines += [f"! environment: {sentence}" for sentence in seen.drift]
    lines += [f"✗ {reason}" for reason in seen.reasons if _is_news(reason, seen)]
    lines += [f"{'✓' if check.passed else '✗'} check {check.check} on {check.tree[:10]}" for check in seen.checks]
    lines += _evidence(seen)
    for child in reversed(door.runs.list(parent=run.id)):
        number = f" · pull request {child.pull_request}" if child.pull_request else ""
        lines.append(f"{child.id}  {child.state}{number}  {' '.join(child.title.split())}")
    if seen.hint:
        lines.append(f"hint: {seen.hint}")
    sys.stdout.write("\n".join(safe(line) for line in lines) + "\n")
    sys.stdout.flush()
    for line in advice(door, run):
        say(line)


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


def write(door: Door, run: Run, file: Path) -> None:
    """Write the page of *run* to *file*, whole or not at all.

    Raises:
        SettingsError: If it cannot be written.
    """
    from nightmill.errors import SettingsError
    from nightmill.report.nouns import Child
    from nightmill.report.page import page

    children = [
        Child(run=child.id, events=told(door, child), **_change(door, child))
        for child in reversed(door.runs.list(parent=run.id))
    ]
    text = page(told(door, run), blob=door.blobs.get, children=children, now=time.time(), **_change(door, run))
    unfinished = file.with_name(f".{file.name}.tmp")
    try:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
        unfinished.replace(file)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise SettingsError(f"{str(file)!r} cannot be written: {error.strerror}", hint="name another file") from error


def told(door: Door, run: Run) -> list[Told]:
    """The events of *run* as the report reads them."""
    from nightmill.event import from_plain
    from nightmill.report.nouns import Told

    return [
        Told(entry.seq, entry.at, from_plain(name=entry.name, run=entry.run, body=json.loads(entry.body)), entry.hash)
        for entry in door.ledger.read(run=run.id)
    ]


def _change(door: Door, run: Run) -> dict[str, str]:
    """The diff and the text of the run's pull request, if it has one."""
    from nightmill.cli.forge import forge, hub

    if not run.pull_request or run.kind != "task":
        return {}
    request = forge(door).get(project=run.project, number=run.pull_request)
    return {"diff": hub(door, run.project).diff(request.base, request.head).text, "body": request.body}
