"""OpenAI Responses, from the other side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nightmill.model.front.nouns import Untranslatable, arguments, event, messages, objects, schema, texts
from nightmill.model.message import ModelReply, ModelRequest, Part, Text, ToolCall, ToolResult, ToolSchema

__all__ = ["ResponsesFront"]

SYSTEM = frozenset({"system", "developer"})
FREE = "input"
"""The parameter that stands for the text of a call that is no JSON."""


class ResponsesFront:
    """Asked at `/v1/responses`. A tool that takes free text is one with a parameter to whoever is asked in the end."""

    name = "responses"

    def read(self, body: dict[str, Any]) -> ModelRequest:
        """What *body* asks."""
        said = body.get("input")
        items = [{"role": "user", "content": said}] if isinstance(said, str) else objects(said)
        system = [texts(each.get("content")) for each in items if each.get("role") in SYSTEM]
        turns = [turn for each in items if each.get("role") not in SYSTEM for turn in _turn(each)]
        return ModelRequest(
            model="",
            system=tuple(filter(None, (str(body.get("instructions") or ""), *system))),
            messages=messages(turns),
            tools=tuple(_tool(each) for each in objects(body.get("tools"))),
        )

    def write(self, reply: ModelReply, body: dict[str, Any], *, streams: bool) -> tuple[str, bytes]:
        """The answer to *body* that gives *reply*."""
        free = {str(tool.get("name")) for tool in objects(body.get("tools")) if tool.get("type") == "custom"}
        output = [
            _item(index, part, free=free)
            for index, part in enumerate(each for each in reply.parts if isinstance(each, Text | ToolCall))
        ]
        cut = {"length": "max_output_tokens", "refused": "content_filter"}.get(reply.stop)
        response = {
            "id": reply.id or "resp_nightmill",
            "object": "response",
            "created_at": 0,
            "model": reply.model,
            "status": "incomplete" if cut else "completed",
            "incomplete_details": {"reason": cut} if cut else None,
            "error": None,
            "output": output,
            "usage": {
                "input_tokens": reply.usage.input,
                "input_tokens_details": {"cached_tokens": reply.usage.cache_read},
                "output_tokens": reply.usage.output,
                "output_tokens_details": {"reasoning_tokens": reply.usage.reasoning},
                "total_tokens": reply.usage.input + reply.usage.output,
            },
        }
        if not streams:
            return "application/json", json.dumps(response).encode()
        events = [{**each, "sequence_number": number} for number, each in enumerate(_events(response))]
        return "text/event-stream", b"".join(event(each, name=each["type"]) for each in events)


def _turn(item: dict[str, Any]) -> Iterator[tuple[str, list[Part]]]:
    kind, id_ = item.get("type", "message"), str(item.get("call_id") or "")
    if kind == "message":
        yield str(item.get("role")), [Text(text=texts(item.get("content")))]
    elif kind == "function_call":
        yield "assistant", [_called(id_, item, str(item.get("arguments") or "{}"))]
    elif kind == "custom_tool_call":
        yield "assistant", [_called(id_, item, json.dumps({FREE: item.get("input")}, ensure_ascii=False))]
    elif kind in {"function_call_output", "custom_tool_call_output"}:
        yield "user", [ToolResult(call=id_, name="", text=texts(item.get("output")))]
    elif kind != "reasoning":
        raise Untranslatable(f"an item of the kind {str(kind)[:40]!r} cannot be told to it")


def _called(id_: str, item: dict[str, Any], given: str) -> ToolCall:
    return ToolCall(id=id_, name=str(item.get("name")), arguments=given)


def _tool(tool: dict[str, Any]) -> ToolSchema:
    kind, name, about = tool.get("type"), tool.get("name"), tool.get("description")
    if kind == "custom":
        shape = {"type": "object", "properties": {FREE: {"type": "string"}}, "required": [FREE]}
        grammar = tool.get("format")
        rules = grammar.get("definition") if isinstance(grammar, dict) else None
        return schema(name, f"{about or ''}\n\nGrammar of `{FREE}`:\n{rules}" if rules else about, shape)
    if kind != "function":
        raise Untranslatable(f"the tool {str(kind)[:40]!r} is known to OpenAI's models only")
    return schema(name, about, tool.get("parameters"))


def _item(index: int, part: Text | ToolCall, *, free: set[str]) -> dict[str, Any]:
    if isinstance(part, Text):
        content = [{"type": "output_text", "text": part.text, "annotations": []}]
        return {"id": f"msg_{index}", "type": "message", "role": "assistant", "status": "completed", "content": content}
    head = {"id": f"fc_{index}", "status": "completed", "call_id": part.id, "name": part.name}
    if part.name in free:
        text = arguments(part).get(FREE)
        return {**head, "type": "custom_tool_call", "input": text if isinstance(text, str) else part.arguments}
    return {**head, "type": "function_call", "arguments": part.arguments}


def _events(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = {**response, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    for index, item in enumerate(response["output"]):
        at = {"output_index": index, "item_id": item["id"]}
        if item["type"] == "message":
            part = item["content"][0]
            yield {"type": "response.output_item.added", **at, "item": {**item, "status": "in_progress", "content": []}}
            yield {"type": "response.content_part.added", **at, "content_index": 0, "part": {**part, "text": ""}}
            yield {"type": "response.output_text.delta", **at, "content_index": 0, "delta": part["text"]}
            yield {"type": "response.output_text.done", **at, "content_index": 0, "text": part["text"]}
            yield {"type": "response.content_part.done", **at, "content_index": 0, "part": part}
        else:
            field = "arguments" if item["type"] == "function_call" else "input"
            stem = "function_call_arguments" if field == "arguments" else "custom_tool_call_input"
            yield {"type": "response.output_item.added", **at, "item": {**item, "status": "in_progress", field: ""}}
            yield {"type": f"response.{stem}.delta", **at, "delta": item[field]}
            yield {"type": f"response.{stem}.done", **at, field: item[field]}
        yield {"type": "response.output_item.done", **at, "item": item}
    yield {"type": f"response.{response['status']}", "response": response}
