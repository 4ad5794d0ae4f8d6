"""What people say to an external agent, which nobody can interrupt."""

from __future__ import annotations

from nightmill.agent import TurnRecord
from nightmill.line.record import read_record
from tests.line.external.conftest import ASK, DONE, Play, Stage, touch


def test_what_somebody_says_meanwhile_is_the_next_prompt_and_the_work_is_not_over_before(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            assert isinstance(await stage.turn(), TurnRecord)
            stage.machines.runs.say("r1", "Use cents.", by="Ada <ada@example.org>")
            ended = await stage.turns()
            assert ended.ending is not None
            assert stage.live.state.heard == 1
            first, second = await stage.prompts()
            assert first == "The task."
            assert second.startswith("A person, Ada <ada@example.org>, says")
            assert second.endswith("Use cents.")
        assert [len(read.heard) for read in map(read_record, stage.records)].count(1) == 1

    play(story, ASK, touch("b"), ASK, DONE, ASK, touch("c"), DONE)


def test_what_somebody_says_before_a_pause_ends_is_told_when_it_goes_on(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            assert isinstance(await stage.turn(), TurnRecord)
            stage.live.control.want("pause", "Ada")
            assert await stage.turn() == "pause"
            stage.live.control.said(stage.machines.runs.say("r1", "Use cents.", by="Ada").words)
            stage.live.control.want("run", "Ada")
            await stage.turns()
            told = (await stage.prompts())[-1]
            assert told.startswith("You were interrupted.")
            assert told.endswith("Use cents.")

    play(story, ASK, touch("b"), ASK, touch("c"), ASK, DONE)
