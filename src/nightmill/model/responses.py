"""OpenAI Responses, used without state on the server: reasoning travels encrypted in the conversation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nightmill.model.chat import effort, function
from nightmill.model.dialect import NOTHING, Piece, arguments, count, settle
from nightmill.model.history import tidy, with_tail
from nightmill.model.message import (
    Message,
    ModelReply,
    ModelRequest,
    Part,
    Stop,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from nightmill.model.problem import from_event

__all__ = ["Responses"]

NAME = "responses"
LEAST_TOKENS = 16

DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "text",
    "response.reasoning_summary_text.delta": "thinking",
    "response.reasoning_text.delta": "thinking",
    "response.function_call_arguments.delta": "tool_call",
}
"""What a watcher is told each kind of delta is."""

CUT: dict[str, Stop] = {"max_output_tokens": "length", "content_filter": "refused"}


class Responses:
    """The Responses API. A *compatible* server gets no strict schemas, which it may not know."""

    name = NAME
    path = "/responses"

    def __init__(self, *, compatible: bool) -> None:
        self.compatible = compatible

    def headers(self, key: str) -> dict[str, str]:
        """The key as a bearer token."""
        return {"authorization": f"Bearer {key}"} if key else {}

    def body(self, request: ModelRequest) -> dict[str, Any]:
        """A request that asks the server to keep nothing."""
        body: dict[str, Any] = {
            "model": request.model,
            "input": [
                item
                for message in with_tail(tidy(request.messages, dialect=NAME), request.tail)
                for item in _items(message)
            ],
            "stream": True,
            "store": False,
            "max_output_tokens": max(LEAST_TOKENS, request.max_tokens),
        }
        if instructions := "\n\n".join(text for text in request.system if text.strip()):
            body["instructions"] = instructions
        if request.tools:
            body["tools"] = [
                {"type": "function", "strict": False, **function(tool, compatible=self.compatible)}
                for tool in request.tools
            ]
        if request.conversation:
            body["prompt_cache_key"] = request.conversation
        if request.thinking:
            # Models without reasoning refuse these.
            body["reasoning"] = {"effort": effort(request.thinking), "summary": "auto"}
            body["include"] = ["reasoning.encrypted_content"]
        return body

    def reading(self) -> ResponsesReading:
        """A fresh reader of one reply."""
        return ResponsesReading()


class ResponsesReading:
    """Items by index; each counts as its closing event has it, deltas only where that lacks them."""

    __slots__ = ("_begun", "_deltas", "_done", "_response", "complete", "over")

    def __init__(self) -> None:
        self.complete = self.over = False
        self._begun: dict[int, dict[str, Any]] = {}
        self._done: dict[int, dict[str, Any]] = {}
        self._deltas: dict[int, list[str]] = {}
        self._response: dict[str, Any] = {}

    def feed(self, event: dict[str, Any]) -> tuple[Piece, ...]:
        """Take one event in."""
        kind = event.get("type", "")
        shown = DELTAS.get(kind)
        if shown:
            piece: str = event["delta"]
            index = event["output_index"]
            self._deltas.setdefault(index, []).append(piece)
            if shown == "tool_call" and index != next(reversed(self._begun), index):
                shown = "aside"
            return ((shown, piece),)
        if kind == "response.output_item.added":
            self._begun[event["output_index"]] = item = event["item"]
            return (("tool", item.get("name") or ""),) if item.get("type") == "function_call" else NOTHING
        if kind == "response.output_item.done":
            self._done[event["output_index"]] = event["item"]
            self._deltas.pop(event["output_index"], None) if _holds(event["item"]) else None
        elif kind in {"response.completed", "response.incomplete"}:
            self._response = event["response"]
            self.complete = self.over = True
        elif kind in {"response.failed", "response.cancelled"}:
            raise from_event((event.get("response") or {}).get("error") or "the server gave up")
        elif kind == "error" or event.get("error"):
            raise from_event(event.get("error") or {**event, "type": ""})
        return NOTHING

    def reply(self) -> ModelReply:
        """The reply, in the order of the items' indices."""
        response = self._response
        items = {**self._begun, **dict(enumerate(response.get("output") or ())), **self._done}
        parts: list[Part] = []
        refused = False
        for index in sorted(items):
            item = items[index]
            refused = refused or any(part.get("type") == "refusal" for part in _contents(item))
            parts += READERS.get(item.get("type", ""), _nothing)(item, "".join(self._deltas.get(index, ())))
        cut = (response.get("incomplete_details") or {}).get("reason") or ""
        stop: Stop = "end"
        if response.get("status") == "incomplete" or cut:
            stop = CUT.get(cut, "again")
        return ModelReply(
            parts=tuple(parts),
            stop=settle(parts, "refused" if refused else stop),
            raw_stop=cut or response.get("status") or "",
            usage=_usage(response.get("usage")),
            model=response.get("model") or "",
            id=response.get("id") or "",
        )


