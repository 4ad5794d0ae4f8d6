"""Whatever a model does, its work ends: a grammar of misbehaviour, played in any order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nightmill.model import ModelReply, ToolCall
from tests.agent.conftest import BRIEF, Stage, call, finish, replace, reply

BOUND = 100
"""Turns after which a run that does nothing but misbehave has ended."""
CHANT = "I will now look at the file again and then I will decide. " * 30
KINDS = (
    "words",
    "empty",
    "cut",
    "refused",
    "paused",
    "chant",
    "unknown",
    "wrong",
    "broken",
    "same",
    "two",
    "clock",
    "grow",
)


def bad(kind: str, number: int) -> ModelReply:
    """A reply of which nothing good comes."""
    replies = {
        "words": reply(f"I would now do step {number}."),
        "empty": reply(),
        "cut": reply("I", call("do", f"{number}"), stop="length"),
        "refused": reply("I cannot.", stop="refused"),
        "paused": reply("so far", stop="again"),
        "chant": reply(CHANT, call("look", "x", id=f"x{number}")),
        "unknown": reply(call(f"tool_{number}", "a")),
        "wrong": reply(call("do", "wrong", id=f"w{number}")),
        "broken": reply(ToolCall(id=f"b{number}", name="do", arguments=f'{{"word": "{number}')),
        "same": reply(call("look", "same", id=f"s{number}")),
        "two": reply(call("look", "ab"[number % 2], id=f"t{number}")),
        "clock": reply(call("clock", "now", id=f"c{number}")),
        "grow": reply(call("pour", "more", id=f"g{number}")),
    }
    return replies[kind]


def stage(*, others: int = 0) -> Stage:
    made = Stage(brief=replace(BRIEF, tag="[system 1]", objective="Mend it.", others=others))

    async def clock(_: str) -> str:
        made.log.append("tick")
        return f"waiting (pid {4000 + len(made.log)}) at 12:00:{len(made.log) % 60:02}, took {len(made.log)}.5 s"

    async def pour(_: str) -> str:
        made.log.append("drop")
        return "x" * 1000 * (8 + len(made.log))

    look = made.tools.tools["look"]
    more = [type(look)("clock", clock, reads=True), type(look)("pour", pour, reads=True)]  # type: ignore[call-arg]
    made.tools = type(made.tools)((*made.tools.tools.values(), *more))
    return made


def turns(acting: Stage, kinds: list[str]) -> int:
    """How many turns of *kinds*, over and over, it takes until the work ends."""
    for number in range(BOUND):
        acting.turn(bad(kinds[number % len(kinds)], number))
        if acting.state.ending is not None:
            assert acting.state.ending.kind in {"stuck", "refused"}
            assert acting.state.ending.text
            return number + 1
    raise AssertionError(f"it goes on after {BOUND} turns: {acting.state.strikes}")


@settings(max_examples=150)
@given(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=BOUND), others=st.integers(0, 2))
def test_a_model_that_does_nothing_but_misbehave_is_stopped(kinds: list[str], others: int) -> None:
    turns(stage(others=others), kinds)


def test_each_misbehaviour_alone_ends_within_a_dozen_turns_and_names_itself() -> None:
    for kind in KINDS:
        acting = stage()
        assert turns(acting, [kind]) <= 18, kind


@settings(max_examples=80)
@given(
    lacks=st.lists(st.sampled_from(["todo", "evidence", "nothing"]), max_size=3),
    rounds=st.integers(0, 3),
)
def test_a_finish_is_refused_a_few_times_at_most(lacks: list[str], rounds: int) -> None:
    acting = stage()
    acting.brief = replace(acting.brief, criteria=("AC1",) if "evidence" in lacks else (), checks=("make check",))
    if "todo" in lacks:
        items = '{"items": [{"text": "a"}]}'
        acting.turn(reply(ToolCall(id="t", name="update_todo", arguments=items)))
    for _ in range(rounds + 1):
        for number in range(4):
            if acting.turn(reply(finish(f"f{number}"))).ending:
                break
        assert acting.state.ending is not None
        assert acting.state.ending.kind == "finished"
        acting.send_back("Not yet.")
