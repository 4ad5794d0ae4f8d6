"""A run that is attached to from terminals that are not there, at the store here or through a real server."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest
from textual.widgets import Input

from nightmill.access import ACTS, ROLES
from nightmill.cli.attach.view import Attached
from nightmill.cli.desks import StoreDesk
from nightmill.client import Client, Connection, ServerDesk
from nightmill.desk.nouns import Seat
from nightmill.kept import Run
from tests.server.conftest import House, house, role

__all__ = ["Attach", "Screen", "house"]

PATIENCE = 60.0
"""Seconds after which something hangs."""


class Told(Attached):
    """A view that remembers what it told, which is shown for a few seconds only."""

    def __init__(self, run: Run, **named: Any) -> None:
        super().__init__(run, **named)
        self.told: list[str] = []

    def notify(self, message: str, **named: Any) -> None:
        self.told.append(message)
        super().notify(message, **named)


class Screen:
    """A view that is open, and the keys that are pressed in it."""

    def __init__(self, app: Told, pilot: Any) -> None:
        self.app, self.pilot = app, pilot

    @property
    def lines(self) -> list[str]:
        """What is to be seen, as text."""
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).replace("\u00a0", " ").replace("\u202f", " ")

    async def until(self, look: Callable[[], Any]) -> Any:
        """What *look* gives as soon as it is true."""
        deadline = time.monotonic() + PATIENCE
        while not (found := look()):
            assert time.monotonic() < deadline, f"this is all that there is:\n{self.text}"
            await self.pilot.pause(0.02)
        return found

    async def shows(self, *words: str) -> None:
        """Wait until all *words* are to be seen."""
        await self.until(lambda: all(word in self.text for word in words))

    async def hears(self, words: str) -> None:
        """Wait until it is told that *words*."""
        await self.until(lambda: any(words in each for each in self.app.told))

    async def press(self, *keys: str) -> None:
        """Press each of *keys* as soon as it means something: what it is about may not have come yet."""
        for key in keys:
            await self.until(lambda key=key: isinstance(self.app.focused, Input) or self._means(key))
            await self.pilot.press(key)
            await self.pilot.pause()

    def _means(self, key: str) -> bool:
        found = self.app.screen.active_bindings.get(key)
        return found is not None and found.enabled

    async def tries(self, key: str, *, hears: str) -> None:
        """Press what may mean nothing now, and wait until it is told why."""
        await self.pilot.press(key)
        await self.hears(hears)

    async def types(self, text: str) -> None:
        await self.press(*({" ": "space"}.get(sign, sign) for sign in text))


Attach = Callable[..., Any]


@pytest.fixture
def seats(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Seat]]:
    """Desks at the store of the house, or through its server, of whoever comes."""
    with ExitStack() as stack:
        known: dict[str, Any] = {}
        number = itertools.count()

        def take(where: str, name: str, **named: Any) -> Seat:
            if where == "store":
                monkeypatch.setenv("NIGHTMILL_PERSON", f"{name.title()} <{name}@example.org>")
                return StoreDesk(house.door)
            if name not in known:
                roles: Any = (name,) if name in ROLES else ("operator", "approver")
                known[name] = house.let_in(f"{name}@example.org", *map(role, roles))
            scopes = named.pop("scopes", ACTS)
            token = house.site.keys.make(f"terminal {next(number)}", owner=known[name], scopes=scopes, seconds=3600)
            connection = Connection(house.url, token, **named)
            stack.callback(connection.close)
            return ServerDesk(Client(connection, patience=1e9))

        yield take


@pytest.fixture
def attach(house: House, seats: Callable[..., Seat]) -> Attach:
    """Open a view of a run."""

    @asynccontextmanager
    async def open_(
        run: str, *, where: str = "server", who: str = "ada", size: tuple[int, int] = (80, 30), **named: Any
    ) -> AsyncIterator[Screen]:
        acting, watching = seats(where, who, **named), seats(where, who, **named)
        found = await asyncio.to_thread(acting.run, run)
        app = Told(found, acting=acting, watching=watching, terminal=f"terminal-of-{who}")
        try:
            async with app.run_test(size=size) as pilot:
                yield Screen(app, pilot)
        finally:
            for seat in (acting, watching):
                if isinstance(seat, ServerDesk):
                    seat.client.connection.close()
            asides = [each for each in threading.enumerate() if each.name == "aside"]
            for thread in (app.follow._thread, *asides):  # nothing of it reaches into the next test
                await asyncio.to_thread(thread.join, PATIENCE)
                assert not thread.is_alive()

    return open_
