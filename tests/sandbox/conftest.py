"""Real sandboxes, opened and closed around one scenario."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from nightmill.sandbox import Command, Limits, Outcome, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandbox, BubblewrapSandboxes

Result = TypeVar("Result")


class Box:
    """What a scenario is given: the sandbox and short words for it."""

    def __init__(self, sandbox: BubblewrapSandbox, place: Place) -> None:
        self.sandbox, self.place = sandbox, place

    async def sh(self, text: str, **limits: Any) -> Outcome:
        """Run shell text in /work."""
        return await self.sandbox.run(Command(argv=("bash", "-c", text), cwd="/work", limits=Limits(**limits)))

    async def python(self, text: str, *words: str, **limits: Any) -> Outcome:
        """Run Python text in /work."""
        argv = ("/usr/bin/python3", "-c", text, *words)
        return await self.sandbox.run(Command(argv=argv, cwd="/work", limits=Limits(**limits)))


Scenario = Callable[[Box], Awaitable[Result]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A run's folder over a small layer: repo/kept.txt, repo/gone/file.txt."""
    layer, run = tmp_path / "layer", tmp_path / "run"
    (layer / "repo" / "gone").mkdir(parents=True)
    (layer / "repo" / "kept.txt").write_text("kept\n")
    (layer / "repo" / "gone" / "file.txt").write_text("gone\n")
    run.mkdir()
    return Place(directory=run, layers=(layer,))


@pytest.fixture
def within(place: Place) -> Callable[..., Any]:
    """Run a scenario in a sandbox of *place*, changed by keywords."""

    def go(scenario: Scenario[Result], *, sandboxes: BubblewrapSandboxes | None = None, **changes: Any) -> Result:
        async def whole() -> Result:
            found = replace(place, **changes)
            sandbox = await (sandboxes or BubblewrapSandboxes()).open(found)
            assert isinstance(sandbox, BubblewrapSandbox)
            try:
                return await scenario(Box(sandbox, found))
            finally:
                await sandbox.close()

        return asyncio.run(whole())

    return go
