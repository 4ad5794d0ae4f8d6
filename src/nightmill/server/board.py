"""What runs write just now, for everybody who watches: one look serves all of them, and while nobody does nothing is asked.

It is no part of the ledger. Frames of it have no number, and who comes again is shown what is written then.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import asdict, replace
from typing import Protocol

from nightmill.kept import Draft
from nightmill.server.stretch import Item, Place
from nightmill.server.watcher import Watcher
from nightmill.store.drafts import Mark

__all__ = ["Board", "Written"]

LOOK = 0.25
"""Seconds between two looks, while anybody watches."""
AGAIN, STAYS = 5.0, 15.0
"""Seconds after which it is said again that somebody watches, and for how long that counts."""

Places = Callable[[set[str]], Awaitable[Mapping[str, Place]]]


class Written(Protocol):
    """Where drafts come from. Its methods block."""

    def watch(self, runs: Collection[str], *, seconds: float) -> object:
        """Say that what *runs* and those that they started write is watched for *seconds* more."""
        ...

    def marks(self) -> dict[str, Mark]:
        """Which state the draft of each run is in, of those that write."""
        ...

    def read(self, runs: Collection[str]) -> dict[str, tuple[Mark, Draft]]:
        """The drafts of *runs*, of those that write."""
        ...


class Board:
    """For one event loop. *places* says where runs belong."""

    def __init__(self, written: Written, places: Places) -> None:
        self.written, self.places = written, places
        self.watchers: set[Watcher] = set()
        self._somebody = asyncio.Event()
        self._known: dict[str, tuple[Mark, Draft, Item]] = {}
        self._said: frozenset[str] = frozenset()
        self._last = -math.inf

    def add(self, watcher: Watcher) -> None:
        """Show *watcher* what is being written from now on."""
        self.watchers.add(watcher)
        self._somebody.set()
        for _, _, item in self._known.values():
            watcher.show(item)

    def remove(self, watcher: Watcher) -> None:
        """Show it no more."""
        self.watchers.discard(watcher)
        if not self.watchers:
            self._somebody.clear()
            self._known.clear()
            self._said = frozenset()

    async def serve(self) -> None:
        """Look until cancelled; a look that fails is made again, later and later."""
        wait = LOOK
        while True:
            await self._somebody.wait()
            try:
                await self._look()
            except Exception:  # noqa: BLE001 - whatever the store has, watchers stay and see it when it is over
                wait = min(5.0, wait * 2)
            else:
                wait = LOOK
            await asyncio.sleep(wait)

    async def _look(self) -> None:
        await self._say()
        marks = await asyncio.to_thread(self.written.marks)
        new = [run for run, mark in marks.items() if run not in self._known or self._known[run][0] != mark]
        gone = [run for run in self._known if run not in marks]
        found = await asyncio.to_thread(self.written.read, new) if new else {}
        places = await self.places(set(found))
        if not self.watchers:
            return
        for run, (mark, draft) in found.items():
            place = places.get(run, Place())
            item = Item(0, "draft", run, place, _frame(draft, place))
            self._known[run] = mark, draft, item
            self._show(item)
        for run in gone:
            if run in self._known:
                _, draft, item = self._known.pop(run)
                self._show(replace(item, frame=_frame(replace(draft, pieces=()), item.place)))

    async def _say(self) -> None:
        """Say to the workers what is watched."""
        watched = frozenset(each.drafts for each in self.watchers)
        if watched <= self._said and time.monotonic() - self._last < AGAIN:
            return
        await asyncio.to_thread(self.written.watch, watched, seconds=STAYS)
        self._said, self._last = watched, time.monotonic()

    def _show(self, item: Item) -> None:
        for watcher in self.watchers:
            watcher.show(item)


def _frame(draft: Draft, place: Place) -> bytes:
    told = {"run": draft.run, "project": place.project, "role": draft.role, "turn": draft.turn}
    pieces = [asdict(each) for each in draft.pieces]
    body = json.dumps({**told, "attempt": draft.attempt, "pieces": pieces})
    return f"event: draft\ndata: {body}\n\n".encode()
