"""OpenAI Chat Completions, from the other side."""

from __future__ import annotations

import json
from typing import Any

from nightmill.model.front.nouns import Untranslatable, event, joined, messages, objects, schema, texts
from nightmill.model.message import ModelReply, ModelRequest, Part, Text, ToolCall, ToolResult, ToolSchema

__all__ = ["ChatFront"]

STOPS = {"tools": "tool_calls", "length": "length", "refused": "content_filter"}
SYSTEM = frozenset({"system", "developer"})


class ChatFront:
    """Asked at `/v1/chat/completions`, Ollama's included."""

    name = "chat"

    def read(self, body: dict[str, Any]) -> ModelRequest:
        """What *body* asks."""
        said = objects(body.get("messages"))
        turns = [(str(each.get("role")), _parts(each)) for each in said if each.get("role") not in SYSTEM]
        return ModelRequest(
            model="",
            system=tuple(filter(None, (texts(each.get("content")) for each in said if each.get("role") in SYSTEM))),
            messages=messages(turns),
            tools=tuple(_tool(each) for each in objects(body.get("tools"))),
        )

    def write(self, reply: ModelReply, body: dict[str, Any], *, streams: bool) -> tuple[str, bytes]:
        """The answer to *body* that gives *reply*."""
        calls = [_call(index, call, streams=streams) for index, call in enumerate(reply.calls)]
        message = {
            "role": "assistant",
            "content": joined(reply.parts) or None,
            **({"tool_calls": calls} if calls else {}),
        }
        usage = {
            "prompt_tokens": reply.usage.input,
            "completion_tokens": reply.usage.output,
            "total_tokens": reply.usage.input + reply.usage.output,
            "prompt_tokens_details": {"cached_tokens": reply.usage.cache_read},
        }
        kind = "chat.completion.chunk" if streams else "chat.completion"
        head = {"id": reply.id or "chatcmpl-nightmill", "object": kind, "created": 0, "model": reply.model}
        finish = STOPS.get(reply.stop, "stop")
        if not streams:
            choice = {"index": 0, "message": message, "finish_reason": finish}
            return "application/json", json.dumps({**head, "choices": [choice], "usage": usage}).encode()
        pieces = [
            {**head, "choices": [{"index": 0, "delta": message, "finish_reason": None}]},
            {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
            {**head, "choices": [], "usage": usage},
        ]
        return "text/event-stream", b"".join(map(event, pieces)) + b"data: [DONE]\n\n"


def _parts(message: dict[str, Any]) -> list[Part]:
    text = texts(message.get("content"))
    if message.get("role") == "tool":
        return [ToolResult(call=str(message.get("tool_call_id")), name="", text=text)]
    calls = [_read_call(each) for each in objects(message.get("tool_calls"))]
    return [*([Text(text=text)] if text else []), *calls]


def _read_call(call: dict[str, Any]) -> ToolCall:
    function = call.get("function")
    if not isinstance(function, dict):
        raise Untranslatable(f"a call of the kind {str(call.get('type'))[:40]!r} cannot be told to it")
    return ToolCall(
        id=str(call.get("id") or ""), name=str(function.get("name")), arguments=str(function.get("arguments") or "{}")
    )


def _tool(tool: dict[str, Any]) -> ToolSchema:
    function = tool.get("function")
    if not isinstance(function, dict):
        raise Untranslatable(f"a tool of the kind {str(tool.get('type'))[:40]!r} is known to OpenAI's models only")
    return schema(function.get("name"), function.get("description"), function.get("parameters"))


def _call(index: int, call: ToolCall, *, streams: bool) -> dict[str, Any]:
    made = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    return {"index": index, **made} if streams else made
