"""Anthropic Messages."""

from __future__ import annotations

import re
from typing import Any

from nightmill.model.dialect import NOTHING, Piece, arguments, count, settle
from nightmill.model.history import read_object, tidy, with_tail
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

__all__ = ["Anthropic"]

NAME = "anthropic"
VERSION = "2026-10-21"
LEAST_THINKING = 1024
MARK = {"type": "ephemeral"}
ID = re.compile(r"[^a-zA-Z0-9_-]")

STOPS: dict[str, Stop] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "tools",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refused",
    "pause_turn": "again",
}
DELTAS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", ""),
    "input_json_delta": ("partial_json", "tool_call"),
}
"""Of each kind of delta: the field that holds the piece, and what a watcher is told it is."""


class Anthropic:
    """The Messages API, and servers compatible with it."""

    name = NAME
    path = "/v1/messages"

    def headers(self, key: str) -> dict[str, str]:
        """The version this adapter was written against, and the key."""
        return {"anthropic-version": VERSION} | ({"x-api-key": key} if key else {})

    def body(self, request: ModelRequest) -> dict[str, Any]:
        """A request with cache marks on the last tool, the last system text and the last two user messages."""
        lasting = tidy(request.messages, dialect=NAME)
        messages = [_message(message) for message in with_tail(lasting, request.tail)]
        # The tail is another one next time, so the marks stand before it.
        ends = [(at, len(message.parts) - 1) for at, message in enumerate(lasting) if message.role == "user"]
        for at, block in ends[-2:]:
            messages[at]["content"][block]["cache_control"] = MARK
        body = {"model": request.model, "max_tokens": request.max_tokens, "stream": True, "messages": messages}
        system: list[dict[str, Any]] = [{"type": "text", "text": text} for text in request.system if text.strip()]
        tools: list[dict[str, Any]] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
            for tool in request.tools
        ]
        for name, blocks in (("system", system), ("tools", tools)):
            if blocks:
                blocks[-1]["cache_control"] = MARK
                body[name] = blocks
        # The budget must leave room for an answer below the bound, and has a least value of its own.
        budget = max(LEAST_THINKING, min(request.thinking, request.max_tokens - LEAST_THINKING))
        if request.thinking > 0 and budget < request.max_tokens and not _thoughtless(lasting):
            body["thinking"] = {"type": "enabled", "budget_tokens": budget}
        return body

    def reading(self) -> AnthropicReading:
        """A fresh reader of one reply."""
        return AnthropicReading()


def _thoughtless(messages: list[Message]) -> bool:
    """Whether results answer calls before which nothing was thought: what another model called, as it was taken over.

    With thinking asked for, such a history is refused.
    """
    if len(messages) < 2 or not any(isinstance(part, ToolResult) for part in messages[-1].parts):
        return False
    return not isinstance(messages[-2].parts[0], Thinking)


