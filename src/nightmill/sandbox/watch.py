"""What is looked at while anything runs in a sandbox, because the kernel only counts it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from nightmill.sandbox.cgroup import Group, Groups
from nightmill.sandbox.channel import Answer
from nightmill.sandbox.nouns import Limits
from nightmill.sandbox.quota import Disk

__all__ = ["Running", "Watch"]

PAUSE = 0.1
"""Seconds between two looks."""

SOON = 0.02
"""Seconds after which the group of what has ended is removed, and the next one made: first goes on who has waited."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Running:
    """What was started, the group that it is in, and whether it goes on beside commands."""

    number: int
    limits: Limits
    group: Group | None
    lasting: bool


class Watch:
    """Ends what has passed a limit; its answer then says which."""

    def __init__(self, end: Callable[[int, str], None], disk: Disk | None) -> None:
        """*end* kills what was started under a number, for a reason."""
        self.end, self.disk = end, disk
        self.running: set[Running] = set()
        self.ending: set[Running] = set()
        self.looking: asyncio.Task[None] | None = None

    def add(self, running: Running, answer: asyncio.Future[Answer], groups: Groups | None) -> asyncio.Future[Answer]:
        """Look after *running* until its *answer*; gives that, corrected by what the kernel says of its group."""
        self.running.add(running)
        if self.looking is None or self.looking.done():
            self.looking = asyncio.create_task(self._look())
        found: asyncio.Future[Answer] = answer.get_loop().create_future()
        answer.add_done_callback(lambda _: self._ended(running, answer, groups, found))
        return found

    async def full(self) -> bool:
        """Whether the sandbox has written so much that it may only delete."""
        if self.disk and (self.disk.due or self.disk.over):
            await asyncio.to_thread(self.disk.measure)
        return self.disk is not None and (self.disk.over or self.disk.full)

    async def _look(self) -> None:
        while self.running:
            for each in self.running:
                if each.group and each.group.killed():
                    self.end(each.number, "memory")
            if self.disk and not self.ending & self.running and self.disk.due:
                measured = set(self.running)
                await asyncio.to_thread(self.disk.measure)
                if self.disk.full:
                    self._make_room(measured & self.running)  # what began meanwhile may be what deletes
            await asyncio.sleep(PAUSE)

    def _make_room(self, among: set[Running]) -> None:
        """End the commands, which come and go; if there are none, it is a service that writes."""
        commands = [each for each in among if not each.lasting]
        self.ending = set(commands or among)
        for each in self.ending:
            self.end(each.number, "disk")

    def _ended(
        self, running: Running, answer: asyncio.Future[Answer], groups: Groups | None, found: asyncio.Future[Answer]
    ) -> None:
        self.running.discard(running)
        killed = running.group is not None and running.group.killed()
        if groups and running.group:
            groups.release(running.group)
            answer.get_loop().call_later(SOON, groups.tidy, running.limits)
        if found.done():
            return
        if answer.cancelled():
            found.cancel()
        elif error := answer.exception():
            found.set_exception(error)
            found.exception()  # seen: nobody may be waiting
        else:
            told = answer.result()
            header = told.header | {"stopped": "memory"} if killed and not told.header.get("stopped") else told.header
            found.set_result(Answer(header=header, body=told.body))
