"""The live sandbox of one run: always at a known snapshot, built again whenever it is not."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from nightmill import event
from nightmill.sandbox.layers import remove

if TYPE_CHECKING:
    from collections.abc import Callable

    from nightmill.event import Emit
    from nightmill.sandbox import Place, Sandboxes, Workspace

__all__ = ["Workplace"]


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

    async def stand_at(self, snapshot: str) -> Workspace:
        """The sandbox, with /work as *snapshot* recorded it ("": as the layers below are).

        A sandbox in which anything ran since its last snapshot is thrown away first: what is not in a snapshot
        did not happen.

        Raises:
            SandboxError: If it cannot be built.
        """
        if self._workspace is not None and self.at == snapshot and not self._dirty:
            return self._workspace
        await self.leave()
        started = self._clock()
        self._workspace = await self._sandboxes.open(replace(self.place, snapshot=snapshot))
        self.at, self._dirty = snapshot, False
        if snapshot:
            seconds = self._clock() - started
            self._emit(event.WorkspaceRestored(run=self.run, snapshot=snapshot, seconds=seconds))
        return self._workspace

    def touched(self) -> None:
        """Say that what happens now is in no snapshot yet."""
        self._dirty = True

    def untouched(self) -> None:
        """Say that what happened since `stand_at` only read."""
        self._dirty = False

    async def keep(self) -> str:
        """Snapshot what /work holds now, and return its id.

        Raises:
            SandboxError: If it could not be written; the live sandbox then counts as lost.
        """
        if self._workspace is None:
            return self.at
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

    async def _clear(self, workspace: Workspace) -> None:
        await workspace.close()
        for name in ("upper", "work"):
            with contextlib.suppress(OSError):  # the next to open here clears it first
                await asyncio.to_thread(remove, self.place.directory / name)
