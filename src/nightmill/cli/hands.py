"""Workers that a server keeps beside itself."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from nightmill.cli.door import for_workers
from nightmill.desk.door import Door

__all__ = ["hands"]

SOUND = 60.0
"""Seconds after which a worker that dies is followed by another at once."""
FIRST = 1.0
"""Seconds until then, doubled each time that one dies sooner."""


@asynccontextmanager
async def hands(door: Door, number: int) -> AsyncIterator[None]:
    """Have so many workers until the end of the block; they end with it, and their runs go on with the next."""
    keeping = [asyncio.create_task(_one(door)) for _ in range(number)]
    try:
        yield
    finally:
        for task in keeping:
            task.cancel()
        for task in keeping:
            with suppress(asyncio.CancelledError):
                await task


async def _one(door: Door) -> None:
    wait = FIRST
    while True:
        began = time.monotonic()
        await _worker(door)
        wait = FIRST if time.monotonic() - began > SOUND else min(wait * 2, SOUND)
        await asyncio.sleep(wait)


async def _worker(door: Door) -> None:
    with (door.settings.home / "worker.log").open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "nightmill.cli",
            "worker",
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd="/",
            env=for_workers(door),
        )
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.shield(process.wait())
