"""Ollama's own chat API, from the other side."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from nightmill.model.front.nouns import Untranslatable, arguments, joined, messages, objects, schema
from nightmill.model.message import ModelReply, ModelRequest, Part, Text, ToolCall, ToolResult

__all__ = ["OllamaFront"]


class OllamaFront:
    """Asked at `/api/chat`; one line of JSON after the other where it streams."""

    name = "ollama"

    def read(self, body: dict[str, Any]) -> ModelRequest:
        """What *body* asks. Calls have no ids there: results belong to them by their order."""
        said = objects(body.get("messages"))
        tools = [each["function"] for each in objects(body.get("tools")) if isinstance(each.get("function"), dict)]
        return ModelRequest(
            model="",
            system=tuple(str(each["content"]) for each in said if each.get("role") == "system" and each.get("content")),
            messages=messages(_turns(each for each in said if each.get("role") != "system")),
            tools=tuple(schema(tool.get("name"), tool.get("description"), tool.get("parameters")) for tool in tools),
        )

    def write(self, reply: ModelReply, body: dict[str, Any], *, streams: bool) -> tuple[str, bytes]:
        """The answer to *body* that gives *reply*."""
        calls = [{"function": {"name": call.name, "arguments": arguments(call)}} for call in reply.calls]
        said = {"role": "assistant", "content": joined(reply.parts), **({"tool_calls": calls} if calls else {})}
        head = {"model": reply.model, "created_at": "1970-01-01T00:00:00Z"}
        end = {
            "done": True,
            "done_reason": "length" if reply.stop == "length" else "stop",
            "total_duration": int(reply.seconds * 1e9),
            "prompt_eval_count": reply.usage.input,
            "eval_count": reply.usage.output,
        }
        if not streams:
            return "application/json", json.dumps({**head, "message": said, **end}).encode()
        empty = {"role": "assistant", "content": ""}
        lines = [{**head, "message": said, "done": False}, {**head, "message": empty, **end}]
        return "application/x-ndjson", b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _turns(said: Iterable[dict[str, Any]]) -> list[tuple[str, list[Part]]]:
    turns: list[tuple[str, list[Part]]] = []
    waiting: list[str] = []
    count = 0
    for message in said:
        if message.get("images"):
            raise Untranslatable("content of the kind 'images' cannot be told to it")
        text, parts = str(message.get("content") or ""), list[Part]()
        if message.get("role") == "tool":
            call = waiting.pop(0) if waiting else ""
            parts.append(ToolResult(call=call, name=str(message.get("tool_name") or ""), text=text))
        elif text:
            parts.append(Text(text=text))
        for made in objects(message.get("tool_calls")):
            count += 1
            waiting.append(f"call_{count}")
            (function,) = objects([made.get("function")]) or ({},)
            given = json.dumps(function.get("arguments") or {}, ensure_ascii=False)
            parts.append(ToolCall(id=waiting[-1], name=str(function.get("name")), arguments=given))
        turns.append((str(message.get("role")), parts))
    return turns
