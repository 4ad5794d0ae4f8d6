"""What a scenario is given: a real sandbox and short words for it."""

from __future__ import annotations

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


class Within(Protocol):
    """Run a scenario in a sandbox of the test's place, changed by keywords."""

    def __call__(self, scenario: Any, *, sandboxes: BubblewrapSandboxes | None = None, **changes: Any) -> Any:
        """What the scenario gives."""
