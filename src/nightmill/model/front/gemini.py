"""Gemini's generateContent, from the other side."""

from __future__ import annotations

import json
from typing import Any

from nightmill.model.front.nouns import Untranslatable, arguments, event, messages, objects, schema
from nightmill.model.message import ModelReply, ModelRequest, Part, Text, ToolCall, ToolResult, ToolSchema

__all__ = ["GeminiFront"]

STOPS = {"length": "MAX_TOKENS", "refused": "SAFETY"}


class GeminiFront:
    """Asked at `/v1beta/models/NAME:generateContent` and `:streamGenerateContent`."""

    name = "gemini"

    def read(self, body: dict[str, Any]) -> ModelRequest:
        """What *body* asks. Calls without ids get counted ones, and results belong to them by their order."""
        system = body.get("systemInstruction")
        ids = _Ids()
        turns = [
            (
                "assistant" if each.get("role") == "model" else "user",
                [part for one in _all(each) for part in _part(one, ids)],
            )
            for each in objects(body.get("contents"))
        ]
        return ModelRequest(
            model="",
            system=tuple(str(each["text"]) for each in _all(system) if each.get("text")),
            messages=messages(turns),
            tools=tuple(
                _tool(each) for tool in objects(body.get("tools")) for each in objects(tool.get("functionDeclarations"))
            ),
        )

    def write(self, reply: ModelReply, body: dict[str, Any], *, streams: bool) -> tuple[str, bytes]:
        """The answer to *body* that gives *reply*."""
        parts = [_written(part) for part in reply.parts if isinstance(part, Text | ToolCall)]
        content = {"role": "model", "parts": parts or [{"text": ""}]}
        plain = {
            "candidates": [{"index": 0, "content": content, "finishReason": STOPS.get(reply.stop, "STOP")}],
            "usageMetadata": {
                "promptTokenCount": reply.usage.input,
                "cachedContentTokenCount": reply.usage.cache_read,
                "candidatesTokenCount": reply.usage.output - reply.usage.reasoning,
                "thoughtsTokenCount": reply.usage.reasoning,
                "totalTokenCount": reply.usage.input + reply.usage.output,
            },
            "modelVersion": reply.model,
            "responseId": reply.id or "nightmill",
        }
        return ("text/event-stream", event(plain)) if streams else ("application/json", json.dumps(plain).encode())


class _Ids:
    """Ids of calls that may have none."""

    def __init__(self) -> None:
        self._count = 0
        self._open: dict[str, list[str]] = {}

    def call(self, call: dict[str, Any]) -> str:
        """The id of a call."""
        self._count += 1
        made = str(call.get("id") or f"call_{self._count}")
        self._open.setdefault(str(call.get("name")), []).append(made)
        return made

    def result(self, answer: dict[str, Any]) -> str:
        """The id of the call that *answer* is of: the oldest of that name that has no answer."""
        waiting = self._open.get(str(answer.get("name")), [])
        given = str(answer.get("id") or (waiting[0] if waiting else ""))
        if given in waiting:
            waiting.remove(given)
        return given


def _all(content: Any) -> list[dict[str, Any]]:
    return objects(content.get("parts")) if isinstance(content, dict) else []


def _part(part: dict[str, Any], ids: _Ids) -> list[Part]:
    call, answer = part.get("functionCall"), part.get("functionResponse")
    if isinstance(call, dict):
        given = json.dumps(call.get("args") or {}, ensure_ascii=False)
        return [ToolCall(id=ids.call(call), name=str(call.get("name")), arguments=given)]
    if isinstance(answer, dict):
        return [_result(answer, ids)]
    if part.get("thought"):
        return []
    if not isinstance(part.get("text"), str):
        raise Untranslatable(f"content of the kind {str(next(iter(part), ''))[:40]!r} cannot be told to it")
    return [Text(text=part["text"])]


def _result(answer: dict[str, Any], ids: _Ids) -> ToolResult:
    if answer.get("parts"):
        raise Untranslatable("results that are more than text cannot be told to it")
    said = answer.get("response")
    known = said if isinstance(said, dict) else {"output": said}
    error = "error" in known and known.get("error") is not None
    value = known.get("error") if error else known.get("output", known)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return ToolResult(call=ids.result(answer), name=str(answer.get("name")), text=text, error=error)


def _tool(tool: dict[str, Any]) -> ToolSchema:
    shape = tool.get("parametersJsonSchema") or _lower(tool.get("parameters"))
    return schema(tool.get("name"), tool.get("description"), shape)


def _lower(shape: Any) -> Any:
    """A schema of Google's, whose types are in capitals, as JSON Schema has it."""
    if isinstance(shape, list):
        return [_lower(each) for each in shape]
    if not isinstance(shape, dict):
        return shape
    return {
        name: value.lower() if name == "type" and isinstance(value, str) else _lower(value)
        for name, value in shape.items()
    }


def _written(part: Text | ToolCall) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"text": part.text}
    return {"functionCall": {"id": part.id, "name": part.name, "args": arguments(part)}}
