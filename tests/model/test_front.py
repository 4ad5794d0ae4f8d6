"""What an agent says and hears in each dialect is what our own adapters of that dialect say and hear."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nightmill.model import Message, ModelReply, ModelRequest, Text, Thinking, ToolCall, ToolResult, ToolSchema, Usage
from nightmill.model.anthropic import Anthropic
from nightmill.model.chat import Chat
from nightmill.model.dialect import Dialect, wire
from nightmill.model.foreign import read_foreign
from nightmill.model.front import FRONTS, Untranslatable
from nightmill.model.gemini import Gemini
from nightmill.model.ollama import Ollama
from nightmill.model.passing import Seen
from nightmill.model.responses import Responses

DIALECTS: dict[str, Dialect] = {
    each.name: each
    for each in (Anthropic(), Chat(compatible=True), Responses(compatible=True), Gemini(model="m"), Ollama())
}
SHAPE = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
REQUEST = ModelRequest(
    model="m",
    system=("You work.",),
    messages=(
        Message(role="user", parts=(Text(text="Make it add. ☃"),)),
        Message(
            role="assistant",
            parts=(
                Text(text="I look."),
                ToolCall(id="call_1", name="bash", arguments='{"command": "cat a"}'),
                ToolCall(id="call_2", name="bash", arguments='{"command": "cat \\"b\\""}'),
            ),
        ),
        Message(
            role="user",
            parts=(
                ToolResult(call="call_1", name="bash", text="one\n"),
                ToolResult(call="call_2", name="bash", text="two\n"),
                Text(text="Go on."),
            ),
        ),
    ),
    tools=(ToolSchema(name="bash", description="Runs it.", parameters=SHAPE),),
    max_tokens=100,
)
REPLY = ModelReply(
    parts=(
        Thinking(text="hm"),
        Text(text="I run it.\u2028 ☃"),
        ToolCall(id="call_1", name="bash", arguments='{"command": "ls -l \\"x\\""}'),
        ToolCall(id="call_2", name="edit", arguments="{}"),
    ),
    stop="tools",
    usage=Usage(input=1000, cache_read=400, output=50),
    model="m",
    id="r1",
)


def asked(name: str, request: ModelRequest) -> dict[str, Any]:
    """What an agent that speaks the dialect *name* sends: its body, as far as the filter lets it through."""
    return read_foreign(wire(DIALECTS[name], request), dialect=name, streams=True).body


@pytest.mark.parametrize("name", DIALECTS)
def test_what_is_asked_is_understood(name: str) -> None:
    found = FRONTS[name].read(asked(name, REQUEST))
    assert found.system == REQUEST.system
    assert found.tools == REQUEST.tools
    merged: list[Message] = []
    for message in found.messages:
        if merged and merged[-1].role == message.role:
            merged[-1] = replace(message, parts=(*merged[-1].parts, *message.parts))
        else:
            merged.append(message)
    assert tuple(merged) == REQUEST.messages


@pytest.mark.parametrize("other", DIALECTS)
@pytest.mark.parametrize("name", DIALECTS)
def test_a_translation_into_any_dialect_says_the_same(name: str, other: str) -> None:
    found = FRONTS[name].read(asked(name, REQUEST))
    ours, theirs = (DIALECTS[other].body(replace(each, model="m", max_tokens=100)) for each in (REQUEST, found))
    assert json.dumps(theirs) == json.dumps(ours)


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("stop", ["tools", "end", "length"])
@pytest.mark.parametrize("name", DIALECTS)
def test_what_is_answered_is_understood_and_counted(name: str, stop: Any, streams: bool) -> None:  # noqa: FBT001
    parts = REPLY.parts if stop == "tools" else REPLY.parts[:2]
    kind, body = FRONTS[name].write(replace(REPLY, parts=parts, stop=stop), asked(name, REQUEST), streams=streams)
    reading, seen = DIALECTS[name].reading(), Seen(lambda: 0.0)
    seen.begin(reading)
    if streams:
        for at in range(0, len(body), 7):
            seen.take(body[at : at + 7])
        seen.end()
    else:
        assert kind == "application/json"
        seen.take_whole(body)
    found = reading.reply()
    assert reading.complete
    cached = REPLY.usage.cache_read if name != "ollama" else 0  # it has no word for it
    assert replace(found.usage, reasoning=0) == Usage(input=1000, cache_read=cached, output=50)
    if streams:
        assert found.stop == stop
        assert found.text == REPLY.text
        told = [(call.name, json.loads(call.arguments)) for call in found.calls]
        assert told == [(part.name, json.loads(part.arguments)) for part in parts if isinstance(part, ToolCall)]
        assert name == "ollama" or [call.id for call in found.calls] == [
            part.id for part in parts if isinstance(part, ToolCall)
        ]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("anthropic", {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64"}}]}]}),
        ("anthropic", {"messages": [], "tools": [{"type": "bash_20250124", "name": "bash"}]}),
        ("chat", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
        ("responses", {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}),
        ("responses", {"input": [], "tools": [{"type": "local_shell"}]}),
        ("gemini", {"contents": [{"role": "user", "parts": [{"inlineData": {}}]}]}),
        ("ollama", {"messages": [{"role": "user", "content": "x", "images": ["aGk="]}]}),
    ],
)
def test_what_cannot_be_translated_says_so(name: str, body: dict[str, Any]) -> None:
    with pytest.raises(Untranslatable):
        FRONTS[name].read(body)


def test_a_call_in_free_text_goes_through_a_parameter_and_comes_back_as_text() -> None:
    tool = {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "definition": "start: x"}}
    call = {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "*** Begin"}
    result = {"type": "custom_tool_call_output", "call_id": "c", "output": "Done"}
    body = {"input": [{"role": "user", "content": "go"}, call, result], "tools": [tool]}
    found = FRONTS["responses"].read(body)
    assert found.messages[1].parts == (ToolCall(id="c", name="apply_patch", arguments='{"input": "*** Begin"}'),)
    assert "start: x" in found.tools[0].description

    parts = (ToolCall(id="d", name="apply_patch", arguments='{"input": "*** End"}'),)
    _, answer = FRONTS["responses"].write(replace(REPLY, parts=parts), body, streams=False)
    (item,) = json.loads(answer)["output"]
    assert (item["type"], item["input"]) == ("custom_tool_call", "*** End")
