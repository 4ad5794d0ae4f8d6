"""A question of a run: which model answers, who pays, and what is left when a worker dies in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from nightmill import event
from nightmill.errors import LimitReached, NightmillError, NotYet
from nightmill.line import brief as briefs
from nightmill.line.asking import Asking, Question
from nightmill.line.assignment import models
from nightmill.line.journal import Journal
from nightmill.model import Message, ModelReply, ModelRequest, Text, Usage
from nightmill.model.connect import client
from nightmill.policy import Spent
from nightmill.store.accounts import Bound, Call, Offer
from tests.line.conftest import World

HAIKU, GPT = "anthropic:claude-haiku-4-5", "openai:gpt-4o"
PAID = ModelReply(parts=(), stop="end", usage=Usage(input=70, output=30), model="m", cost=0.25, by="anthropic:m")
BUSY = {"turns": [{"text": "hi", "fault": {"kind": "overloaded", "times": "always"}}]}
FINE = {"turns": [{"text": "hi", "usage": {"input_tokens": 1000, "output_tokens": 100}}]}


def question(key: str = "k", **changes: Any) -> Question:
    request = ModelRequest(
        model="m", system=(), messages=(Message(role="user", parts=(Text(text="go"),)),), max_tokens=2000
    )
    made = Question(key=key, turn=1, request=request, size=500, spent=Spent())
    return replace(made, **changes)


@dataclass
class Asker:
    """One run that may ask, and its world."""

    world: World
    changes: dict[str, Any]

    def ask(self, *stories: Callable[[Asking], Awaitable[Any]], **settings: Any) -> list[Any]:
        """What each of *stories* gave, each in a process of its own as far as the run can tell."""

        async def all_of_them() -> list[Any]:
            made = replace(self.world.machines.settings, retries=0, **settings)
            async with client(made) as http:
                machines = replace(
                    self.world.machines, settings=made, client=http, keys={"anthropic": "a", "openai": "b"}
                )
                return [await story(self.asking(machines)) for story in stories]

        return asyncio.run(all_of_them())

    def asking(self, machines: Any) -> Asking:
        return Asking(
            run="r1",
            role=briefs.role("developer", self.world.assignment()),
            machines=machines,
            assignment=self.world.assignment(**self.changes),
            journal=Journal(self.world.machines.folder("r1") / "replies"),
        )


async def reply(asking: Asking) -> ModelReply:
    return await asking.reply(question())


def fails(kind: type[NightmillError]) -> Callable[[Asking], Awaitable[Any]]:
    async def story(asking: Asking) -> NightmillError:
        with pytest.raises(kind) as caught:
            await asking.reply(question())
        return caught.value

    return story


def test_the_fallback_answers_is_told_is_paid_and_is_found_again(world: World, scripted: Any) -> None:
    down, well = scripted(BUSY), scripted(FINE)
    asker = Asker(world, {"model": HAIKU, "base_url": down.url, "fallbacks": (f"{GPT}@{well.url}/v1",)})

    async def again(asking: Asking) -> ModelReply | None:
        return await asking.find("k")

    first, found, second, day = asker.ask(reply, again, reply, settled)

    assert (first.by, first.text, first.cost) == (GPT, "hi", pytest.approx(0.0035))
    assert found == first, "the fingerprint says nothing of who answered"
    assert len(down.log(at_least=1)) == 1, "it is not asked again before its time"
    told = [each for each in world.told() if isinstance(each, event.ModelSwitched | event.TurnStarted)]
    assert [each.model for each in told] == [HAIKU, GPT, GPT, GPT, GPT]
    switched = told[1]
    assert isinstance(switched, event.ModelSwitched)
    assert switched.before == HAIKU
    assert "529" in switched.reason
    assert second.by == GPT
    assert day.money == 2 * 3500


def test_a_reply_is_heard_before_it_is_whole(world: World, scripted: Any) -> None:
    heard: list[object] = []

    async def story(asking: Asking) -> ModelReply:
        asking.heard = lambda *said: heard.append(said)
        answer = await reply(asking)
        heard.append(answer.text)
        return answer

    Asker(world, {"model": HAIKU, "base_url": scripted(FINE).url}).ask(story)

    assert heard[0] == ("text", "hi"[: len(heard[0][1])])  # type: ignore[index]
    assert heard[-1] == "hi"
    assert len(heard) > 1


def test_a_guard_can_ask_for_another_model(world: World, scripted: Any) -> None:
    well = scripted(FINE)
    asker = Asker(world, {"model": HAIKU, "base_url": well.url, "fallbacks": ("anthropic:claude-opus-4-1",)})

    async def another(asking: Asking) -> ModelReply:
        return await asking.reply(question(start=1))

    first, second = asker.ask(reply, another)
    assert [first.by, second.by] == [HAIKU, "anthropic:claude-opus-4-1"]


def test_cheap_steps_go_to_the_small_model_first(world: World) -> None:
    assignment = world.assignment(model=GPT, fallbacks=(HAIKU,), small="openai:gpt-4o-mini")
    role = briefs.role("developer", assignment)

    assert [each.name for each in models(assignment, role)] == [GPT, HAIKU]
    assert [each.name for each in models(assignment, role, cheap=True)] == ["openai:gpt-4o-mini", GPT, HAIKU]
    own = replace(role, model="anthropic:claude-opus-4-1", fallbacks=(GPT,))
    assert [each.name for each in models(assignment, own)] == ["anthropic:claude-opus-4-1", GPT]
    assert [each.name for each in models(assignment, replace(own, fallbacks=()))] == ["anthropic:claude-opus-4-1"]


def test_a_full_day_lets_a_run_wait_and_a_full_spec_ends_it(world: World, scripted: Any) -> None:
    asker = Asker(world, {"model": GPT, "base_url": scripted(FINE).url})
    accounts = world.machines.purse.accounts
    spent = Call(id="r9/x", run="r9", worker="w", project="p", spec="r1")
    accounts.reserve(spent, bounds=(), offers=[Offer(reply=1, money=1, tokens=1)])
    accounts.settle(spent.id, money=990_000, tokens=1)

    (day,) = asker.ask(fails(NotYet), budget_day_money=1.0)
    assert 0 < day.seconds <= 86_400
    assert "for this day (UTC)" in day.message

    asker.changes["budget"] = replace(world.assignment().budget, spec_money=1.0)
    spec, standing = asker.ask(fails(LimitReached), settled)
    assert (spec.limit, "budget_spec_money" in spec.hint) == ("money", True)
    assert standing.held_money == 0


def test_what_calls_under_way_hold_is_waited_for(world: World, scripted: Any) -> None:
    asker = Asker(world, {"model": GPT, "base_url": scripted(FINE).url})
    other = Call(id="r9/x", run="r9", worker="w", project="p", spec="r9")
    world.machines.purse.accounts.reserve(other, bounds=(), offers=[Offer(reply=1, money=990_000, tokens=1)])

    (short,) = asker.ask(fails(NotYet), budget_day_money=1.0)
    assert short.seconds < 60


def test_a_project_has_a_day_of_its_own(world: World, scripted: Any) -> None:
    project = replace(world.project, budget=0.001)
    asker = Asker(world, {"model": GPT, "base_url": scripted(FINE).url, "project": project})

    (short,) = asker.ask(fails(NotYet))
    assert "of its project" in short.message


def test_a_call_that_fails_costs_nothing(world: World, scripted: Any) -> None:
    asker = Asker(world, {"model": GPT, "base_url": scripted(BUSY).url})
    _, standing = asker.ask(fails(NightmillError), settled)

    assert (standing.money, standing.held_money) == (0, 0)


async def settled(asking: Asking) -> Any:
    """How the day stands when the run rests and what was to be written is."""
    asking.rest()
    await asking.machines.purse.written()
    return asking.machines.purse.accounts.standing(scope="day")


@pytest.mark.parametrize("kept", [True, False], ids=["its reply was kept", "its reply was lost"])
def test_what_a_worker_held_that_died_is_settled_or_given_back_once(world: World, kept: bool) -> None:  # noqa: FBT001
    accounts, asker = world.machines.purse.accounts, Asker(world, {})
    held = Call(id="r1/x", run="r1", worker="dead", project=world.project.id, spec="r1")
    accounts.reserve(
        held, bounds=[Bound(scope="day", money=0, tokens=0)], offers=[Offer(reply=1, money=900_000, tokens=500)]
    )
    journal = Journal(world.machines.folder("r1") / "replies")
    journal.keep("before", PAID, by="r1/w")
    if kept:
        journal.keep("k", PAID, by="r1/x")
        journal.keep("l", PAID, by="r1/x")

    async def find(asking: Asking) -> ModelReply | None:
        return await asking.find("k")

    assert asker.ask(find, find) == [PAID if kept else None] * 2
    standing = accounts.standing(scope="day")
    assert (standing.money, standing.tokens) == ((500_000, 200) if kept else (0, 0))
    assert standing.held_money == 0
