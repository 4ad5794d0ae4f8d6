"""Who answers an external agent: the gate of the key, the fallbacks, a translation; and what is kept of what it asked."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from nightmill import event
from nightmill.errors import ModelUnavailable, NotYet
from nightmill.line.answering import HELD, Way
from nightmill.line.replay import requests
from nightmill.model.passing import Given
from tests.line.external.conftest import ASK, DONE, Play, Stage, touch
from tests.line.external.provider import Provider

HAIKU = "anthropic:claude-haiku-4-5"
FINE = {"turns": [{"text": "hello from haiku", "usage": {"input_tokens": 1000, "output_tokens": 100}}]}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}


def test_a_fallback_in_another_dialect_answers_in_the_agents(play: Play, scripted: Any) -> None:
    well = scripted(FINE)

    async def story(stage: Stage) -> None:
        stage.assignment = replace(stage.assignment, fallbacks=(f"{HAIKU}@{well.url}",))
        async with stage.life():
            ended = await stage.turns()
            assert ended.ending is not None
            assert "hello from haiku" in ended.ending.text
            assert "chat.completion.chunk" in ended.ending.text
            assert (ended.reply.usage.input, ended.reply.usage.output) == (1000, 100)
            assert ended.reply.cost is not None
        (switched,) = stage.told(event.ModelSwitched)
        assert (switched.model, switched.before) == (HAIKU, "openai:gpt-4o")
        assert "503" in switched.reason

    provider = Provider(faults=[503])
    play(story, {"ask": {"tell": True}}, {"stop": "end_turn"}, provider=provider, settings={"retries": 0})


def test_what_no_other_dialect_can_be_told_waits_for_its_own_model(play: Play, scripted: Any) -> None:
    well = scripted(FINE)

    async def story(stage: Stage) -> None:
        stage.assignment = replace(stage.assignment, fallbacks=(f"{HAIKU}@{well.url}",))
        async with stage.life():
            assert isinstance(await stage.turn(), ModelUnavailable)
            ended = await stage.turns()
            assert ended.ending is not None
        assert len(stage.provider.asked) == 2
        assert well.log() == []

    more = {"more": {"messages": [{"role": "user", "content": [IMAGE]}]}}
    play(story, {"ask": more}, DONE, provider=Provider(faults=[503]), settings={"retries": 0})


def test_what_nobody_of_the_list_can_be_told_is_refused_and_says_why(play: Play, scripted: Any) -> None:
    async def story(stage: Stage) -> None:
        stage.assignment = replace(stage.assignment, model=HAIKU, base_url=scripted(FINE).url)
        async with stage.life():
            ended = await stage.turns()
            assert ended.ending is not None
            assert f"{HAIKU} cannot be asked this in 'chat'" in ended.ending.text
            assert "image_url" in ended.ending.text

    ask = {"ask": {"more": {"messages": [{"role": "user", "content": [IMAGE]}]}, "tell": True}}
    play(story, ask, {"stop": "end_turn"})


def test_a_refusal_for_the_rate_closes_the_gate_for_all_runs(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.life():
            found = await stage.turn()
            assert isinstance(found, ModelUnavailable | NotYet), found
        await stage.machines.gates.do(lambda: None)  # what is to be written is written
        ((name, row, now),) = stage.machines.gates.rows.all()
        assert name.startswith("openai at http://127.0.0.1:")
        assert row["closed"] > now - 60
        assert len(stage.provider.asked) == 1

    play(story, ASK, DONE, provider=Provider(faults=[429]), settings={"retries": 0})


def test_each_request_is_rebuilt_from_what_was_kept_of_it(play: Play, scripted: Any) -> None:
    well = scripted(FINE)

    async def story(stage: Stage) -> None:
        stage.assignment = replace(stage.assignment, fallbacks=(f"{HAIKU}@{well.url}",))
        async with stage.life():
            await stage.turns()
        ledger: Any = stage.machines.ledger
        await ledger._ledger.flush()
        found = list(requests("r1", assignment=stage.assignment, ledger=ledger._ledger, blobs=stage.machines.blobs))
        assert [(each.turn, each.role, each.model) for each in found] == [
            (1, "call 1", "openai:gpt-4o"),
            (2, "call 2", "openai:gpt-4o"),
            (2, "call 3", HAIKU),
        ]
        assert all(each.same for each in found)
        assert [json.loads(each.body) for each in found[:2]] == stage.provider.asked
        assert found[0].shares[0].name == "messages"

    provider = Provider(faults=[None, 503])
    play(story, ASK, touch("b"), ASK, DONE, provider=provider, settings={"retries": 0})


class Kept:
    """Where an answer goes."""

    def __init__(self) -> None:
        self.status, self.body = 0, b""

    async def begin(self, status: int, headers: Any) -> None:
        assert headers["content-type"] == "text/event-stream"
        self.status += status

    async def write(self, piece: bytes) -> None:
        self.body += piece


def test_an_answer_that_takes_long_goes_out_as_it_comes_once_its_turn_is_kept() -> None:
    async def story() -> None:
        out, free, now = Kept(), asyncio.Event(), [0.0]
        way = Way(out, free, lambda: now[0])
        pieces = [b"one "]
        await way.more("text/event-stream", pieces)
        now[0] = HELD + 1
        pieces.append(b"two ")
        await way.more("text/event-stream", pieces)
        assert (out.body, way.begun) == (b"", False), "the turn before has no checkpoint yet"
        free.set()
        pieces.append(b"three ")
        await way.more("text/event-stream", pieces)
        assert (out.body, way.begun) == (b"one two three ", True)
        await way.end(Given(status=200, kind="text/event-stream", body=b"one two three four"))
        assert (out.status, out.body) == (200, b"one two three four")

    asyncio.run(story())
