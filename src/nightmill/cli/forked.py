"""A sandbox as a run's own was at one of its snapshots: everything in it, what git ignores too, and gone afterwards."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nightmill.cli.door import Door
    from nightmill.sandbox import Sandboxes, Workspace
    from nightmill.store.runs import Run

__all__ = ["forked"]


@asynccontextmanager
async def forked(door: Door, sandboxes: Sandboxes, row: Run, snapshot: str) -> AsyncIterator[tuple[Workspace, str]]:
    """The sandbox of the run *row* at *snapshot*, and the name that this has in it.

    Raises:
        SettingsError: If the snapshot, or the environment below it, is gone.
        SandboxError: If the sandbox fails.
    """
    from nightmill.cli.sandbox import place_of
    from nightmill.errors import SandboxError, SettingsError

    directory = door.settings.home / "forks" / f"{row.id}-{secrets.token_hex(4)}"
    held = door.settings.home / "runs" / row.id / "sandbox"
    try:
        try:
            start = await sandboxes.fork(source=held, snapshot=snapshot, directory=directory)
        except SandboxError as error:
            raise SettingsError(
                f"the sandbox of run {row.id} is not there any more as the step found or left it: {error.message}",
                hint="`sandbox gc` clears the snapshots of ended runs; a new run has its own",
            ) from error
        workspace = await sandboxes.open(place_of(door, row, directory, start))
        try:
            yield workspace, start
        finally:
            await workspace.close()
    finally:
        await sandboxes.destroy(directory)
        with suppress(OSError):  # others are there
            directory.parent.rmdir()
