"""Schemas as each provider takes them, and calls made by them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nightmill.model import Message, ModelRequest, Text, ToolCall, ToolSchema
from nightmill.model.chat import Chat
from nightmill.model.responses import Responses
from nightmill.model.schema import GEMINI, OLLAMA, OPENAI, strict, subset
from nightmill.tool import standard

SCHEMAS = {tool.name: tool.parameters for tool in standard().schemas}


def objects(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [found for each in node for found in objects(each)]
    if not isinstance(node, dict):
        return []
    inner = [found for each in node.values() for found in objects(each)]
    return [node, *inner] if "properties" in node and isinstance(node["properties"], dict) else inner


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_of_our_tools_is_strict_for_openai(name: str) -> None:
    closed = strict(SCHEMAS[name])

    assert closed
    for each in objects(closed):
        assert each["required"] == list(each["properties"])
        assert each["additionalProperties"] is False
    text = json.dumps(closed)
    assert not any(f'"{word}":' in text for word in ("default", "minLength", "maxLength", "title"))
    assert strict(SCHEMAS[name]) == closed, "the cached prefix of requests is the same bytes each time"


def test_what_was_optional_may_be_null_and_a_null_is_no_value() -> None:
    closed = strict(SCHEMAS["read_file"])
    assert closed
    assert closed["properties"]["path"]["type"] == "string"
    assert closed["properties"]["offset"]["type"] == ["integer", "null"]
    text = json.dumps({"path": "a.py", "offset": None, "limit": None})

    prepared = standard().prepare(ToolCall(id="c", name="read_file", arguments=text))

    assert (prepared.arguments.model_dump(exclude_unset=True), prepared.notes) == ({"path": "a.py"}, ())
    todo = {"items": [{"text": "a", "state": None}]}
    prepared = standard().prepare(ToolCall(id="c", name="update_todo", arguments=json.dumps(todo)))
    assert prepared.arguments.items[0].state == "pending"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"type": "string"}}}},
        {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object"}}}},
        {"type": "object", "properties": {"a": {"anyOf": [{"type": "object"}, {"type": "string"}]}}},
    ],
)
def test_an_object_of_any_names_cannot_be_strict(schema: dict[str, Any]) -> None:
    assert strict(schema) is None


def test_enums_and_alternatives_get_their_null() -> None:
    closed = strict(
        {"type": "object", "properties": {"a": {"type": "string", "enum": ["x"]}, "b": {"anyOf": [{"type": "string"}]}}}
    )

    assert closed
    assert closed["properties"]["a"] == {"type": ["string", "null"], "enum": ["x", None]}
    assert closed["properties"]["b"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}


def test_names_of_parameters_are_not_taken_for_keywords() -> None:
    schema = {"type": "object", "properties": {"default": {"type": "string", "default": "x"}}, "required": ["default"]}

    for words in (GEMINI, OLLAMA, OPENAI):
        assert subset(schema, words)["properties"] == {"default": {"type": "string"}}


def test_only_openai_itself_is_asked_to_be_strict() -> None:
    free = ToolSchema(name="free", description="", parameters={"type": "object"})
    request = ModelRequest(
        model="m",
        system=(),
        messages=(Message(role="user", parts=(Text(text="go"),)),),
        tools=(standard().schemas[0], free),
    )

    chat = [each["function"] for each in Chat(compatible=False).body(request)["tools"]]
    flat = Responses(compatible=False).body(request)["tools"]

    for tools in (chat, flat):
        assert [each["strict"] for each in tools] == [True, False]
        assert tools[1]["parameters"] == {"type": "object"}
    assert "strict" not in json.dumps(Chat(compatible=True).body(request))
    assert [each["strict"] for each in Responses(compatible=True).body(request)["tools"]] == [False, False]
