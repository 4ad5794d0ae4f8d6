"""A run and the runs that it starts, followed in the ledger from where somebody was."""

from __future__ import annotations

from nightmill import event as e
from nightmill.desk.door import Door
from nightmill.desk.written import Written
from nightmill.kept import Draft
from nightmill.store import Entry, Run
from nightmill.store.presence import Presence
from nightmill.store.questions import Question

__all__ = ["Following"]

PAST = 200
"""Events that somebody is shown of what was before they came."""


class Following:
    """Where one who watches *run* is; *begun*: what was before was asked for. Its methods block."""

    def __init__(self, door: Door, run: str) -> None:
        self.door, self.run = door, run
        self._written = Written(door.database, run)
        self._seen: dict[str, int] = {}
        self.begun = False

    def fresh(self) -> list[e.Event]:
        """What happened since the last call, in order; at first, the newest of what was before."""
        found: list[Entry] = []
        for run in self._family():
            page = self.door.ledger.read(after=self._seen.get(run.id, 0), run=run.id)
            self._seen[run.id] = page[-1].seq if page else self._seen.get(run.id, 0)
            found += page
        found.sort(key=lambda entry: entry.seq)
        shown = found if self.begun else found[-PAST:]
        self.begun = True
        return [entry.event() for entry in shown]

    def drafts(self, now: float) -> list[Draft]:
        """What is written of it just now, each state once, by the clock *now*."""
        return self._written.fresh(now)

    def attend(self, name: str, *, by: str, seconds: float) -> tuple[str, ...]:
        """Say that *by* looks on from the conversation *name* for *seconds* more; who else looks on."""
        return Presence(self.door.database).attend(self.run, name, by=by, seconds=seconds)

    def over(self) -> str:
        """How it ended, "" while it has not."""
        run = self.door.runs.get(self.run)
        if not run.over:
            return ""
        number = f"; pull request {run.pull_request}" if run.pull_request else ""
        return f"Run {run.id} is {run.state}{number}{f': {run.reason}' if run.reason else ''}"

    def asked(self) -> list[Question]:
        """What it asks people now."""
        return [each for run in self._family() for each in self.door.questions.of(run.id) if each.state == "open"]

    def ended(self, asked: Question) -> str:
        """What became of *asked*, "" while it is open."""
        found = self.door.questions.get(asked.id)
        if found.state != "open":
            return f"{found.title}: {found.state} by {found.by}"
        return f"{found.title}: its run is over" if self.door.runs.get(found.run).over else ""

    def waits(self) -> str:
        """Why nothing of it goes on until a person acts, "" if it does."""
        found = [run for run in self._family() if not run.over]
        still = [run for run in found if run.state == "paused" or (run.state == "parked" and run.why == "person")]
        return f"Run {still[0].id} is {still[0].state}: {still[0].reason}" if still else ""

    def _family(self) -> list[Run]:
        return [self.door.runs.get(self.run), *self.door.runs.list(parent=self.run)]
