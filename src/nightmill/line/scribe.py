"""What the runs of a worker write, put where those who watch can read it: only what is watched, and twice a second at most.

All runs of a worker share one write. It is made beside the loop, and one that fails is made again: a run never waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightmill.kept import Draft
from nightmill.line.writing import Text, shown
from nightmill.store import AWAY
from nightmill.store.drafts import STAYS, Drafts

if TYPE_CHECKING:
    from nightmill.line.control import Control
    from nightmill.line.machines import Machines

__all__ = ["Scribe"]

EVERY = 0.5
"""Seconds between two writes."""
AGAIN = STAYS / 2.5
"""Seconds after which it is said again that a draft still counts."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Put:
    """What was put of a run, and when: *header* names the attempt, *heard* is how much of it there was."""

    header: Draft
    heard: int = -1
    at: float = -math.inf
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Errand:
    """One write."""

    write: list[tuple[Put, int, list[Text]]]
    gone: list[Put]


class Scribe:
    """For one worker."""

    def __init__(self, machines: Machines) -> None:
        self.drafts, self.hide, self.clock = Drafts(machines.database), machines.database.hidden, machines.clock
        self._put: dict[str, Put] = {}
        self._last = -math.inf
        self._busy: asyncio.Task[None] | None = None

    def look(self, controls: Mapping[str, Control]) -> None:
        """Put what is new of the runs that are watched; take away what is of no turn any more."""
        if not self._put and not any(each.watched for each in controls.values()):
            return
        now = self.clock()
        if (self._busy is not None and not self._busy.done()) or now - self._last < EVERY:
            return
        errand = self._errand(controls, now)
        if errand.write or errand.gone:
            self._last = now
            self._busy = asyncio.ensure_future(self._go(errand, now))

    async def leave(self) -> None:
        """Take away all that was put."""
        if self._busy is not None:
            await asyncio.wait({self._busy})
        if self._put:
            await self._go(self._errand({}, self.clock()), self.clock())

    def _errand(self, controls: Mapping[str, Control], now: float) -> Errand:
        found = Errand([], [])
        for run, put in list(self._put.items()):
            control = controls.get(run)
            if control is None or not control.watched or control.writing.attempt != put.header.attempt:
                del self._put[run]
                if put.heard >= 0:
                    found.gone.append(put)
        for run, control in controls.items():
            writing = control.writing
            if not (control.watched and writing.texts):
                continue
            header = Draft(run=run, role=writing.role, turn=writing.turn, attempt=writing.attempt, pieces=())
            put = self._put.setdefault(run, Put(header))
            if not put.lost and (put.heard != writing.heard or now - put.at > AGAIN):
                found.write.append((put, writing.heard, list(writing.texts)))
        return found

    async def _go(self, errand: Errand, now: float) -> None:
        try:
            lost = await asyncio.to_thread(self._write, errand)
        except AWAY as error:
            log.warning("what is being written cannot be shown: %s", error)
        except Exception:
            log.exception("what is being written cannot be shown")
        else:
            for put, heard, _ in errand.write:
                put.heard, put.at, put.lost = heard, now, put.header.run in lost

    def _write(self, errand: Errand) -> set[str]:
        written = [(heard, shown(put.header, texts, self.hide)) for put, heard, texts in errand.write]
        begun = {put.header.attempt for put, _, _ in errand.write if put.heard < 0}
        return self.drafts.put(written, begun=begun, gone=[put.header for put in errand.gone])
