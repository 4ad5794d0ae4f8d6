"""The live sandbox of one run: always at a known snapshot, taken back or built again whenever it is not."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from nightmill import event
from nightmill.errors import SandboxError
from nightmill.sandbox.disk.layers import remove

if TYPE_CHECKING:
    from collections.abc import Callable

    from nightmill.event import Emit
    from nightmill.sandbox import Place, Sandboxes, ServiceState, Workspace

__all__ = ["Workplace"]

AGAIN = "The sandbox was built again from its last snapshot: /work is as it was; /tmp is empty, and nothing else runs."


class Workplace:
    """Opens the sandbox when it is needed, keeps it between turns, and ends it when the run waits or ends."""

    def __init__(self, *, run: str, place: Place, sandboxes: Sandboxes, emit: Emit, clock: Callable[[], float]) -> None:
        self.run = run
        self.place = place
        self.at = ""
        self._sandboxes = sandboxes
        self._emit = emit
        self._clock = clock
        self._workspace: Workspace | None = None
        self._dirty = False
        self._known: dict[str, ServiceState] = {}
        self._news: list[str] = []
        self._whole: Place | None = None

    async def stand_at(self, snapshot: str) -> Workspace:
        """The sandbox, with /work as *snapshot* recorded it ("": as the layers below are).

        A sandbox in which anything ran since its last snapshot goes back to it: what is not in a snapshot did not
        happen. One that cannot is thrown away.

        Raises:
            SandboxError: If it cannot be built.
        """
        if self._workspace is not None and self.at == snapshot and not self._dirty:
            await self._revive(self._workspace)
            return self._workspace
        started = self._clock()
        services = self.place.services if snapshot else ()  # else the checkout is not yet the one that they work with
        place = replace(self.place, snapshot=snapshot, services=services)
        self._workspace = await self._rolled_back(place) or await self._opened(place)
        self.at, self._dirty = snapshot, False
        self._known.clear()
        if snapshot:
            self._news.append(AGAIN)
            seconds = self._clock() - started
            self._emit(event.WorkspaceRestored(run=self.run, snapshot=snapshot, seconds=seconds))
        return self._workspace

    async def connect(self, *, allowed: bool) -> bool:
        """Have commands reach what the project may, or nothing at all; True: another sandbox takes the place of this one.

        What is live is not told to: what was left running in it could have reached it, or reach it again.
        """
        if allowed == (self._whole is None) or not (self._whole or self.place).hosts:
            return False
        if self._whole is None:
            self._whole, self.place = self.place, replace(self.place, hosts=(), inspect=(), credentials=())
        else:
            self.place, self._whole = self._whole, None
        await self.leave()
        return True

    def rouse(self, *_: object) -> None:
        """Say that the sandbox, if there is one, will be needed soon: to whoever hears of a reply that has begun."""
        if self._workspace is not None:
            self._workspace.rouse()

    def touched(self) -> None:
        """Say that what happens now is in no snapshot yet."""
        self._dirty = True

    def untouched(self) -> None:
        """Say that what happened since `stand_at` only read."""
        self._dirty = False

    def first_seen(self) -> None:
        """Say that whoever works next has not seen the sandbox before, so that its being built again is no news."""
        self._news = [each for each in self._news if each != AGAIN]

    def news(self) -> str:
        """What happened beside the commands since this was asked last, in lines for the agent; the ledger is told too."""
        self.look()
        news, self._news = self._news, []
        return "\n".join(f"({line})" for line in news)

    def look(self) -> None:
        """Tell what became of the services since the last look."""
        for state in self._workspace.services.states() if self._workspace is not None else ():
            before = self._known.get(state.name)
            if state == before or state.state == "starting":
                continue
            self._known[state.name] = state
            self._tell(state, before)

    async def keep(self) -> str:
        """Snapshot what /work holds now, and return its id.

        Raises:
            SandboxError: If it could not be written; the live sandbox then counts as lost.
        """
        if self._workspace is None:
            return self.at
        self.look()
        self.at = await self._workspace.snapshot()
        self._dirty = False
        return self.at

    async def leave(self) -> None:
        """End the sandbox; its snapshots stay, the live copy that they make again goes. Safe to repeat."""
        workspace, self._workspace = self._workspace, None
        if workspace is None:
            return
        clearing = asyncio.ensure_future(self._clear(workspace))
        try:
            await asyncio.shield(clearing)
        except asyncio.CancelledError:
            await asyncio.wait({clearing})  # half closed, it would hold the run's folder against the next
            raise

    def _tell(self, state: ServiceState, before: ServiceState | None) -> None:
        name, ready = state.name, state.state == "ready"
        if state.state == "ended":
            self._emit(event.ServiceEnded(run=self.run, service=name, exit=state.exit, reason=state.reason))
            self._news.append(f"the service {name} has ended: {state.reason}; its output: /tmp/services/{name}.log")
            return
        self._emit(
            event.ServiceStarted(run=self.run, service=name, ready=ready, seconds=state.seconds, reason=state.reason)
        )
        if not ready:
            self._news.append(
                f"the service {name} does not answer: {state.reason}; its output: /tmp/services/{name}.log"
            )
        elif before is not None:
            self._news.append(f"the service {name} was started again")

    async def _rolled_back(self, place: Place) -> Workspace | None:
        workspace = self._workspace
        wanted = {service.name for service in place.services}
        if workspace is None or {state.name for state in workspace.services.states()} != wanted:
            return None
        try:
            await workspace.roll_back(place.snapshot)
        except SandboxError:
            return None
        return workspace

    async def _opened(self, place: Place) -> Workspace:
        await self.leave()
        return await self._sandboxes.open(place)

    async def _revive(self, workspace: Workspace) -> None:
        """Start services again that have ended: a turn begins with all of them, whatever the one before did."""
        self.look()
        ended = {state.name for state in workspace.services.states() if state.state == "ended"}
        if ended:
            self._dirty = True
            await workspace.services.start(*(each for each in self.place.services if each.name in ended))
            self.look()
            self._dirty = False

    async def _clear(self, workspace: Workspace) -> None:
        await workspace.close()
        for name in ("upper", "work"):
            with contextlib.suppress(OSError):  # the next to open here clears it first
                await asyncio.to_thread(remove, self.place.directory / name)
