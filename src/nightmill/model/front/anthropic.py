"""Anthropic Messages, from the other side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nightmill.model.front.nouns import Untranslatable, arguments, event, messages, objects, schema, texts
from nightmill.model.message import ModelReply, ModelRequest, Part, Text, ToolCall, ToolResult, ToolSchema, Usage

__all__ = ["AnthropicFront"]

STOPS = {"tools": "tool_use", "length": "max_tokens", "refused": "refusal"}
SKIPPED = frozenset({"thinking", "redacted_thinking"})


class AnthropicFront:
    """Asked at `/v1/messages`."""

    name = "anthropic"

    def read(self, body: dict[str, Any]) -> ModelRequest:
        """What *body* asks."""
        thinking = body.get("thinking")
        budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else 0
        turns = [(str(each.get("role")), _parts(each.get("content"))) for each in objects(body.get("messages"))]
        return ModelRequest(
            model="",
            system=tuple(filter(None, (texts([block]) for block in _system(body.get("system"))))),
            messages=messages(turns),
            tools=tuple(_tool(each) for each in objects(body.get("tools"))),
            thinking=budget if isinstance(budget, int) else 0,
        )

    def write(self, reply: ModelReply, body: dict[str, Any], *, streams: bool) -> tuple[str, bytes]:
        """The answer to *body* that gives *reply*."""
        content = [_block(part) for part in reply.parts if isinstance(part, Text | ToolCall)]
        message = {
            "id": reply.id or "msg_nightmill",
            "type": "message",
            "role": "assistant",
            "model": reply.model,
            "content": content,
            "stop_reason": STOPS.get(reply.stop, "end_turn"),
            "stop_sequence": None,
            "usage": _usage(reply.usage),
        }
        if not streams:
            return "application/json", json.dumps(message).encode()
        return "text/event-stream", b"".join(event(each, name=each["type"]) for each in _events(message))


def _system(system: Any) -> list[dict[str, Any]]:
    return [{"text": system}] if isinstance(system, str) else objects(system)


def _parts(content: Any) -> list[Part]:
    if isinstance(content, str):
        return [Text(text=content)]
    return [part for block in objects(content) if (part := _part(block)) is not None]


def _part(block: dict[str, Any]) -> Part | None:
    kind = block.get("type")
    if kind in SKIPPED:
        return None
    if kind == "tool_use":
        given = json.dumps(block.get("input") or {}, ensure_ascii=False)
        return ToolCall(id=str(block.get("id")), name=str(block.get("name")), arguments=given)
    if kind == "tool_result":
        text = texts(block.get("content"))
        return ToolResult(call=str(block.get("tool_use_id")), name="", text=text, error=block.get("is_error") is True)
    return Text(text=texts([block]))


def _tool(tool: dict[str, Any]) -> ToolSchema:
    if tool.get("type", "custom") != "custom":
        raise Untranslatable(f"the tool {str(tool.get('type'))[:40]!r} is known to Anthropic's models only")
    return schema(tool.get("name"), tool.get("description"), tool.get("input_schema"))


def _block(part: Text | ToolCall) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    return {"type": "tool_use", "id": part.id, "name": part.name, "input": arguments(part)}


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": max(0, usage.input - usage.cache_read - usage.cache_write),
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation_input_tokens": usage.cache_write,
        "output_tokens": usage.output,
    }


def _events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    for index, block in enumerate(message["content"]):
        start: dict[str, Any]
        if block["type"] == "text":
            start, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            start, delta = (
                {**block, "input": {}},
                {"type": "input_json_delta", "partial_json": json.dumps(block["input"])},
            )
        yield {"type": "content_block_start", "index": index, "content_block": start}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": usage["output_tokens"]}}
    yield {"type": "message_stop"}
