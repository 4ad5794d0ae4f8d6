"""The macOS backend on Linux, for what of it is not macOS: real runner, real files, plain copies, and NO WALL.

Neither Seatbelt nor APFS nor libproc runs here, so nothing here says that a Mac holds anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nightmill.sandbox import Command, Limits, Outcome, Place
from nightmill.sandbox.backends.mac import MacSandbox, MacSandboxes
from nightmill.sandbox.backends.seatbelt import Programs
from nightmill.sandbox.network.reach import Network

UNWALLED = Programs(
    wall=("/bin/sh", "-c", 'test -s "$1" && shift && exec "$@"', "no-wall"), clone=("/bin/cp", "--archive")
)


def unwalled(network: Network | None = None) -> MacSandboxes:
    """What would be sandboxes on macOS."""
    return MacSandboxes(programs=UNWALLED, network=network)


class Desk:
    """An open one, with a short word for a shell in /work."""

    def __init__(self, sandbox: MacSandbox, place: Place) -> None:
        self.sandbox, self.place = sandbox, place

    async def sh(self, text: str, **limits: Any) -> Outcome:
        """Run shell text in /work."""
        return await self.sandbox.run(Command(argv=("bash", "-c", text), cwd="/work", limits=Limits(**limits)))


def within(place: Place, scenario: Any, *, sandboxes: MacSandboxes | None = None, **changes: Any) -> Any:
    """Run *scenario* on *place*, changed by keywords; gives what it gives."""

    async def whole() -> Any:
        found = replace(place, **changes)
        sandbox = await (sandboxes or unwalled()).open(found)
        assert isinstance(sandbox, MacSandbox)
        try:
            return await scenario(Desk(sandbox, found))
        finally:
            await sandbox.close()

    return asyncio.run(whole())


def given(tmp_path: Path) -> Place:
    """A run's folder over a small layer: repo/kept.txt, repo/gone/file.txt. It belongs to who tests: no owner is changed."""
    layer, run = tmp_path / "layer", tmp_path / "run"
    (layer / "repo" / "gone").mkdir(parents=True)
    (layer / "repo" / "kept.txt").write_text("kept\n")
    (layer / "repo" / "gone" / "file.txt").write_text("gone\n")
    run.mkdir()
    return Place(directory=run, layers=(layer,))


async def until(question: Callable[[], object]) -> None:
    """Wait until *question* is answered with yes."""
    async with asyncio.timeout(60):
        while not question():  # noqa: ASYNC110 - another process answers
            await asyncio.sleep(0.01)


async def written(path: Path) -> int:
    """The number that a program writes to *path*, once it has."""
    await until(lambda: path.exists() and path.read_text().strip())
    return int(path.read_text())  # noqa: ASYNC240 - a few bytes


def lives(pid: int) -> bool:
    """Whether the process *pid* is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


__all__ = ["UNWALLED", "Desk", "given", "lives", "until", "unwalled", "within", "written"]
