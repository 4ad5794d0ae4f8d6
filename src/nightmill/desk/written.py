"""What a run and those that it started write just now, as whoever watches at the store sees it."""

from __future__ import annotations

import math
from dataclasses import replace

from nightmill.kept import Draft
from nightmill.store.database import Database
from nightmill.store.drafts import Drafts, Mark

__all__ = ["Written"]

GLANCE = 0.25
"""Seconds between two looks."""
AGAIN, STAYS = 5.0, 15.0
"""Seconds after which it is said again that somebody watches, and for how long that counts."""


class Written:
    """For one who watches *run*. Its methods block."""

    def __init__(self, database: Database, run: str) -> None:
        self.drafts, self.run = Drafts(database), run
        self._known: dict[str, tuple[Mark, Draft]] = {}
        self._family: frozenset[str] = frozenset()
        self._said = self._looked = -math.inf

    def fresh(self, now: float) -> list[Draft]:
        """What is new by the clock *now*: each state once, and what is written no more without pieces. Asked too soon, nothing."""
        if now - self._looked < GLANCE:
            return []
        self._looked = now
        if now - self._said > AGAIN:
            self._family, self._said = self.drafts.watch([self.run], seconds=STAYS), now
        known, marks = self._known, self.drafts.marks()
        new = [name for name in self._family & marks.keys() if name not in known or known[name][0] != marks[name]]
        found = self.drafts.read(new) if new else {}
        known |= found
        gone = [replace(known.pop(name)[1], pieces=()) for name in known.keys() - marks.keys()]
        return [*(draft for _, draft in found.values()), *gone]
