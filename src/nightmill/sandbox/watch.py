"""What is looked at while anything runs in a sandbox, because the kernel only counts it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from nightmill.sandbox.cgroup import Group, Groups
from nightmill.sandbox.channel import Answer

__all__ = ["Watch"]

PAUSE = 0.1
"""Seconds between two looks."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Running:
    """What was started, and the group that it is in."""

    number: int
    group: Group | None


class Watch:
    """Ends what has passed a limit; its answer then says which."""

    def __init__(self, end: Callable[[int, str], None]) -> None:
        """*end* kills what was started under a number, for a reason."""
        self.end = end
        self.running: set[Running] = set()
        self.looking: asyncio.Task[None] | None = None

    def add(
        self, number: int, answer: asyncio.Future[Answer], groups: Groups | None, group: Group | None
    ) -> asyncio.Future[Answer]:
        """Look after *number* until its *answer*; gives that, corrected by what the kernel says of *group*."""
        running = Running(number=number, group=group)
        self.running.add(running)
        if group and (self.looking is None or self.looking.done()):
            self.looking = asyncio.create_task(self._look())
        found: asyncio.Future[Answer] = answer.get_loop().create_future()
        answer.add_done_callback(lambda _: self._ended(running, answer, groups, found))
        return found

    async def _look(self) -> None:
        while self.running:
            for each in self.running:
                if each.group and each.group.killed():
                    self.end(each.number, "memory")
            await asyncio.sleep(PAUSE)

    def _ended(
        self, running: Running, answer: asyncio.Future[Answer], groups: Groups | None, found: asyncio.Future[Answer]
    ) -> None:
        self.running.discard(running)
        killed = running.group is not None and running.group.killed()
        if groups and running.group:
            groups.release(running.group)
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
