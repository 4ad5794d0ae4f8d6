"""A key that one may not use, or that means nothing now, says why instead of nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nightmill import event as e
from tests.cli.attach.conftest import Attach
from tests.cli.attach.test_attach import BOTH
from tests.server.conftest import House


@pytest.mark.parametrize(
    ("who", "named", "shown", "refused"),
    [
        ("viewer", {}, (), {"s": "operator", "p": "operator", "c": "operator", "w": "operator", "a": "role approver"}),
        ("approver", {}, ("a Approve", "x Refuse"), {"s": "you may not operate in shop: that takes the role operator"}),
        ("operator", {}, ("s Say", "p Pause", "c Cancel"), {"a": "you may not approve in shop", "x": "role approver"}),
        ("admin", {"scopes": ["view", "operate"]}, ("s Say", "p Pause"), {"a": "your token may not approve"}),
    ],
)
def test_a_key_that_one_has_no_right_to_is_not_shown_and_says_why_when_it_is_pressed(
    house: House, attach: Attach, who: str, named: dict[str, Any], shown: tuple[str, ...], refused: dict[str, str]
) -> None:
    keys = ("s Say", "a Approve", "x Refuse", "p Pause", "c Cancel")

    async def look() -> None:
        async with attach("rone", who=who, size=(120, 30), **named) as screen:
            await screen.shows("Merge it?", *shown)
            await screen.until(lambda: screen.app.me)
            await screen.until(lambda: not [key for key in keys if key not in shown and key in screen.text])
            for key, why in refused.items():
                await screen.tries(key, hears=why)
            assert screen.app.query_one("#say").display == ("s Say" in shown)
            assert len(screen.app.screen_stack) == 1

    house.run("rone")
    question = house.asks("rone", title="Merge it?")
    asyncio.run(look())
    assert house.door.questions.get(question).state == "open"


@BOTH
def test_a_key_that_comes_too_early_or_from_who_has_a_part_in_it_says_so(
    house: House, attach: Attach, where: str
) -> None:
    async def look() -> None:
        async with attach("rone", where=where) as screen:
            await screen.shows("rone  Mend the cart", "p Pause")
            await screen.until(lambda: screen.app.me)
            for key, why in {
                "a": "a yes or a no; it is shown",
                "w": "is answered in words",
                "r": "is not paused",
            }.items():
                await screen.tries(key, hears=why)
            house.asks("rone", title="Merge it?", barred=("ada@example.org",))
            await screen.until(lambda: screen.app.asked)
            await screen.tries("a", hears="ada@example.org has a part in 'Merge it?'")
            house.tell(e.RunStopped(run="rone", why="failed", reason="r"))
            await screen.until(lambda: screen.app.scene.over)
            await screen.tries("p", hears="rone is over: nothing reaches it any more")

    house.run("rone")
    asyncio.run(look())
