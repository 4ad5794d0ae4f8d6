"""Keep nightmill's home below its quota, now and then, beside the work."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

from nightmill.errors import NightmillError
from nightmill.line.reclaim import Reclaim

if TYPE_CHECKING:
    from nightmill.line.machines import Machines

__all__ = ["Quota"]

EVERY = 600.0
"""Seconds between looks: each counts every file of the home."""

log = logging.getLogger(__name__)


class Quota:
    """Makes room when it is time to and the operator set a quota."""

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self._looked = -math.inf
        self._going: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Begin, if it is time to look again."""
        busy = self._going is not None and not self._going.done()
        if self.machines.settings.quota_gigabytes and not busy and self.machines.clock() - self._looked > EVERY:
            self._looked = self.machines.clock()
            self._going = asyncio.ensure_future(asyncio.to_thread(self._go))

    async def leave(self) -> None:
        """Wait for what is under way."""
        if self._going is not None:
            await asyncio.wait({self._going})

    def _go(self) -> None:
        machines = self.machines
        reclaim = Reclaim(home=machines.settings.home, runs=machines.runs, ledger=machines.ledger, hub=machines.hub)
        try:
            things = reclaim.go(quota=int(machines.settings.quota_gigabytes * 1e9))
        except (NightmillError, OSError) as error:
            log.warning("no room was made in %s: %s", machines.settings.home, error)
            return
        freed = [each for each in things if each.gone]
        if freed:
            log.info("made room: %d things, %d MB", len(freed), sum(each.bytes for each in freed) >> 20)
