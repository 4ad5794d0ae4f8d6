"""What an external agent's calls use: counted from what was seen, never more than the run and all runs may."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from nightmill import event
from nightmill.agent import TurnRecord
from nightmill.errors import LimitReached, NotYet
from nightmill.model import Usage
from tests.line.external.conftest import ASK, DONE, Play, Stage, touch, until
from tests.line.external.provider import Provider


def test_a_reply_in_one_piece_is_counted_too(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            assert (await stage.turns()).reply.usage == Usage(input=100, output=10)

    play(story, {"ask": {"stream": False}}, DONE)


def test_a_reply_that_was_cut_off_is_charged_with_what_was_estimated(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            usage = (await stage.turns()).reply.usage
            assert usage.input > 100
            assert 0 < usage.output < 100
            assert usage.input > 200, "and the second sending with what was counted"
        assert len(stage.told(event.ModelRetried)) == 1

    play(story, {"ask": {"size": 2000}}, DONE, provider=Provider(faults=["cut"]))


@pytest.mark.parametrize(
    ("budget", "limit"),
    [({"tokens": 4_000}, "tokens"), ({"turns": 2}, "turns"), ({"money": 0.02}, "money"), ({"context": 400}, "context")],
)
def test_a_call_that_does_not_fit_is_not_made_and_the_run_stops_with_its_work(
    play: Play, budget: dict[str, Any], limit: str
) -> None:
    size = 1500

    async def story(stage: Stage) -> None:
        async with stage.life():
            found = await stage.turn()
            while isinstance(found, TurnRecord):
                assert found.ending is None
                found = await stage.turn()
            assert isinstance(found, LimitReached)
            assert found.limit == limit
            assert limit == "context" or "b\n" in await stage.sh("ls")
        spent = stage.live.state.usage
        assert spent.input + spent.output <= stage.assignment.budget.tokens
        async with stage.life():  # and a worker that takes it up again finds the same
            found = await stage.turn()
            while isinstance(found, TurnRecord):
                found = await stage.turn()
            assert isinstance(found, LimitReached)

    acts = [each for name in "bcdef" for each in ({"ask": {"size": size}}, touch(name))]
    play(story, *acts, DONE, budget=budget, provider=Provider(given=800, made=200))


def test_what_runs_share_is_reserved_too_and_a_run_that_has_to_wait_goes_on_later(play: Play) -> None:
    async def story(stage: Stage) -> None:
        generous = stage.machines
        stage.machines = replace(generous, settings=replace(generous.settings, budget_day_tokens=3_500))
        async with stage.life():
            found = await stage.turn()
            while isinstance(found, TurnRecord):
                found = await stage.turn()
            assert isinstance(found, NotYet), found
            stage.live.machines = generous
            stage.live._meter = None
            ended = await stage.turns()
            assert ended.ending is not None
            assert ended.ending.kind == "finished"
            assert (await stage.prompts())[1].startswith("You were interrupted")

    acts = [each for name in "bcd" for each in ({"ask": {"size": 1500, "fails": True}}, touch(name))]
    play(story, *acts, DONE, provider=Provider(given=800, made=200))


def test_what_was_spent_stays_counted_when_a_worker_dies(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            await stage.turn()
            waiting = asyncio.ensure_future(stage.live.turn(stage.snapshot))
            await until(lambda: len(stage.provider.asked) == 3)
            waiting.cancel()  # the worker dies while a reply streams that it never hears
            await asyncio.gather(waiting, return_exceptions=True)
        async with stage.life():
            ended = await stage.turns()
            assert ended.ending is not None
        used = stage.live.state.usage
        answered = len(stage.provider.asked) - 1
        assert used.input >= 100 * answered
        assert stage.live.state.priced

    play(story, ASK, touch("b"), ASK, touch("c"), ASK, DONE, provider=Provider(faults=[None, None, "stall"]))
