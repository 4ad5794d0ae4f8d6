"""Arguments as deep as a model likes, on all their way from the wire to the ledger."""

from __future__ import annotations

import json

import pytest

from nightmill.agent import TurnRecord
from nightmill.errors import ToolError
from nightmill.line.record import read_record, write_record
from nightmill.model import Message, ModelReply, ModelRequest, Text, ToolCall, ToolResult, Usage
from nightmill.model.depth import DEEPEST, is_deep, shallow
from nightmill.model.dialect import wire
from nightmill.model.history import read_object
from nightmill.model.text import Spoken
from nightmill.model.written import taken
from nightmill.report.calls import arguments
from nightmill.tool.toolset import standard
from tests.model import hostile
from tests.model.test_deltas import STREAMS

TOOLS = standard()
DEPTHS = (101, 119, 121, 250, 300, *range(950, 1000, 4), 1_100, 10_000)
"""Beyond our own bound; around the bounds of pydantic and of Python, which count what is already on the stack; far away."""


def deep(depth: int) -> str:
    """An object of so many levels, which half of all brackets are, and a quote that hides one."""
    inner = "[" * (depth - 1) + '"a ] \\" {"' + "]" * (depth - 1)
    return f'{{"path": "a.py", "content": {inner}}}'


def deeper(depth: int) -> str:
    inner = '{"a":' * (depth - 1) + "1" + "}" * (depth - 1)
    return f'{{"path": "a.py", "content": {inner}}}'


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_arguments_that_nest_too_deep_are_a_mistake_that_the_model_is_told(kind: str, depth: int) -> None:
    for text in (deep(depth), deeper(depth)):
        events = [*hostile.called(kind, [text]), *hostile.end(kind)]
        reply = hostile.read(kind, hostile.bodies(kind, events, arguments=text))
        (call,) = reply.calls

        with pytest.raises(
            ToolError, match=r"not a JSON object \(brackets nest deeper than 100 levels\); nothing was run"
        ):
            TOOLS.prepare(call)

        result = ToolResult(call=call.id, name=call.name, text="wrong", error=True)
        messages = (Message(role="assistant", parts=reply.parts), Message(role="user", parts=(result,)))
        record = TurnRecord(turn=1, reply=reply, messages=messages)
        assert read_record(write_record(record)) == record
        assert arguments(call) is None
        request = ModelRequest(model="x", system=(), messages=messages, tools=TOOLS.schemas)
        for each in (hostile.dialect(kind), Spoken(hostile.dialect(kind))):
            assert b"were not a JSON object" in wire(each, request)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_call_in_text_is_no_less_a_call_for_how_deep_it_nests(depth: int) -> None:
    for text in (deep(depth), deeper(depth)):
        for said in (
            f'<tool_call>\n{{"name": "write_file", "arguments": {text}}}\n</tool_call>',
            f'[TOOL_CALLS] [{{"name": "write_file", "arguments": {text}}}]',
            f"<function=write_file>\n<parameter=path>\na.py\n</parameter>\n<parameter=content>\n{text}\n</parameter>\n</function>",
            f'{{"name": "write_file", "arguments": {text}}}',
        ):
            spoken = ModelReply(parts=(Text(text=said),), stop="end", usage=Usage(), model="m")
            (call,) = taken(spoken, TOOLS.schemas, loose=True).calls
            assert call.name == "write_file"
            if "parameter=" not in said:  # a text is what that one takes
                with pytest.raises(ToolError, match="not a JSON object"):
                    TOOLS.prepare(call)


def test_what_is_as_deep_as_may_be_is_read_as_it_is() -> None:
    text = deep(DEEPEST - 1)
    assert not is_deep(text)
    assert read_object(text) == json.loads(text)
    assert shallow(text) == text
    assert read_object('{"a": "' + "[{" * 5_000 + '"}') == {"a": "[{" * 5_000}
    assert read_object('{"a": [' + "[1]," * 5_000 + "[]]}") is not None


def test_brackets_that_never_close_are_looked_at_once() -> None:
    for text in ("[" * 1_000_000, '{"a":' * 300_000, '{"' + '\\"' * 1_000_000, '["' * 500_000):
        assert read_object(text) is None
        assert shallow(text) == text
        call = ToolCall(id="t", name="write_file", arguments=text)
        with pytest.raises(ToolError, match="nothing was run"):
            TOOLS.prepare(call)
