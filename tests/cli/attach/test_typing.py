"""What is typed and pasted, and what becomes of a view whose terminal or whose server changes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from textual import events

from nightmill.cli.attach.typed import BREAK, Typed
from nightmill.client.connection import Away
from nightmill.desk.nouns import Asked
from tests.cli.attach.conftest import Attach, Screen
from tests.server.conftest import House


def paste(screen: Screen, text: str) -> None:
    assert screen.app.focused is not None
    screen.app.focused.post_message(events.Paste(text))


def test_what_is_pasted_is_said_with_all_its_lines(house: House, attach: Attach) -> None:
    async def look() -> None:
        async with attach("rone") as screen:
            await screen.press("s")
            await screen.types("so ")
            paste(screen, "Traceback:\r\n  line 1\r\n\x1b[2Jend\r\n")
            await screen.shows(f"so Traceback:{BREAK}  line 1{BREAK}\\x1b[2Jend")
            await screen.press("enter")
            await screen.hears("hears it before its next turn")
            assert screen.app.query_one("#say", Typed).value == ""

    house.run("rone")
    asyncio.run(look())
    assert [word.text for word in house.door.runs.said("rone")] == ["so Traceback:\n  line 1\n\\x1b[2Jend"]


def test_what_is_too_long_to_be_pasted_is_not_cut_short_in_silence(house: House, attach: Attach) -> None:
    async def look() -> None:
        async with attach("rone") as screen:
            await screen.press("s")
            await screen.types("so ")
            paste(screen, "word " * 20_000)
            await screen.hears("what you paste has 100,000 characters, and 19,997 fit")
            assert screen.app.query_one("#say", Typed).value == "so "

    house.run("rone")
    asyncio.run(look())


def test_a_reason_is_given_in_lines(house: House, attach: Attach) -> None:
    async def look() -> None:
        async with attach("rone") as screen:
            await screen.press("x")
            await screen.shows("What has to change")
            paste(screen, "one\ntwo")
            await screen.shows(f"one{BREAK}two")
            await screen.press("enter")
            await screen.hears("refused by Ada")

    house.run("rone")
    question = house.asks("rone")
    asyncio.run(look())
    assert house.door.questions.get(question).answer == "one\ntwo"


@pytest.mark.parametrize(("reads", "stays"), [("", "queued: Mend the cart"), ("2", "What is to be done")])
def test_in_a_terminal_that_becomes_narrow_what_is_read_stays(
    house: House, attach: Attach, reads: str, stays: str
) -> None:
    async def look() -> None:
        async with attach("rone", size=(80, 30)) as screen:
            await screen.shows("queued: Mend the cart")
            await screen.pilot.resize_terminal(160, 40)
            await screen.shows("queued: Mend the cart", "What is to be done")
            if reads:
                screen.app.query_one("#work").focus()
            await screen.pilot.resize_terminal(70, 20)
            await screen.until(lambda: all(len(line) <= 70 for line in screen.lines) and stays in screen.text)
            assert ("queued: Mend the cart" in screen.text) is not bool(reads)

    house.run("rone")
    asyncio.run(look())


def test_a_question_that_could_not_be_read_when_it_was_asked_is_read_later(
    house: House, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look() -> None:
        async with attach("rone") as screen:
            await screen.app.workers.wait_for_complete()  # what it asks when it begins
            acting = screen.app.acting
            asked, left = acting.asked, ["once"]

            def away(name: str) -> Sequence[Asked]:
                if left and house.door.questions.of("rone"):
                    left.pop()
                    raise Away("nobody answers")
                found: Sequence[Asked] = asked(name)
                return found

            monkeypatch.setattr(acting, "asked", away)
            house.asks("rone")
            await screen.until(lambda: not left)
            asks = screen.app.query_one("#asks")
            assert not asks.display
            screen.app.beat()
            await screen.until(lambda: asks.display)

    house.run("rone")
    asyncio.run(look())
