"""A run as reports read it: what its ledger told, and what its pull request changes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nightmill.desk.door import Door
from nightmill.errors import RepoError
from nightmill.event import from_plain
from nightmill.kept import Entry, Run
from nightmill.report.nouns import Child, Told

if TYPE_CHECKING:
    from nightmill.forge import PullRequest

__all__ = ["request", "seen", "told"]


def seen(door: Door, run: Run) -> Child:
    """*run* with its events and, if it has a pull request here, its diff and text."""
    found = request(door, run)
    events = told(door.ledger.read(run=run.id))
    if found is None:
        return Child(run=run.id, events=events)
    diff = door.hidden.patch(door.hub(run.project).diff(found.base, found.head).text)
    return Child(run=run.id, events=events, diff=diff, body=found.body)


def request(door: Door, run: Run) -> PullRequest | None:
    """The pull request of *run*; None if there is none, it is on another forge, or was taken away."""
    if not run.pull_request or run.kind != "task":
        return None
    try:
        return door.forge.get(project=run.project, number=run.pull_request)
    except RepoError:
        return None


def told(entries: Iterable[Entry]) -> list[Told]:
    """*entries* as reports read them."""
    return [
        Told(entry.seq, entry.at, from_plain(name=entry.name, run=entry.run, body=json.loads(entry.body)), entry.hash)
        for entry in entries
    ]
