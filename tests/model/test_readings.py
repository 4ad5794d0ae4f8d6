"""Replies of odd servers, fed to the readings as plain events."""

from __future__ import annotations

from typing import Any

import pytest

from nightmill.errors import ModelRefused, ModelUnavailable
from nightmill.model import ModelReply, Text, Thinking, ToolCall, Usage
from nightmill.model.anthropic import Anthropic
from nightmill.model.chat import Chat
from nightmill.model.dialect import Reading, unique
from nightmill.model.responses import Responses

DONE = {"type": "[DONE]"}


def read(reading: Reading, *events: dict[str, Any]) -> ModelReply:
    for event in events:
        reading.feed(event)
    assert reading.complete, "the reading saw no terminal event"
    return reading.reply()


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"delta": fields, "finish_reason": finish}]}


def chat(*events: dict[str, Any], compatible: bool = True) -> ModelReply:
    return read(Chat(compatible=compatible).reading(), *events)


def call(name: str | None = None, text: Any = None, **fields: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": text}, **fields}


def test_chat_tells_calls_apart_that_have_neither_index_nor_id() -> None:
    whole = delta(tool_calls=[call("a", '{"x":1}', id=""), call("b", {"y": [2]}, id="")])

    reply = chat(whole, delta("stop"), DONE)

    assert [(each.name, each.arguments) for each in reply.calls] == [("a", '{"x":1}'), ("b", '{"y": [2]}')]
    assert reply.stop == "tools"


def test_chat_joins_fragments_that_name_nothing_to_the_latest_call() -> None:
    reply = chat(
        delta(tool_calls=[call("a", "", id="1")]),
        delta(tool_calls=[call(text='{"x"')]),
        delta(tool_calls=[call(text=":1}")]),
        delta(tool_calls=[call("b", "{", id="2")]),
        delta(tool_calls=[call(text="}")]),
        delta("tool_calls"),
    )

    assert [(each.id, each.arguments) for each in reply.calls] == [("1", '{"x":1}'), ("2", "{}")]


def test_chat_tells_calls_apart_that_all_have_the_index_0() -> None:
    calls = [call("a", "{}", index=0, id="1"), call("b", "{}", index=0, id="2")]

    assert [each.id for each in chat(delta(tool_calls=calls), delta("stop")).calls] == ["1", "2"]


def test_chat_sorts_calls_by_index_not_by_arrival() -> None:
    late = delta(tool_calls=[call("b", "{", index=1, id="2"), call("a", "{", index=0, id="1")])
    rest = delta(tool_calls=[call(text="}", index=1), call(text="}", index=0)])

    assert [each.name for each in chat(late, rest, delta("tool_calls")).calls] == ["a", "b"]


def test_chat_takes_the_usage_after_the_finish_reason_and_the_last_one() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": None,
    }

    reply = chat(delta(content="hi"), delta("stop"), {"choices": [], "usage": usage}, {"choices": [], "usage": None})

    assert reply.usage == Usage(input=100, cache_read=64, output=7)


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_chat_sends_reasoning_back_under_the_name_it_came_with(field: str) -> None:
    reply = chat(delta(**{field: "hm"}), delta(content="hi"), delta("stop"))

    assert reply.parts == (Thinking(text="hm", opaque={"chat": {field: "hm"}}), Text(text="hi"))


def test_chat_takes_reasoning_once_when_a_server_says_it_twice() -> None:
    reply = chat(delta(reasoning="hm", reasoning_content="hm"), delta("stop", content="hi"))

    assert [part.text for part in reply.parts if isinstance(part, Thinking)] == ["hm"]


