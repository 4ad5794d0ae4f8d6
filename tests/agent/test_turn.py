"""What one reply sets off: tools, guards, endings."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from nightmill import agent, event
from nightmill.errors import SandboxError
from nightmill.model import Text, ToolCall, ToolResult
from nightmill.model.message import Stop
from nightmill.sandbox import Limits
from nightmill.tool import ToolContext
from tests.agent.conftest import Empty, Stage, call, finish, reply

if TYPE_CHECKING:
    from nightmill.sandbox import Workspace


def nudges(stage: Stage) -> list[str]:
    return [told.guard for told in stage.told if isinstance(told, event.AgentNudged)]


def measures(stage: Stage) -> list[str]:
    return [told.measure for told in stage.told if isinstance(told, event.AgentNudged)]


def test_reads_run_side_by_side_and_changes_in_order(stage: Stage) -> None:
    record = stage.turn(
        reply(
            call("look", "1"), call("look", "2"), call("do", "3"), call("look", "4"), call("do", "5"), call("do", "6")
        )
    )

    assert stage.most == 2
    assert stage.log == ["look 1", "look 2", "do 3", "look 4", "do 5", "do 6"]
    assert stage.results() == ["saw 1", "saw 2", "did 3", "saw 4", "did 5", "did 6"]
    assert record.changed
    assert not stage.act(reply(call("look", "1"))).changed


def test_one_call_begins_before_what_else_is_ready_to_run(stage: Stage) -> None:
    async def among_others() -> None:
        asyncio.get_running_loop().call_soon(stage.log.append, "another")
        context = ToolContext(workspace=cast("Workspace", Empty()), limits=Limits())
        told = agent.Told(run="r1", emit=stage.told.append, clock=lambda: 0.0)
        said = reply(call("do", "1"), call("do", "2"))
        await agent.act(stage.brief, stage.state, said, tools=stage.tools, context=context, told=told)
        await asyncio.sleep(0)

    asyncio.run(among_others())

    assert stage.log == ["do 1", "do 2", "another"]


def test_each_call_is_told_from_its_beginning_to_its_end(stage: Stage) -> None:
    stage.turn(reply(call("look", "a"), call("do", "wrong"), call("nothing")))
    begun = [told.call for told in stage.told if isinstance(told, event.ToolStarted)]
    ended = {told.call: told for told in stage.told if isinstance(told, event.ToolFinished)}

    assert begun == ["look-a", "do-wrong", "nothing-"] == list(ended)
    assert [each.ok for each in ended.values()] == [True, False, False]
    assert ended["nothing-"].label.startswith("there is no tool 'nothing'")


def test_a_wrong_call_is_a_result_that_says_so(stage: Stage) -> None:
    stage.turn(reply(call("do", "wrong"), call("nothing"), call("do", "right")))
    results = [part for part in stage.state.messages[-1].parts if part.kind == "tool_result"]

    assert [(part.error, part.text.split(";")[0]) for part in results] == [  # type: ignore[union-attr]
        (True, "it cannot be done"),
        (True, "there is no tool 'nothing'"),
        (False, "did right"),
    ]


def test_nothing_runs_after_finish(stage: Stage) -> None:
    record = stage.turn(reply(call("do", "1"), finish(), call("do", "2"), call("look", "3"), finish("f2")))

    assert stage.log == ["do 1"]
    assert stage.results()[2:] == ["not run: nothing is run after finish"] * 3
    assert record.ending is not None
    assert (record.ending.kind, record.ending.text) == ("finished", "Done it.")


def test_a_finish_that_cannot_be_read_finishes_nothing(stage: Stage) -> None:
    bad = call("finish", "x")

    assert stage.turn(reply(bad, call("do", "on"))).ending is None
    assert stage.log == ["do on"]


@pytest.mark.parametrize(("stop", "guard"), [("length", "cut_off"), ("refused", "refusal")])
def test_calls_of_a_reply_that_did_not_end_well_are_not_run(stage: Stage, stop: Stop, guard: str) -> None:
    """The last may be cut off anywhere and still be JSON: a deletion of half a path."""
    record = stage.turn(reply("I", call("do", "1"), finish(), stop=stop))

    assert stage.log == []
    assert record.ending is None
    assert record.guards == (guard,)
    *results, nudge = stage.state.messages[-1].parts
    assert all(part.kind == "tool_result" and part.error and part.text.startswith("not run") for part in results)
    assert isinstance(nudge, Text)
    assert stage.state.idle == 1


@pytest.mark.parametrize(
    ("said", "stop", "guard", "kind"),
    [
        ("I would now edit.", "end", "monologue", "stuck"),
        ("", "end", "empty", "stuck"),
        ("I cannot.", "refused", "refusal", "refused"),
        ("…", "length", "cut_off", "stuck"),
    ],
)
def test_an_agent_that_does_nothing_is_nudged_and_then_stuck(
    stage: Stage, said: str, stop: Stop, guard: str, kind: str
) -> None:
    parts = [said] if said else []
    for _ in range(3):
        assert stage.turn(reply(*parts, stop=stop)).ending is None
    ending = stage.turn(reply(*parts, stop=stop)).ending

    assert nudges(stage) == [guard] * 4
    assert measures(stage) == ["nudge", "firmer", "fresh", "stop"]
    assert ending is not None
    assert ending.kind == kind
    assert said in ending.text


def test_what_is_new_forgives_in_time_and_what_is_gained_at_once(stage: Stage) -> None:
    for _ in range(2):
        stage.turn(reply("words"))
    for number in range(7):
        stage.turn(reply(call("look", f"{number}")))
    assert stage.state.strikes == {"monologue": 2}
    stage.turn(reply(call("look", "7")))
    assert stage.state.strikes == {"monologue": 1}
    items = '{"items": [{"text": "a", "state": "done"}]}'
    stage.turn(reply(ToolCall(id="t", name="update_todo", arguments=items)))
    assert stage.state.strikes == {}


def test_a_provider_that_pauses_is_asked_again_without_a_word(stage: Stage) -> None:
    for count in range(1, 4):
        assert stage.turn(reply("so far", stop="again")).ending is None
        assert stage.state.messages[-1].role == "assistant"
        assert stage.state.idle == count
    assert nudges(stage) == []
    for _ in range(3):
        assert stage.turn(reply("so far", stop="again")).ending is None
    assert stage.turn(reply("so far", stop="again")).ending is not None, "it is not asked for ever"


def test_a_call_whose_result_changes_is_no_loop(stage: Stage) -> None:
    async def count(_: str) -> str:
        stage.log.append("x")
        return str(len(stage.log))

    stage.tools.tools["look"].does = count  # type: ignore[attr-defined]
    for number in range(20):
        assert not stage.turn(reply(call("look", "a", id=f"c{number}"))).guards


def test_a_finish_counts_also_when_a_guard_speaks(stage: Stage) -> None:
    record = stage.turn(reply(*(call("look", "a", id=f"c{n}") for n in range(7)), finish()))
    assert record.ending is not None
    assert record.ending.kind == "finished"


def test_what_the_system_says_stands_last_and_the_agent_goes_on(stage: Stage) -> None:
    stage.turn(reply(call("do", "1"), finish()))
    stage.send_back("The checks failed.")

    assert stage.state.ending is None
    assert stage.results() == ["did 1", "noted; the checks run now", "The checks failed."]
    assert [message.role for message in stage.state.messages] == ["assistant", "user"]
    digest = stage.state.digest
    stage.send_back("And again.")
    assert stage.state.digest != digest
    stage.turn(reply("so far", stop="again"))
    stage.send_back("After words.")
    assert [message.role for message in stage.state.messages][-2:] == ["assistant", "user"]


def test_a_list_is_kept_until_the_next(stage: Stage) -> None:
    items = '{"items": [{"text": "a", "state": "doing"}, {"text": "b"}]}'
    stage.turn(reply(ToolCall(id="t", name="update_todo", arguments=items)))
    stage.turn(reply(call("look", "a")))

    assert [(todo.text, todo.state) for todo in stage.state.todo] == [("a", "doing"), ("b", "pending")]
    assert len([told for told in stage.told if isinstance(told, event.TodoChanged)]) == 1


def test_a_sandbox_that_fails_ends_the_turn_and_leaves_nothing_running(stage: Stage) -> None:
    async def fail(word: str) -> str:
        if word == "b":
            raise SandboxError("gone")
        for _ in range(50):
            await asyncio.sleep(0)
        stage.log.append("ended")
        return ""

    stage.tools.tools["look"].does = fail  # type: ignore[attr-defined]
    with pytest.raises(SandboxError, match="gone"):
        stage.act(reply(call("look", "a"), call("look", "b"), call("look", "c")))
    assert stage.log == ["ended", "ended"]


def test_a_flood_of_calls_is_cut_and_each_has_its_result(stage: Stage) -> None:
    stage.turn(reply(*(call("look", str(number)) for number in range(50))))

    assert len(stage.log) == 32
    assert stage.most == 8, "only so many go at once"
    assert len(stage.results()) >= 50
    assert "not run: 32 calls in one reply are the most" in stage.results()


@pytest.mark.parametrize("name", ["do", "Do", "do_tool"])
def test_a_tool_that_the_role_does_not_have_is_not_run_whatever_the_model_says(stage: Stage, name: str) -> None:
    stage.tools = stage.tools.only(["look"])
    record = stage.act(reply(call(name, "harm"), call("look", "a"), finish()))

    results = [part for part in record.messages[1].parts if isinstance(part, ToolResult)]
    assert stage.log == ["look a"]
    assert [schema.name for schema in stage.tools.schemas] == ["look", "update_todo", "finish"]
    assert results[0].error
    assert results[0].text.startswith("your role does not have do; it has: look, update_todo, finish; nothing was run")
    ended = [told for told in stage.told if isinstance(told, event.ToolFinished)]
    assert [(told.withheld, told.ok) for told in ended] == [(True, False), (False, True), (False, True)]
