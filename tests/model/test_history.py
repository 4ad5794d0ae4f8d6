"""What goes out of a conversation that holds what models really say."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from nightmill.model import Message, ModelRequest, Text, Thinking, ToolCall, ToolResult, ToolSchema
from nightmill.model.anthropic import Anthropic
from nightmill.model.chat import Chat
from nightmill.model.dialect import Dialect
from nightmill.model.history import read_object, tidy
from nightmill.model.message import Part
from nightmill.model.responses import Responses


def user(*parts: Part) -> Message:
    return Message(role="user", parts=parts)


def said(*parts: Part) -> Message:
    return Message(role="assistant", parts=parts)


GO = user(Text(text="go"))


def test_empty_replies_and_blank_texts_vanish_and_neighbours_become_one() -> None:
    tidied = tidy([GO, said(), user(Text(text="again")), said(Text(text=" ")), user(Text(text="!"))], dialect="chat")

    assert tidied == [user(Text(text="go"), Text(text="again"), Text(text="!"))]


def test_each_call_has_its_result_first_in_order_and_only_once() -> None:
    one, two = (ToolCall(id=id_, name="a", arguments="{}") for id_ in "12")
    late = ToolResult(call="2", name="a", text="second")
    twin = ToolResult(call="2", name="a", text="twin")
    stray = ToolResult(call="9", name="b", text="stray")

    tidied = tidy([GO, said(one, two), user(Text(text="look"), late, twin, stray)], dialect="chat")

    assert tidied[2].parts[:2] == (ToolResult(call="1", name="a", text="This call was not run.", error=True), late)
    assert [part.text for part in tidied[2].parts[2:] if isinstance(part, Text)] == [
        "look",
        "Result of an earlier call of a:\ntwin",
        "Result of an earlier call of b:\nstray",
    ]


def test_calls_at_the_end_that_were_never_run_are_answered() -> None:
    tidied = tidy([GO, said(ToolCall(id="1", name="a", arguments='{"x'))], dialect="anthropic")

    assert [message.role for message in tidied] == ["user", "assistant", "user"]


def test_broken_arguments_go_out_as_an_empty_object_and_are_quoted_in_the_result() -> None:
    broken = ToolCall(id="1", name="not a name!", arguments="{'command': 'it's', 'x'")
    result = ToolResult(call="1", name="bash", text="not JSON", error=True)

    _, assistant, answer = tidy([GO, said(broken), user(result)], dialect="chat")

    assert assistant.parts == (ToolCall(id="1", name="not_a_name_", arguments="{}"),)
    assert isinstance(answer.parts[0], ToolResult)
    assert "{'command': 'it's', 'x'" in answer.parts[0].text
    assert answer.parts[0].text.endswith("not JSON")


def test_arguments_that_can_be_read_in_one_way_only_go_out_as_that() -> None:
    broken = ToolCall(id="1", name="bash", arguments="{'command': 'ls', }")
    result = ToolResult(call="1", name="bash", text="a.py")

    _, assistant, answer = tidy([GO, said(broken), user(result)], dialect="chat")

    assert assistant.parts == (ToolCall(id="1", name="bash", arguments='{"command": "ls"}'),)
    assert answer.parts == (result,)


@pytest.mark.parametrize("raw", ["", "[1]", '"x"', '{"a": NaN}', '{"a": 1e999}', r'{"a": "\ud800"}', "[" * 100_000])
def test_arguments_that_could_not_be_sent_on_as_an_object_are_none(raw: str) -> None:
    assert read_object(raw) is None


def test_thinking_goes_back_unchanged_to_its_own_dialect_only_and_never_last() -> None:
    opaque = {"type": "thinking", "thinking": "hm", "signature": "s", "new": 1}
    thinking = Thinking(text="hm", opaque={"anthropic": opaque})
    request = ModelRequest(
        model="m",
        system=(),
        messages=(GO, said(thinking, Text(text="a")), GO, said(thinking), GO),
    )

    sent = Anthropic().body(request)["messages"]

    assert sent[1]["content"][0] == opaque
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert "thinking" not in str(Chat(compatible=True).body(request))
    assert "signature" not in str(Responses(compatible=True).body(request))


def test_anthropic_marks_the_last_tool_system_text_and_two_user_messages() -> None:
    tools = tuple(ToolSchema(name=name, description="", parameters={}) for name in "ab")
    turns = [each for number in range(5) for each in (GO, said(Text(text=str(number))))]
    request = ModelRequest(model="m", system=("one", "", "two"), messages=(*turns, GO), tools=tools)

    body = Anthropic().body(request)

    def marked(blocks: list[dict[str, Any]]) -> list[bool]:
        return ["cache_control" in block for block in blocks]

    assert marked(body["tools"]) == [False, True]
    assert marked(body["system"]) == [False, True]
    assert [marked(message["content"])[-1] for message in body["messages"]] == [False] * 8 + [True, False, True]


def test_growing_conversation_keeps_the_bytes_before_it() -> None:
    call = ToolCall(id="1", name="a", arguments='{"x": 1}', opaque={"chat": {"extra_content": {"s": 1}}})
    short = (GO, said(Text(text="hi"), call), user(ToolResult(call="1", name="a", text="ok")))
    longer = (*short, said(), GO, said(Text(text="bye")), GO)

    for dialect, name in ((Chat(compatible=True), "messages"), (Responses(compatible=True), "input")):
        before, after = (
            dialect.body(ModelRequest(model="m", system=("s",), messages=messages))[name]
            for messages in (short, longer)
        )
        assert after[: len(before)] == before


DIALECTS: dict[str, Dialect] = {
    "anthropic": Anthropic(),
    "chat": Chat(compatible=True),
    "openai": Chat(compatible=False),
    "responses": Responses(compatible=True),
}


def conversation(dialect: str, messages: tuple[Message, ...], tail: str) -> str:
    """What is cached of a request, as text, without what may follow: marks, which are no part of it, are taken out."""
    body = DIALECTS[dialect].body(ModelRequest(model="m", system=("s",), messages=messages, tail=tail))
    text = json.dumps(body["input" if dialect == "responses" else "messages"])
    return text.replace(', "cache_control": {"type": "ephemeral"}', "").rstrip('"]}')


@pytest.mark.parametrize("dialect", DIALECTS)
def test_tail_is_the_last_word_and_what_was_before_it_stays_the_same_bytes(dialect: str) -> None:
    turns: list[tuple[Message, ...]] = [(GO,)]
    for number in range(4):
        calls = tuple(ToolCall(id=f"c{number}{each}", name="a", arguments="{}") for each in "xy")
        results = tuple(ToolResult(call=call.id, name="a", text=f"ok {call.id}") for call in calls)
        nudge = (Text(text="look out"),) if number % 2 else ()
        turns.append((*turns[-1], said(Text(text=f"turn {number}"), *calls), user(*results, *nudge)))

    for number, (before, after) in enumerate(itertools.pairwise(turns)):
        bare, first = (conversation(dialect, before, tail) for tail in ("", f"turn {number}: mind the criteria"))
        second = conversation(dialect, after, f"turn {number + 1}: other words")
        assert first.startswith(bare)
        assert first.endswith(f"turn {number}: mind the criteria")
        assert second.startswith(bare)
        assert "mind the criteria" not in second
        assert conversation(dialect, before, " ") == bare


@pytest.mark.parametrize("dialect", DIALECTS)
def test_tail_is_left_out_where_the_model_goes_on_with_what_it_said(dialect: str) -> None:
    paused = (GO, said(Text(text="I was about to")))

    assert conversation(dialect, paused, "mind") == conversation(dialect, paused, "")
    assert conversation(dialect, (), "mind").endswith("mind")


def test_anthropic_marks_stand_before_the_tail_and_are_four_at_most() -> None:
    tools = (ToolSchema(name="a", description="", parameters={}),)
    call = ToolCall(id="1", name="a", arguments="{}")
    messages = (GO, said(call), user(ToolResult(call="1", name="a", text="ok")))
    request = ModelRequest(model="m", system=("s",), messages=messages, tools=tools, tail="mind")

    body = Anthropic().body(request)

    *_, result, tail = body["messages"][-1]["content"]
    assert (result["type"], "cache_control" in result) == ("tool_result", True)
    assert tail == {"type": "text", "text": "mind"}
    assert json.dumps(body).count("cache_control") == 4


def test_budget_of_thinking_stays_within_what_the_provider_takes() -> None:
    def budget(thinking: int, most: int) -> int | None:
        request = ModelRequest(model="m", system=(), messages=(GO,), thinking=thinking, max_tokens=most)
        sent = Anthropic().body(request).get("thinking")
        return sent and sent["budget_tokens"]

    assert [budget(4096, 8192), budget(10, 8192), budget(9000, 8192), budget(4096, 1024), budget(0, 8192)] == [
        4096,
        1024,
        7168,
        None,
        None,
    ]