def test_chat_reads_content_that_is_a_list_of_parts() -> None:
    inner = [{"type": "text", "text": "hm"}]
    content = [{"type": "thinking", "thinking": inner}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    assert chat(delta(content=content), delta("stop")).parts == (Thinking(text="hm"), Text(text="ab"))


def test_chat_takes_a_leading_think_block_out_of_the_text() -> None:
    reply = chat(delta(content="<think>\n</think>\n\n"), delta(content="hi"), delta("stop"))

    assert reply.parts == (Text(text="hi"),)


def test_chat_believes_only_a_compatible_server_that_ends_without_a_finish_reason() -> None:
    said = [delta(content="hi", finish=""), DONE]
    cut = [delta(tool_calls=[call("a", '{"x":', index=0)]), DONE]

    assert chat(*said).text == "hi"
    for compatible, events in ((False, said), (True, cut), (True, [DONE])):
        reading = Chat(compatible=compatible).reading()
        for event in events:
            reading.feed(event)
        assert not reading.complete


def test_chat_keeps_unknown_fields_of_calls() -> None:
    reply = chat(
        delta(tool_calls=[call("a", "{}", index=0, id="1", extra_content={"google": {"s": "x"}})]), delta("stop")
    )

    assert reply.calls[0].opaque == {"chat": {"extra_content": {"google": {"s": "x"}}}}


def test_chat_never_counts_calls_of_a_reply_that_was_cut_off_as_tools() -> None:
    reply = chat(delta(tool_calls=[call("a", '{"x', index=0, id="1")]), delta("length"))

    assert (reply.stop, reply.raw_stop, reply.calls[0].arguments) == ("length", "length", '{"x')


def test_chat_refusal_is_text_that_says_so() -> None:
    reply = chat(delta(refusal="No."), delta("stop"))

    assert (reply.text, reply.stop) == ("No.", "refused")


def test_error_inside_a_stream_is_told_apart_by_who_must_act() -> None:
    with pytest.raises(ModelUnavailable, match="busy"):
        chat({"error": {"message": "busy", "type": "server_error", "code": None}})
    with pytest.raises(ModelRefused, match="too long"):
        chat({"error": {"message": "too long", "type": "invalid_request_error"}})
    with pytest.raises(ModelUnavailable, match="gave up"):
        chat(delta("error", content="half"))


def block(index: int, **content: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": content}


def bit(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def test_anthropic_reads_interleaved_blocks_by_index() -> None:
    reply = read(
        Anthropic().reading(),
        {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 5, "cache_read_input_tokens": 90}}},
        block(2, type="tool_use", id="t2", name="b", input={"whole": True}),
        block(1, type="tool_use", id="t1", name="a", input={}, caller={"type": "direct"}),
        block(0, type="thinking", thinking="", signature=""),
        bit(1, "input_json_delta", partial_json='{"x'),
        bit(0, "thinking_delta", thinking="h"),
        {"type": "ping"},
        bit(0, "thinking_delta", thinking="m"),
        bit(1, "input_json_delta", partial_json='":1}'),
        bit(0, "signature_delta", signature="sig"),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 9, "input_tokens": None},
        },
        {"type": "message_stop"},
    )

    signed = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    assert reply.parts == (
        Thinking(text="hm", opaque={"anthropic": signed}),
        ToolCall(id="t1", name="a", arguments='{"x":1}', opaque={"anthropic": {"caller": {"type": "direct"}}}),
        ToolCall(id="t2", name="b", arguments='{"whole": true}'),
    )
    assert (reply.stop, reply.usage) == ("tools", Usage(input=95, cache_read=90, output=9))


def test_anthropic_keeps_redacted_thinking_and_drops_what_was_cut_before_its_signature() -> None:
    hidden = {"type": "redacted_thinking", "data": "abc"}
    reply = read(
        Anthropic().reading(),
        block(0, **hidden),
        bit(1, "thinking_delta", thinking="half"),
        {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}},
        {"type": "message_stop"},
    )

    assert reply.parts == (Thinking(text="", opaque={"anthropic": hidden}), Thinking(text="half"))


def item(kind: str, index: int, **item: Any) -> dict[str, Any]:
    return {"type": f"response.output_item.{kind}", "output_index": index, "item": item}


def test_responses_takes_each_item_as_its_closing_event_has_it() -> None:
    reply = read(
        Responses(compatible=True).reading(),
        item("added", 1, type="function_call", id="fc", call_id="early", name="a", arguments=""),
        item("added", 0, type="reasoning", id="rs", summary=[], encrypted_content="half"),
        item(
            "done", 1, type="function_call", id="fc", call_id="late", name="a", arguments='{"x":1}', status="completed"
        ),
        item(
            "done",
            0,
            type="reasoning",
            id="rs",
            summary=[{"type": "summary_text", "text": "hm"}],
            encrypted_content="whole",
        ),
        {"type": "response.completed", "response": {"status": "completed", "output": [], "model": "m"}},
    )

    reasoning = {
        "type": "reasoning",
        "id": "rs",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "whole",
    }
    assert reply.parts == (
        Thinking(text="hm", opaque={"responses": reasoning}),
        ToolCall(id="late", name="a", arguments='{"x":1}', opaque={"responses": {"id": "fc"}}),
    )
    assert reply.stop == "tools"


def test_responses_makes_do_with_deltas_or_with_the_last_event_alone() -> None:
    text = {"type": "response.output_text.delta", "output_index": 0, "delta": "hi"}
    message = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "hi"}]}
    end = {"type": "response.completed", "response": {"status": "completed"}}

    from_deltas = read(Responses(compatible=True).reading(), item("added", 0, type="message", content=[]), text, end)
    from_end = read(
        Responses(compatible=True).reading(), {"type": "response.completed", "response": {"output": [message]}}
    )

    assert (from_deltas.text, from_end.text) == ("hi", "hi")


def test_responses_tells_a_cut_from_a_refusal() -> None:
    def ended(reason: str) -> str:
        response = {"status": "incomplete", "incomplete_details": {"reason": reason}, "output": []}
        return read(Responses(compatible=True).reading(), {"type": "response.incomplete", "response": response}).stop

    assert [ended(reason) for reason in ("max_output_tokens", "content_filter", "steered")] == [
        "length",
        "refused",
        "again",
    ]


def test_ids_of_calls_become_unique_the_same_way_each_time() -> None:
    parts = [ToolCall(id=id_, name="a", arguments="{}") for id_ in ("x", "x", "", "", "y")]

    made = unique(parts, taken={"y", "x_2"})

    assert [part.id for part in made if isinstance(part, ToolCall)] == ["x", "x_3", "call_5", "call_6", "y_2"]
    assert made == unique(parts, taken={"y", "x_2"})
