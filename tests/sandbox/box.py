"""What a scenario is given: a real sandbox and short words for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nightmill.sandbox import Command, Limits, Outcome, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.live import LiveSandbox

Result = TypeVar("Result")


class Box:
    """A sandbox, its place, and the two shells of tests."""

    def __init__(self, sandbox: LiveSandbox, place: Place) -> None:
        self.sandbox, self.place = sandbox, place

    async def sh(self, text: str, **limits: Any) -> Outcome:
        """Run shell text in /work."""
        return await self.sandbox.run(Command(argv=("bash", "-c", text), cwd="/work", limits=Limits(**limits)))

    async def python(self, text: str, *words: str, **limits: Any) -> Outcome:
        """Run Python text in /work."""
        argv = ("/usr/bin/python3", "-c", text, *words)
        return await self.sandbox.run(Command(argv=argv, cwd="/work", limits=Limits(**limits)))

    @property
    def first(self) -> str:
        """What PID 1 is now: the runner, or the shell as which it rests."""
        assert self.sandbox.processes
        return Path(f"/proc/{self.sandbox.processes.init_pid}/comm").read_text().strip()

    async def rest(self) -> None:
        """Send the runner to rest, again if something was still on its way out, and wait until it does."""
        assert self.sandbox.channel
        while self.first != "sh":
            self.sandbox.channel.rouse()
            self.sandbox.channel.rest()
            for _ in range(100):
                await asyncio.sleep(0.001)
                if self.first == "sh":
                    return


class Within(Protocol):
    """Run a scenario in a sandbox of the test's place, changed by keywords."""

    def __call__(self, scenario: Any, *, sandboxes: BubblewrapSandboxes | None = None, **changes: Any) -> Any:
        """What the scenario gives."""
