"""Real sandboxes, opened and closed around one scenario."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nightmill.sandbox import Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.live import LiveSandbox
from nightmill.sandbox.owner import give, owner
from tests.sandbox.box import Box, Within


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A run's folder over a small layer: repo/kept.txt, repo/gone/file.txt."""
    layer, run = tmp_path / "layer", tmp_path / "run"
    (layer / "repo" / "gone").mkdir(parents=True)
    (layer / "repo" / "kept.txt").write_text("kept\n")
    (layer / "repo" / "gone" / "file.txt").write_text("gone\n")
    run.mkdir()
    give(layer, owner())
    return Place(directory=run, layers=(layer,))


@pytest.fixture
def sandboxes(tmp_path: Path) -> BubblewrapSandboxes:
    """Those of one shelf, which forks share."""
    return BubblewrapSandboxes(shelf=tmp_path / "shelf")


@pytest.fixture
def within(place: Place) -> Within:
    """Run a scenario in a sandbox of *place*, changed by keywords."""

    def go(scenario: Any, *, sandboxes: BubblewrapSandboxes | None = None, **changes: Any) -> Any:
        async def whole() -> Any:
            found = replace(place, **changes)
            sandbox = await (sandboxes or BubblewrapSandboxes()).open(found)
            assert isinstance(sandbox, LiveSandbox)
            try:
                return await scenario(Box(sandbox, found))
            finally:
                await sandbox.close()

        return asyncio.run(whole())

    return go
