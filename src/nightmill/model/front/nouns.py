"""What every dialect has to offer to an agent that speaks it, and what all of them share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from nightmill.model.history import read_object
from nightmill.model.message import Message, ModelReply, ModelRequest, Part, Text, ToolCall, ToolResult, ToolSchema

__all__ = ["Front", "Untranslatable", "arguments", "event", "joined", "messages", "objects", "schema", "texts"]


class Untranslatable(Exception):
    """The request says what no other dialect can be told; the message says what."""


class Front(Protocol):
    """A dialect as an agent speaks it."""

    name: str

    def read(self, body: dict[str, Any]) -> ModelRequest:
        """What *body* asks, without what only its own provider understands: reasoning, sampling, marks.

        Raises:
            Untranslatable: If it holds more than texts and calls.
        """
        ...

    def write(self, reply: ModelReply, body: dict[str, Any], *, streams: bool) -> tuple[str, bytes]:
        """(content type, body) of the answer to *body* that gives *reply*."""
        ...


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects in a list, or in what should have been one."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def texts(content: Any) -> str:
    """The text of content that may be a text or a list of blocks of text.

    Raises:
        Untranslatable: If a block is something else.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    found = []
    for block in objects(content):
        if not isinstance(block.get("text"), str):
            kind = block.get("type") or next(iter(block), "content")
            raise Untranslatable(f"content of the kind {str(kind)[:40]!r} cannot be told to it")
        found.append(block["text"])
    return "\n\n".join(found)


def joined(parts: Iterable[Part]) -> str:
    """All text of *parts*."""
    return "".join(part.text for part in parts if isinstance(part, Text))


def arguments(call: ToolCall) -> dict[str, Any]:
    """The arguments of *call* where only an object can be said; what is none is shown as it was."""
    found = read_object(call.arguments)
    return {"arguments": call.arguments} if found is None else found


def schema(name: Any, description: Any, parameters: Any) -> ToolSchema:
    """A tool that an agent has."""
    shape = parameters if isinstance(parameters, dict) else {"type": "object", "properties": {}}
    return ToolSchema(name=str(name or ""), description=str(description or ""), parameters=shape)


def messages(turns: Iterable[tuple[str, list[Part]]]) -> tuple[Message, ...]:
    """*turns*, each with its role, as messages; results get the names of their calls."""
    names: dict[str, str] = {}
    return tuple(
        Message(role="assistant" if role == "assistant" else "user", parts=tuple(_named(parts, names)))
        for role, parts in turns
        if parts
    )


def _named(parts: list[Part], names: dict[str, str]) -> Iterator[Part]:
    for part in parts:
        if isinstance(part, ToolCall):
            names[part.id] = part.name
        if isinstance(part, ToolResult) and not part.name:
            yield ToolResult(call=part.call, name=names.get(part.call, "tool"), text=part.text, error=part.error)
        else:
            yield part


def event(plain: dict[str, Any], *, name: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(plain)}\n\n".encode()
