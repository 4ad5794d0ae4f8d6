"""Whoever attaches to a run sees what happens as it comes, takes part in their own name, and sees who else does."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import pytest

from nightmill import event as e
from nightmill.cli.attach.pane import Talk
from nightmill.cli.attach.scene import MOST, SLACK
from nightmill.event import EVENTS
from nightmill.store.presence import Presence
from tests.cli.attach.conftest import Attach, Screen
from tests.cli.conftest import HOSTILE
from tests.report.sample import fixed
from tests.server.conftest import TREE, House
from tests.server.shelf import shelve
from tests.whole import wait_for

BOTH = pytest.mark.parametrize("where", ["store", "server"])
RUN = "7f3a-time-0291"


def turn(run: str, number: int, *, said: str = "I look.", calls: int = 1) -> list[e.Event]:
    """One turn, with *calls* calls."""
    began = e.TurnStarted(run=run, turn=number, role="developer", model="anthropic:claude-sonnet-4-5")
    tools: list[e.Event] = []
    for call in range(calls):
        named: dict[str, Any] = {"run": run, "turn": number, "call": f"c{number}-{call}", "tool": "read_file"}
        tools += [
            e.ToolStarted(**named, label=f"file{number}.py"),
            e.ToolFinished(**named, label=f"file{number}.py", ok=True, seconds=0.25),
        ]
    usage = {"input": 50_000, "output": 100}
    ended = e.TurnFinished(
        run=run,
        turn=number,
        role="developer",
        model="anthropic:claude-sonnet-4-5",
        record="0" * 64,
        snapshot="",
        usage=usage,
        cost=0.01,
        calls=calls,
        seconds=2.0,
        said=said,
    )
    return [began, *tools, ended]


@BOTH
def test_what_happens_is_seen_as_it_comes_and_a_call_is_opened(house: House, attach: Attach, where: str) -> None:
    async def look() -> None:
        async with attach(run, where=where, size=(120, 40)) as screen:
            await screen.shows("done · change · developer", "14 turns", "proven: tree", "nobody else is here")
            talk = screen.app.query_one(Talk)
            number = next(at for at, row in enumerate(talk.rows) if row.text.startswith("run_command"))
            await screen.press("home", *["down"] * number, "enter")
            await screen.until(lambda: "│ result:" in screen.text)
            assert "│ command: " in screen.text
            await screen.press("enter")
            await screen.until(lambda: "│ result:" not in screen.text)

    run = shelve(house.door, fixed())
    asyncio.run(look())


@BOTH
def test_a_run_at_work_has_its_state_and_what_it_does_in_sight(house: House, attach: Attach, where: str) -> None:
    async def look() -> None:
        async with attach("rone", where=where, size=(200, 50)) as screen:
            await screen.shows("rone  Mend the cart")
            house.tell(
                e.RunStarted(run="rone", worker="w"),
                e.PhaseStarted(run="rone", phase="work", step="build"),
                *turn("rone", 1, said="The sign is wrong."),
                e.TodoChanged(run="rone", turn=1, items=[{"text": "Mend the sign", "state": "doing"}]),
                *turn("rone", 2)[:2],
            )
            await screen.shows("at work · build · developer · anthropic:claude-sonnet-4-5", "… read_file file2.py")
            await screen.shows("The sign is wrong.", "read_file file1.py (0.2 s)", "▸ Mend the sign", "25 % of 200 k")
            house.tell(*turn("rone", 2)[2:])
            await screen.shows("read_file file2.py (0.2 s)")
            assert screen.text.count("file2.py") == 1, "a call is one row, from its beginning to its end"

    house.run("rone")
    asyncio.run(look())


@BOTH
def test_people_speak_in_their_own_names_and_see_each_other(house: House, attach: Attach, where: str) -> None:
    async def look() -> None:
        async with attach("rone", where=where, who="ada") as ada:
            await ada.shows("nobody else is here")
            await ada.press("s")
            await ada.types("use cents")
            await ada.press("enter")
            await ada.shows("» Ada <ada@example.org>: use cents")
            assert ada.app.query_one("#say").value == ""  # type: ignore[attr-defined]
            async with attach("rone", where="server", who="bob") as bob:
                await bob.shows("with Ada <ada@example.org>", "» Ada <ada@example.org>: use cents")
                ada.app.beat()
                await ada.shows("with Bob <bob@example.org>")

    house.run("rone")
    asyncio.run(look())
    assert [(word.by, word.text) for word in house.door.runs.said("rone")] == [("Ada <ada@example.org>", "use cents")]


def test_a_terminal_that_died_is_forgotten_and_one_that_leaves_is_gone_at_once(house: House) -> None:
    presence = Presence(house.door.database)
    beat = {"by": "Ada <ada@example.org>", "seconds": 60.0}
    assert presence.attend("rone", "t1", **beat) == ()
    assert presence.attend("rone", "t2", **beat) == ("Ada <ada@example.org>",), "the same person elsewhere"
    assert presence.attend("rtwo", "t3", by="Bob <bob@example.org>", seconds=60.0) == ()
    presence.attend("rone", "t1", by="Ada <ada@example.org>", seconds=0.0)
    assert presence.attend("rone", "t2", **beat) == ()
    presence.attend("rone", "dead", by="Eve <eve@example.org>", seconds=1e-6)
    wait_for("an end that nobody told", lambda: presence.attend("rone", "t2", **beat) == ())


@BOTH
def test_a_yes_is_given_to_what_was_looked_at_and_only_after_it_was_shown(
    house: House, attach: Attach, where: str
) -> None:
    async def look() -> None:
        async with attach("rone", where=where) as screen:
            await screen.shows("? Merge the cart?  (a: approve, x: refuse)")
            await screen.press("s")
            await screen.shows("? Merge the cart?  (escape, then a: approve, x: refuse)")
            await screen.press("escape")
            await screen.shows("? Merge the cart?  (a: approve, x: refuse)")
            await screen.press("x")
            await screen.shows("Say no to: Merge the cart?", "reads well", f"tree {TREE[:12]}")
            await screen.press("enter")
            await screen.shows("Say something")
            await screen.press("escape", "a")
            await screen.shows("Say yes to: Merge the cart?")
            await screen.types("fine")
            await screen.press("enter")
            await screen.shows("granted by Ada <ada@example.org>: fine")
            await screen.until(lambda: not screen.app.asked and "a: approve" not in screen.text)

    house.run("rone")
    question = house.asks("rone", body=house.door.blobs.put(b"It reads well."))
    asyncio.run(look())
    ended = house.door.questions.get(question)
    assert (ended.state, ended.answer, ended.by) == ("granted", "fine", "Ada <ada@example.org>")


def test_a_question_that_ended_while_it_was_looked_at_is_not_another_ones_yes(house: House, attach: Attach) -> None:
    async def look() -> None:
        async with attach("rone") as screen:
            await screen.shows("a: approve")
            await screen.press("a")
            await screen.shows("Say yes to")
            house.door.questions.refuse(first, by="Eve <eve@example.org>", because="no")
            house.asks("rone", id="rone/look/again", tree="b" * 40)
            await screen.press("enter")
            await screen.until(lambda: any("Merge the cart?" in each.message for each in screen.app._notifications))

    house.run("rone")
    first = house.asks("rone")
    asyncio.run(look())
    assert house.door.questions.get("rone/look/again").state == "open"


@BOTH
def test_an_answer_is_given_by_its_number(house: House, attach: Attach, where: str) -> None:
    async def look() -> None:
        async with attach("rone", where=where) as screen:
            await screen.shows("w: answer")
            await screen.press("w")
            await screen.shows("1  left", "2  right")
            await screen.press("2", "enter")
            await screen.shows("answered by Ada <ada@example.org>: right")

    house.run("rone")
    house.asks("rone", kind="answer", options=("left", "right"))
    asyncio.run(look())


@BOTH
def test_a_run_is_paused_and_goes_on_by_a_key_and_is_cancelled_only_when_that_is_said_twice(
    house: House, attach: Attach, where: str
) -> None:
    async def look() -> None:
        async with attach("rone", where=where) as screen:
            await screen.shows("rone  Mend the cart", "p Pause")
            assert "Resume" not in screen.text
            await screen.press("p")
            await screen.shows("r Resume")
            assert house.door.runs.get("rone").wanted == "pause"
            await screen.press("r")
            await screen.shows("p Pause")
            assert house.door.runs.get("rone").wanted == "run"
            await screen.press("c")
            await screen.shows("It stops for good.")
            await screen.press("n")
            await screen.until(lambda: "It stops for good." not in screen.text)
            await screen.press("c", "y")
            await screen.until(lambda: house.door.runs.get("rone").wanted == "cancel")

    house.run("rone")
    asyncio.run(look())


def test_a_run_goes_on_from_an_earlier_turn_only_when_that_was_said_twice(house: House, attach: Attach) -> None:
    async def look() -> None:
        async with attach("rone") as screen:
            await screen.shows("file2.py")
            await screen.press("g")
            await screen.until(lambda: any("go to a turn" in each.message for each in screen.app._notifications))
            await screen.press("up", "up", "g")
            await screen.shows("Go on from developer's turn 2 of rone", "enter: start it")
            await screen.press("escape")
            assert len(house.door.runs.list()) == 1
            await screen.press("g", "enter")
            # What it would begin with is not there, and that is what is said; that it begins is tests/line's.
            await screen.until(lambda: any(each.severity == "error" for each in screen.app._notifications))

    house.run("rone")
    house.tell(*turn("rone", 1), *turn("rone", 2), e.PhaseStarted(run="rone", phase="prove"))
    asyncio.run(look())


def test_what_one_may_not_do_is_said_and_nothing_is_lost(house: House, attach: Attach) -> None:
    async def look() -> None:
        async with attach("rone") as screen:
            await screen.shows("rone  Mend the cart")
            house.tell(e.RunPaused(run="rone", by="x"))
            house.door.runs.want("rone", "cancel", by="Eve <eve@example.org>")
            await screen.press("s")
            await screen.types("hello")
            await screen.press("enter")
            await screen.until(lambda: any("hears nothing" in each.message for each in screen.app._notifications))
            await screen.until(lambda: not screen.app.query_one("#say").disabled)
            assert screen.app.query_one("#say").value == "hello"  # type: ignore[attr-defined]

    house.run("rone")
    asyncio.run(look())


def test_nothing_is_missing_and_nothing_twice_after_the_server_was_started_anew(house: House, attach: Attach) -> None:
    async def look() -> None:
        async with attach("rone", sleep=lambda _: time.sleep(0.02)) as screen:
            numbers = itertools.count(1)
            house.tell(*turn("rone", next(numbers)))
            await screen.until(lambda: _turns(screen) == house_turns())
            await asyncio.to_thread(house.stop)
            house.tell(*turn("rone", next(numbers)))
            screen.app.beat()
            await screen.shows("nobody answers at")
            await asyncio.to_thread(house.start)
            await screen.until(lambda: _turns(screen) == house_turns() == 2)
            screen.app.beat()
            await screen.until(lambda: "nobody answers at" not in screen.text)
            house.tell(*turn("rone", next(numbers)))
            await screen.until(lambda: _turns(screen) == house_turns() == 3)

    def house_turns() -> int:
        return sum(each.name == "turn_finished" for each in house.door.ledger.read(run="rone"))

    house.run("rone")
    asyncio.run(look())


def _turns(screen: Screen) -> int:
    return sum(row.text.startswith("I look.") for row in screen.app.scene.rows)


class Counting(Talk):
    """A conversation that notes which of its lines were drawn."""

    drawn: set[int] = set()  # noqa: RUF012 - one for the test

    def render_line(self, y: int) -> Any:
        self.drawn.add(self.scroll_offset.y + y)
        return super().render_line(y)


def test_a_run_of_ten_thousand_events_is_bounded_and_only_what_is_seen_is_drawn(
    house: House, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look() -> None:
        async with attach("rone", where="store") as screen:
            await screen.until(lambda: screen.app.scene.turns == 2000)
            await screen.shows("file2000.py", "2,000 turns")
            assert len(screen.app.scene.rows) <= MOST + SLACK
            assert screen.app.scene.dropped > 0
            before = len(Counting.drawn)
            talk = screen.app.query_one(Talk)
            await screen.press("home")
            await screen.until(lambda: talk.scroll_offset.y == 0)
            assert len(Counting.drawn) - before <= 2 * screen.app.size.height
            assert len(Counting.drawn) < len(talk._places) / 4

    monkeypatch.setattr("nightmill.cli.attach.view.Talk", Counting)
    house.run("rone")
    house.tell(*itertools.chain.from_iterable(turn("rone", number, calls=2) for number in range(1, 2001)))
    assert len(house.door.ledger.read(run="rone")) > 12_000
    asyncio.run(look())


def test_what_strangers_wrote_does_nothing_but_be_read(house: House, attach: Attach) -> None:
    evil = f"[bold red]{HOSTILE}[/] [@click=app.quit]x[/] \ud800"

    async def look() -> None:
        async with attach("rone", size=(120, 40)) as screen:
            house.tell(
                *turn("rone", 1, said=evil),
                e.TodoChanged(run="rone", turn=1, items=[{"text": evil, "state": evil}]),
                e.ServiceStarted(run="rone", service=evil, ready=False, seconds=1.0, reason=evil),
                e.PlanMade(run="rone", tasks=[{"id": evil, "title": evil}], source="spec"),
            )
            house.door.runs.say("rone", evil, by=evil)
            await screen.shows("1 turn", "[bold red]a\\x1b[2J\\x07", "[@click=app.quit]x[/]")
            await screen.press("a")
            await screen.shows("Say yes to: [bold red]")
            await screen.press("escape", "w")
            await screen.shows("1  [bold red]")
            seen = [screen.text]
            await screen.press("escape", "2")
            await screen.shows("What is to be done", "Tasks")
            seen.append(screen.text)
            await screen.press("3")
            await screen.until(lambda: "What is to be done" not in screen.text)
            seen.append(screen.text)
            for text in seen:
                assert not [sign for sign in text if not sign.isprintable() and sign != "\n"]

    house.run("rone", title=evil)
    named: dict[str, Any] = {"title": evil, "body": house.door.blobs.put(evil.encode("utf-8", "replace"))}
    house.asks("rone", **named)
    house.asks("rone", kind="answer", options=(evil,), **named)
    asyncio.run(look())


@pytest.mark.parametrize(("columns", "beside"), [(80, False), (200, True)])
def test_the_work_stands_beside_the_conversation_where_there_is_room(
    house: House, attach: Attach, columns: int, *, beside: bool
) -> None:
    async def look() -> None:
        async with attach("rone", size=(columns, 30)) as screen:
            await screen.shows("queued: Mend the cart", "s: say something", "q Quit")
            assert ("What is to be done" in screen.text) is beside
            await screen.press("2")
            await screen.shows("What is to be done", "None has run yet.")
            assert ("queued: Mend the cart" in screen.text) is beside
            await screen.press("3")
            await screen.shows("Nothing has changed so far.")
            await screen.press("1")
            await screen.shows("queued: Mend the cart")
            assert all(len(line) <= columns for line in screen.lines)

    house.run("rone")
    house.asks("rone")
    asyncio.run(look())


def test_what_a_newer_version_tells_is_named_and_passed_over(house: House, attach: Attach) -> None:
    async def look() -> None:
        async with attach("rone", where="store") as screen:
            await screen.shows("moon_risen: what a newer version tells", "I look.")

    house.run("rone")
    house.tell(type("MoonRisen", (e.Event,), {})(run="rone"))
    del EVENTS["moon_risen"]
    house.tell(*turn("rone", 1))
    asyncio.run(look())
