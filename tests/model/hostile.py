"""Streams of one block in as many pieces as a test likes, in each dialect, and what a stage of their way does with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from nightmill.model import ModelReply
from nightmill.model.dialect import Dialect
from nightmill.model.sse import SseReader
from nightmill.model.stream import read_event
from tests.model.test_deltas import STREAMS

HERE = '"@arguments@"'
"""Where arguments stand that are no text in a dialect: they may be such as no writer of JSON writes."""
Event = dict[str, Any]


def head(kind: str) -> list[Event]:
    """What comes first."""
    begun = {"type": "message_start", "message": {"id": "m", "model": "x", "content": [], "usage": {"input_tokens": 5}}}
    return [begun] if kind == "anthropic" else []


def end(kind: str) -> list[Event]:
    """What says that the reply is whole."""
    return list(STREAMS[kind][0]()[2])


def said(kind: str, pieces: Iterable[str]) -> Iterator[Event]:
    """Text."""
    yield from head(kind)
    if kind == "responses":
        item = {"type": "message", "id": "msg", "role": "assistant", "content": []}
        yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    for piece in pieces:
        if kind == "anthropic":
            yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
        elif kind == "chat":
            yield {"id": "c", "model": "x", "choices": [{"index": 0, "delta": {"content": piece}}]}
        elif kind == "responses":
            yield {"type": "response.output_text.delta", "output_index": 0, "delta": piece}
        elif kind == "gemini":
            yield {"candidates": [{"content": {"parts": [{"text": piece}]}}], "modelVersion": "x"}
        else:
            yield {"model": "x", "message": {"role": "assistant", "content": piece}, "done": False}


def called(kind: str, pieces: Iterable[str]) -> Iterator[Event]:
    """A call of `write_file`; a dialect whose calls come whole has its arguments where `HERE` stands."""
    yield from head(kind)
    name = "write_file"
    if kind == "anthropic":
        block = {"type": "tool_use", "id": "t", "name": name, "input": {}}
        yield {"type": "content_block_start", "index": 0, "content_block": block}
        for piece in pieces:
            delta = {"type": "input_json_delta", "partial_json": piece}
            yield {"type": "content_block_delta", "index": 0, "delta": delta}
    elif kind == "chat":
        for at, piece in enumerate(pieces):
            function = {"arguments": piece, **({} if at else {"name": name})}
            call = {"index": 0, "id": "t", "type": "function", "function": function}
            yield {"id": "c", "model": "x", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}
    elif kind == "responses":
        item = {"type": "function_call", "id": "fc", "call_id": "t", "name": name, "arguments": ""}
        yield {"type": "response.output_item.added", "output_index": 0, "item": item}
        for piece in pieces:
            yield {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": piece}
    elif kind == "gemini":
        part = {"functionCall": {"name": name, "args": HERE.strip('"')}}
        yield {"candidates": [{"content": {"parts": [part]}}], "modelVersion": "x"}
    else:
        call = {"function": {"name": name, "arguments": HERE.strip('"')}}
        yield {"model": "x", "message": {"role": "assistant", "content": "", "tool_calls": [call]}, "done": False}


def bodies(kind: str, events: Iterable[Event], *, arguments: str = "") -> Iterator[bytes]:
    """*events* on the wire, one by one."""
    for event in events:
        text = json.dumps(event, ensure_ascii=False).replace(HERE, arguments)
        yield f"{text}\n".encode() if kind == "ollama" else f"data: {text}\n\n".encode()


def read(kind: str, chunks: Iterable[bytes]) -> ModelReply:
    """The reply that *chunks* are."""
    reader, reading = SseReader(), STREAMS[kind][1]()
    for chunk in chunks:
        for sse in reader.feed(chunk):
            reading.feed(read_event(sse))
    return reading.reply()


def dialect(kind: str) -> Dialect:
    """The dialect itself."""
    reading = STREAMS[kind][1]
    found: Dialect = reading.__self__  # type: ignore[attr-defined]
    return found