class AnthropicReading:
    """Blocks by index, as they fill; they may be interleaved."""

    __slots__ = ("_blocks", "_id", "_model", "_pieces", "_stop", "_usage", "complete", "over")

    def __init__(self) -> None:
        self.complete = self.over = False
        self._blocks: dict[int, dict[str, Any]] = {}
        self._pieces: dict[tuple[int, str], list[str]] = {}
        self._usage: dict[str, Any] = {}
        self._id = self._model = self._stop = ""

    def feed(self, event: dict[str, Any]) -> tuple[Piece, ...]:
        """Take one event in; kinds that are not known are passed over, as the API asks of its clients."""
        kind = event.get("type")
        if kind == "content_block_delta":
            return self._delta(event["index"], event["delta"])
        if kind == "content_block_start":
            self._blocks[event["index"]] = block = event["content_block"]
            return (("tool", block.get("name") or ""),) if block["type"] == "tool_use" else NOTHING
        if kind == "message_start":
            message = event["message"]
            self._id, self._model = message.get("id") or "", message.get("model") or ""
            self._count(message.get("usage"))
        elif kind == "message_delta":
            self._stop = event["delta"].get("stop_reason") or self._stop
            self._count(event.get("usage"))
        elif kind == "message_stop":
            self.complete = self.over = True
        elif kind == "error" or "error" in event:
            raise from_event(event.get("error"))
        return NOTHING

    def reply(self) -> ModelReply:
        """The reply, in the order of the blocks' indices."""
        parts = tuple(part for index in sorted(self._blocks) for part in self._part(index))
        usage, written, read = self._usage, "cache_creation_input_tokens", "cache_read_input_tokens"
        return ModelReply(
            parts=parts,
            stop=settle(parts, STOPS.get(self._stop, "end")),
            raw_stop=self._stop,
            usage=Usage(
                # The API's own figure leaves out what was read from or written to the cache.
                input=count(usage, "input_tokens") + count(usage, written) + count(usage, read),
                cache_read=count(usage, read),
                cache_write=count(usage, written),
                output=count(usage, "output_tokens"),
                reasoning=count(usage, "output_tokens_details", "thinking_tokens"),
            ),
            model=self._model,
            id=self._id,
        )

    def _delta(self, index: int, delta: dict[str, Any]) -> tuple[Piece, ...]:
        field, shown = DELTAS.get(delta["type"], ("", ""))
        if not field:
            return NOTHING
        if index not in self._blocks:
            if field == "partial_json":
                raise KeyError(index)
            self._blocks[index] = {"type": "text" if field == "text" else "thinking"}
        piece: str = delta[field]
        pieces = self._pieces.get((index, field))
        if pieces is None:
            pieces = self._pieces[index, field] = []
        pieces.append(piece)
        if shown == "tool_call" and index != next(reversed(self._blocks)):
            shown = "aside"
        return ((shown, piece),) if shown and piece else NOTHING

    def _count(self, usage: dict[str, Any] | None) -> None:
        """Figures are running totals: a later one replaces the one before."""
        self._usage.update({name: value for name, value in (usage or {}).items() if value is not None})

    def _joined(self, index: int, field: str, start: Any = "") -> str:
        return (start or "") + "".join(self._pieces.get((index, field), ()))

    def _part(self, index: int) -> list[Part]:
        block = self._blocks[index]
        kind = block["type"]
        if kind == "text":
            text = self._joined(index, "text", block.get("text"))
            return [Text(text=text)] if text else []
        if kind == "tool_use":
            known = {"type", "id", "name", "input", "cache_control"}
            raw = self._joined(index, "partial_json")
            return [
                ToolCall(
                    id=block.get("id") or "",
                    name=block["name"],
                    arguments=raw or arguments(block.get("input")),
                    opaque=_under({name: value for name, value in block.items() if name not in known}),
                )
            ]
        if kind == "thinking":
            text = self._joined(index, "thinking", block.get("thinking"))
            signature = self._joined(index, "signature", block.get("signature"))
            # Without its signature (a reply that was cut off) the block would be refused.
            whole = {**block, "thinking": text, "signature": signature} if signature else {}
            return [Thinking(text=text, opaque=_under(whole))] if text or whole else []
        return [Thinking(text="", opaque=_under(block))] if kind == "redacted_thinking" else []


def _under(opaque: dict[str, Any]) -> dict[str, Any]:
    return {NAME: opaque} if opaque else {}


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": [_block(part) for part in message.parts]}


def _block(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Thinking):
        return dict(part.opaque[NAME])
    if isinstance(part, ToolCall):
        extra = part.opaque.get(NAME, {})
        # `tidy` leaves only arguments that are objects.
        found = read_object(part.arguments) or {}
        return {**extra, "type": "tool_use", "id": ID.sub("_", part.id), "name": part.name, "input": found}
    return _result(part)


def _result(part: ToolResult) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": ID.sub("_", part.call)}
    if part.text.strip():
        block["content"] = part.text
    if part.error:
        block["is_error"] = True
    return block
