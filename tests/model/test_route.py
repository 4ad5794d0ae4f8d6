"""A list of models: who answers, who is tried again, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from nightmill.errors import LimitReached, ModelRefused, ModelUnavailable, NightmillError, NotYet, SettingsError
from nightmill.model import Message, Text, Thinking, ToolCall
from nightmill.model.anthropic import Anthropic
from nightmill.model.history import own, signed
from nightmill.model.message import ModelRequest, ToolResult
from nightmill.model.route import LONGEST, Choice, Circuits, Route, choices

A, B, C = (Choice(f"anthropic:{name}", "") for name in "abc")
DOWN = ModelUnavailable("a is down")


@dataclass
class Providers:
    """Models that fail as *broken* says; *asked* are those that were."""

    models: tuple[Choice, ...] = (A, B, C)
    broken: dict[Choice, NightmillError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    now: float = 100.0

    def __post_init__(self) -> None:
        self.circuits = Circuits(clock=lambda: self.now, first=60.0)

    def ask(self, *, start: int = 0) -> str:
        """Who answers, as a letter."""
        for trial in Route(self.models, self.circuits).trials(start=start):
            with trial:
                self.asked.append(trial.choice.name[-1])
                if (error := self.broken.get(trial.choice)) is not None:
                    raise error
                return trial.choice.name[-1]
        raise AssertionError

    def asked_by(self, number: int) -> str:
        """Who was asked in the course of *number* questions."""
        self.asked.clear()
        for _ in range(number):
            self.ask()
        return "".join(self.asked)


def test_the_next_in_the_list_answers_the_same_question() -> None:
    world = Providers(broken={A: DOWN, B: ModelRefused("no such model", whole=True)})

    assert world.ask() == "c"
    assert world.asked == ["a", "b", "c"]


def test_a_model_that_is_down_is_passed_over_until_its_time_and_then_tried_by_one() -> None:
    world = Providers(broken={A: DOWN})
    assert world.asked_by(5) == "abbbbb"

    world.now += 59.9
    assert world.asked_by(2) == "bb"
    world.now += 0.1
    assert world.asked_by(3) == "abbb", "one tried it, and the wait is longer now"
    world.now += 119.9
    assert world.asked_by(1) == "b"
    world.now += 0.1
    del world.broken[A]
    assert world.asked_by(3) == "aaa", "it is first again"


def test_only_one_call_at_a_time_tries_a_model_that_was_down() -> None:
    world = Providers(broken={A: DOWN})
    world.ask()
    world.now += 60
    trials = Route(world.models, world.circuits).trials()
    trial = next(trials)
    with trial:
        assert trial.choice == A
        assert world.ask() == "b", "another run meanwhile"


def test_calls_that_were_under_way_together_count_as_one_failure() -> None:
    world = Providers(broken={A: DOWN})
    under_way = [next(Route(world.models, world.circuits).trials()) for _ in range(50)]
    for trial in under_way:
        trial.__enter__()
    world.now += 1
    for trial in under_way:
        trial.__exit__(ModelUnavailable, DOWN, None)

    assert world.circuits.of(A).until == world.now + 60


def test_what_the_provider_asks_to_wait_is_waited() -> None:
    world = Providers(broken={A: ModelUnavailable("busy", retry_after=5000.0)})
    world.ask()

    assert world.circuits.of(A).until == world.now + 5000


def test_when_all_are_down_the_run_waits_for_the_first_that_may_be_up() -> None:
    world = Providers(
        broken={A: DOWN, B: ModelUnavailable("b is busy", retry_after=90.0), C: NotYet("c waits", seconds=30.0)}
    )
    with pytest.raises(NotYet) as caught:
        world.ask()

    assert caught.value.seconds == 30
    assert all(name in caught.value.message for name in ("a is down", "b is busy", "c waits"))
    with pytest.raises(NotYet) as again:
        world.ask()
    assert again.value.seconds == 30
    assert world.asked == ["a", "b", "c"], "nobody was asked again for nothing"


def test_when_all_refuse_the_first_says_why() -> None:
    refused = [ModelRefused("bad key", whole=True), SettingsError("no key"), ModelRefused("no model", whole=True)]
    world = Providers(broken=dict(zip((A, B, C), refused, strict=True)))

    with pytest.raises(ModelRefused, match="bad key"):
        world.ask()


@pytest.mark.parametrize("error", [ModelRefused("too long"), LimitReached("no money")])
def test_what_no_other_model_can_mend_ends_the_question(error: NightmillError) -> None:
    world = Providers(broken={A: error})

    with pytest.raises(type(error)):
        world.ask()
    assert world.asked == ["a"]
    assert world.circuits.of(A).wait(world.now) == 0


@pytest.mark.parametrize("error", [DOWN, NotYet("later", seconds=5), ModelRefused("bad key", whole=True)])
def test_a_model_that_is_alone_is_asked_each_time_and_its_own_error_is_told(error: NightmillError) -> None:
    world = Providers(models=(A,), broken={A: error})

    for _ in range(3):
        with pytest.raises(type(error)):
            world.ask()
    assert world.asked == ["a"] * 3


def test_a_question_can_begin_at_another_model() -> None:
    world = Providers()

    assert [world.ask(start=start) for start in (0, 1, 2, 9)] == ["a", "b", "c", "c"]
    world.broken = {B: DOWN, C: DOWN}
    assert world.ask(start=1) == "a", "those before it come last"


def test_a_refusal_of_every_request_is_looked_at_again_some_day() -> None:
    world = Providers(broken={A: ModelRefused("no credit", whole=True)})
    world.ask()
    world.now += LONGEST
    del world.broken[A]

    assert world.ask() == "a"


def test_names_become_models_at_addresses() -> None:
    names = ("openai:m", "openai-responses:n", "anthropic:c@2026", "openai:x@http://10.0.0.1/v1", "openai:m", "")

    assert choices(names, base_url="http://mine", owner="openai:m") == (
        ("openai:m", "http://mine"),
        ("openai-responses:n", "http://mine"),
        ("anthropic:c@2026", ""),
        ("openai:x", "http://10.0.0.1/v1"),
    )


CALL = ToolCall(id="1", name="bash", arguments="{}")
THOUGHT = Thinking(text="hm", opaque={"anthropic": {"type": "thinking", "thinking": "hm", "signature": "s"}})


def history(by: str) -> tuple[Message, ...]:
    """A question, a thoughtful call of the model *by*, and its result."""
    return (
        Message(role="user", parts=(Text(text="go"),)),
        Message(role="assistant", parts=signed((THOUGHT, CALL), by=by)),
        Message(role="user", parts=(ToolResult(call="1", name="bash", text="ok"),)),
    )


def test_a_model_is_not_shown_the_reasoning_of_another_of_its_dialect() -> None:
    kept, dropped = (own(history(by), by="anthropic:a")[1].parts for by in ("anthropic:a", "anthropic:b"))

    assert kept[0] == Thinking(text="hm", opaque={**THOUGHT.opaque, "by": "anthropic:a"})
    assert dropped == (CALL,)


def test_who_takes_over_a_call_does_not_think_before_its_result() -> None:
    def body(by: str) -> dict[str, Any]:
        messages = own(history(by), by="anthropic:a")
        return Anthropic().body(ModelRequest(model="a", system=(), messages=messages, thinking=2048))

    assert "thinking" in body("anthropic:a")
    assert "thinking" not in body("anthropic:b")