def _usage(usage: Any) -> Usage:
    return Usage(
        input=count(usage, "input_tokens"),
        cache_read=count(usage, "input_tokens_details", "cached_tokens"),
        cache_write=count(usage, "input_tokens_details", "cache_write_tokens"),
        output=count(usage, "output_tokens"),
        reasoning=count(usage, "output_tokens_details", "reasoning_tokens"),
    )


def _contents(item: dict[str, Any]) -> list[dict[str, Any]]:
    return item.get("content") or []


def _holds(item: dict[str, Any]) -> bool:
    """Whether a closed item carries its content, so that the deltas are not needed."""
    return bool(item.get("content") or item.get("arguments") or item.get("summary"))


def _extra(item: dict[str, Any], *known: str) -> dict[str, Any]:
    """What the item has besides the fields that a part holds; sent back as it came."""
    extra = {name: value for name, value in item.items() if name not in {"type", "status", *known}}
    return {NAME: extra} if extra else {}


def _read_message(item: dict[str, Any], deltas: str) -> list[Part]:
    text = "".join(part.get("text") or part.get("refusal") or "" for part in _contents(item)) or deltas
    return [Text(text=text, opaque=_extra(item, "role", "content"))] if text else []


def _read_call(item: dict[str, Any], deltas: str) -> list[Part]:
    opaque = _extra(item, "call_id", "name", "arguments")
    raw = arguments(item.get("arguments") or deltas)
    return [ToolCall(id=item.get("call_id") or "", name=item["name"], arguments=raw, opaque=opaque)]


def _read_reasoning(item: dict[str, Any], deltas: str) -> list[Part]:
    text = "\n\n".join(part.get("text") or "" for part in [*(item.get("summary") or []), *_contents(item)])
    # Nothing is stored on the server, so an item that is not encrypted cannot be sent back.
    opaque = {NAME: item} if item.get("encrypted_content") else {}
    return [Thinking(text=text or deltas, opaque=opaque)] if text or deltas or opaque else []


def _nothing(_item: dict[str, Any], _deltas: str) -> list[Part]:
    return []


READERS: dict[str, Callable[[dict[str, Any], str], list[Part]]] = {
    "message": _read_message,
    "function_call": _read_call,
    "reasoning": _read_reasoning,
}


def _items(message: Message) -> list[dict[str, Any]]:
    return [_item(part, message.role) for part in message.parts]


def _item(part: Part, role: str) -> dict[str, Any]:
    if isinstance(part, Text):
        kind = "input_text" if role == "user" else "output_text"
        content: dict[str, Any] = {"type": kind, "text": part.text}
        if role == "assistant":
            content["annotations"] = []
        return {**part.opaque.get(NAME, {}), "type": "message", "role": role, "content": [content]}
    if isinstance(part, Thinking):
        return dict(part.opaque[NAME])
    if isinstance(part, ToolResult):
        # There is no flag for errors.
        return {
            "type": "function_call_output",
            "call_id": part.call,
            "output": f"Error: {part.text}" if part.error else part.text,
        }
    extra = part.opaque.get(NAME, {})
    return {**extra, "type": "function_call", "call_id": part.id, "name": part.name, "arguments": part.arguments}
