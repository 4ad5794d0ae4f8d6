"""A real run, looked at from a terminal through a server until it is done, and gone on from."""

from __future__ import annotations

import asyncio

import pytest

from nightmill.cli.attach.pane import Talk
from tests.cli.attach.conftest import Attach, attach, seats
from tests.conftest import Scripted, ScriptedFactory
from tests.server.conftest import House
from tests.whole import Mill, script

__all__ = ["attach", "seats"]

pytestmark = pytest.mark.slow


@pytest.fixture
def model(scripted: ScriptedFactory) -> Scripted:
    """A developer who makes the spec true."""
    return scripted(script())


def test_a_run_is_watched_until_it_is_done_and_gone_on_from(mill: Mill, house: House, attach: Attach) -> None:
    async def look(run: str) -> None:
        async with attach(run, size=(200, 60)) as screen:
            await screen.until(lambda: screen.app.scene.over)
            await screen.shows("✓ proven: tree", "✓ check tests", "pull request 1")
            await screen.press("3")
            await screen.shows("-    return a - b", "+    return a + b")
            talk = screen.app.query_one(Talk)
            edit = next(number for number, row in enumerate(talk.rows) if row.text.startswith("edit_file calc.py"))
            await screen.press("home", *["down"] * edit, "enter")
            await screen.shows("│ path: calc.py", "│ result:")
            await screen.press("g")
            await screen.shows("Go on from developer's turn 2")
            await screen.press("enter")
            await screen.until(lambda: any("goes on from there" in each.message for each in screen.app._notifications))

    with mill.worker():
        asked = mill.run("run", mill.folder / "SPEC.md", "--detach", at=mill.folder / "calc")
        assert not asked.returncode, asked.stderr
        asyncio.run(look(asked.stdout.strip()))
