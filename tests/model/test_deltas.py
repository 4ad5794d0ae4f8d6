"""The same reply comes out of a stream, wherever the network cuts it and in whatever order its blocks come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightmill.model import ModelReply
from nightmill.model.anthropic import Anthropic
from nightmill.model.chat import Chat
from nightmill.model.dialect import Reading
from nightmill.model.gemini import Gemini
from nightmill.model.ollama import Ollama
from nightmill.model.responses import Responses
from nightmill.model.sse import SseReader
from nightmill.model.stream import read_event

Lanes = list[list[dict[str, Any]]]
"""Events of one block each: their order within a lane is fixed, between lanes it is not."""

TEXT = "Ich schaue – 見る 😀\u2028\r\n"
ARGUMENTS = [json.dumps({"path": name, "n": [1, {"x": '"}]\\ü'}]}, ensure_ascii=False) for name in ("a.py", "b.py")]


def pieces(text: str, size: int = 5) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def anthropic() -> tuple[list[dict[str, Any]], Lanes, list[dict[str, Any]]]:
    def block(index: int, start: dict[str, Any], deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {"type": "content_block_start", "index": index, "content_block": start},
            *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": index},
        ]

    head = {"type": "message_start", "message": {"id": "m", "model": "x", "content": [], "usage": {"input_tokens": 5}}}
    thought = [{"type": "thinking_delta", "thinking": each} for each in pieces("größer")]
    lanes = [
        block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            [*thought, {"type": "signature_delta", "signature": "s"}],
        ),
        block(1, {"type": "text", "text": ""}, [{"type": "text_delta", "text": each} for each in pieces(TEXT)]),
        *(
            block(
                at + 2,
                {"type": "tool_use", "id": f"t{at}", "name": "read_file", "input": {}},
                [{"type": "input_json_delta", "partial_json": each} for each in pieces(text)],
            )
            for at, text in enumerate(ARGUMENTS)
        ),
    ]
    end = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}
    return [head, {"type": "ping"}], lanes, [end, {"type": "message_stop"}]


def chat() -> tuple[list[dict[str, Any]], Lanes, list[dict[str, Any]]]:
    def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
        return {"id": "c", "model": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    def call(index: int, text: str) -> list[dict[str, Any]]:
        first = {
            "index": index,
            "id": f"t{index}",
            "type": "function",
            "function": {"name": "read_file", "arguments": ""},
        }
        rest = [{"index": index, "function": {"arguments": each}} for each in pieces(text)]
        return [chunk(tool_calls=[each]) for each in (first, *rest)]

    lanes = [
        [chunk(reasoning_content=each) for each in pieces("größer")],
        [chunk(content=each) for each in pieces(TEXT)],
        *(call(at, text) for at, text in enumerate(ARGUMENTS)),
    ]
    usage = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 9}}
    return [chunk(role="assistant", content="")], lanes, [chunk("tool_calls"), usage]


def responses() -> tuple[list[dict[str, Any]], Lanes, list[dict[str, Any]]]:
    def item(
        index: int, kind: str, deltas: list[str], begun: dict[str, Any], done: dict[str, Any]
    ) -> list[dict[str, Any]]:
        return [
            {"type": "response.output_item.added", "output_index": index, "item": begun},
            *({"type": kind, "output_index": index, "delta": each} for each in deltas),
            {"type": "response.output_item.done", "output_index": index, "item": {**begun, **done}},
        ]

    lanes = [
        item(
            0,
            "response.output_text.delta",
            pieces(TEXT),
            {"type": "message", "id": "msg", "role": "assistant", "content": []},
            {"content": [{"type": "output_text", "text": TEXT}]},
        ),
        *(
            item(
                at + 1,
                "response.function_call_arguments.delta",
                pieces(text),
                {"type": "function_call", "id": f"fc{at}", "call_id": f"t{at}", "name": "read_file", "arguments": ""},
                # One of the two servers repeats the arguments, the other does not.
                {"arguments": text if at else ""},
            )
            for at, text in enumerate(ARGUMENTS)
        ),
    ]
    end = {"status": "completed", "model": "x", "id": "r", "usage": {"input_tokens": 5, "output_tokens": 9}}
    return [{"type": "response.created", "response": {}}], lanes, [{"type": "response.completed", "response": end}]


def gemini() -> tuple[list[dict[str, Any]], Lanes, list[dict[str, Any]]]:
    def chunk(part: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"candidates": [{"content": {"role": "model", "parts": [part]}, **more}], "modelVersion": "x"}

    calls = [
        chunk({"functionCall": {"name": "read_file", "args": json.loads(text)}, "thoughtSignature": "s"})
        for text in ARGUMENTS
    ]
    lane = [
        *(chunk({"text": each, "thought": True}) for each in pieces("größer")),
        *(chunk({"text": each}) for each in pieces(TEXT)),
        *calls,
    ]
    end = chunk({"text": ""}, finishReason="STOP") | {
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 9}
    }
    return [], [lane], [end]


def ollama() -> tuple[list[dict[str, Any]], Lanes, list[dict[str, Any]]]:
    def line(**message: Any) -> dict[str, Any]:
        return {"model": "x", "message": {"role": "assistant", "content": "", **message}, "done": False}

    calls = [
        line(tool_calls=[{"function": {"name": "read_file", "arguments": json.loads(text)}}]) for text in ARGUMENTS
    ]
    lane = [*(line(thinking=each) for each in pieces("größer")), *(line(content=each) for each in pieces(TEXT)), *calls]
    end = line() | {"done": True, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 9}
    return [], [lane], [end]


STREAMS: dict[
    str, tuple[Callable[[], tuple[list[dict[str, Any]], Lanes, list[dict[str, Any]]]], Callable[[], Reading]]
] = {
    "anthropic": (anthropic, Anthropic().reading),
    "chat": (chat, Chat(compatible=False).reading),
    "responses": (responses, Responses(compatible=False).reading),
    "gemini": (gemini, Gemini(model="x").reading),
    "ollama": (ollama, Ollama().reading),
}


def wire(kind: str, events: list[dict[str, Any]]) -> bytes:
    texts = [json.dumps(event, ensure_ascii=False).encode() for event in events]
    if kind == "ollama":
        return b"".join(text + b"\n" for text in texts)
    named = [f"event: {event.get('type', 'message')}\n".encode() if kind == "anthropic" else b"" for event in events]
    end = b"\r\n\r\n" if kind == "gemini" else b"\n\n"
    done = b"data: [DONE]\n\n" if kind == "chat" else b""
    return b"".join(name + b"data: " + text + end for name, text in zip(named, texts, strict=True)) + done


def read(kind: str, chunks: Iterator[bytes]) -> ModelReply:
    reader, reading = SseReader(), STREAMS[kind][1]()
    for chunk in chunks:
        for sse in reader.feed(chunk):
            reading.feed(read_event(sse))
    for sse in reader.close():
        reading.feed(read_event(sse))
    assert reading.complete
    return reading.reply()


def whole(kind: str) -> bytes:
    head, lanes, end = STREAMS[kind][0]()
    return wire(kind, [*head, *(event for lane in lanes for event in lane), *end])


@pytest.mark.parametrize("kind", STREAMS)
def test_reply_is_the_same_at_each_place_where_its_stream_can_be_cut(kind: str) -> None:
    body = whole(kind)
    wanted = read(kind, iter([body]))

    assert wanted.text.strip() == TEXT.strip()
    assert [json.loads(call.arguments) for call in wanted.calls] == [json.loads(text) for text in ARGUMENTS]
    assert (wanted.stop, wanted.usage.input, wanted.usage.output) == ("tools", 5, 9)
    assert read(kind, (body[at : at + 1] for at in range(len(body)))) == wanted
    for at in range(len(body)):
        assert read(kind, iter([body[:at], body[at:]])) == wanted


@pytest.mark.parametrize("kind", STREAMS)
def test_stream_that_ends_anywhere_before_its_last_event_is_not_complete(kind: str) -> None:
    head, lanes, end = STREAMS[kind][0]()
    events = [*head, *(event for lane in lanes for event in lane)]
    last = len(events) + (len(end) if kind in {"anthropic", "responses"} else 1)

    for upto in range(last):
        reading = STREAMS[kind][1]()
        for event in [*events, *end][:upto]:
            reading.feed(json.loads(json.dumps(event)))
        assert not reading.complete, upto


@pytest.mark.parametrize("kind", ["anthropic", "chat", "responses"])
@given(data=st.data())
def test_reply_is_the_same_however_its_blocks_are_mixed(kind: str, data: st.DataObject) -> None:
    wanted = read(kind, iter([whole(kind)]))
    head, lanes, end = STREAMS[kind][0]()
    order = data.draw(st.permutations([at for at, lane in enumerate(lanes) for _ in lane]))
    rest = [iter(lane) for lane in lanes]

    found = read(kind, iter([wire(kind, [*head, *(next(rest[at]) for at in order), *end])]))

    assert found == wanted
