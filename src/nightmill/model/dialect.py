"""What a provider's way of talking has to offer, and what all of them share."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any, Protocol

from nightmill.model.message import ModelReply, ModelRequest, Part, Stop, Text, Thinking, ToolCall

__all__ = ["CUT", "NOTHING", "Dialect", "Piece", "Reading", "arguments", "count", "settle", "unique", "wire", "words"]

Piece = tuple[str, str]
"""(kind of part, new text): what somebody who watches sees."""

NOTHING: tuple[Piece, ...] = ()
CUT: frozenset[Stop] = frozenset({"length", "refused", "chant"})
"""How a reply stops that may end in the middle of anything."""


class Reading(Protocol):
    """One reply while it streams in, kept as plain data until it is whole."""

    complete: bool
    """The terminal event was seen: what came before it counts."""
    over: bool
    """Nothing of worth comes any more."""

    def feed(self, event: dict[str, Any]) -> tuple[Piece, ...]:
        """Take one event in.

        Raises:
            ModelError: If the event says that the reply failed.
        """
        ...

    def reply(self) -> ModelReply:
        """The reply, once it is complete; without cost and times."""
        ...


class Dialect(Protocol):
    """How one provider is asked and understood. Its name is the key of `opaque` data; its path may have a query."""

    name: str
    path: str

    def headers(self, key: str) -> dict[str, str]:
        """The headers of a request; *key* is empty where the endpoint wants none."""
        ...

    def body(self, request: ModelRequest) -> dict[str, Any]:
        """The body of a streaming request."""
        ...

    def reading(self) -> Reading:
        """A fresh reader of one reply."""
        ...


def wire(dialect: Dialect, request: ModelRequest) -> bytes:
    """The body of *request* as it is sent."""
    content = json.dumps(dialect.body(request), ensure_ascii=False, separators=(",", ":"))
    # Output of commands may hold halves of surrogate pairs, which no request can carry.
    return content.encode("utf-8", "replace")


def settle(parts: Iterable[Part], stop: Stop) -> Stop:
    """Tool calls make a stop "tools" and their absence does not, except that what was cut off or refused stays so."""
    if stop in CUT:
        return stop
    if any(isinstance(part, ToolCall) for part in parts):
        return "tools"
    return "end" if stop == "tools" else stop


def unique(parts: Iterable[Part], *, taken: Collection[str]) -> tuple[Part, ...]:
    """The *parts* with ids of calls that are neither empty nor *taken*, nor twice the same.

    Some servers give no ids, some the same ones in each reply, and Anthropic refuses a history with a repeated one.
    Numbers are counted, never drawn, so that the same reply to the same history gets the same ids.
    """
    used = set(taken)
    made: list[Part] = []
    for part in parts:
        if isinstance(part, ToolCall):
            stem, number, id_ = part.id or "call", len(used) if not part.id else 1, part.id
            while not id_ or id_ in used:
                number += 1
                id_ = f"{stem}_{number}"
            used.add(id_)
            made.append(part if id_ == part.id else replace(part, id=id_))
        else:
            made.append(part)
    return tuple(made)


def arguments(value: Any) -> str:
    """Arguments as text: raw where they came as text, `{}` where none came."""
    if not isinstance(value, str):
        return "{}" if value is None else json.dumps(value, ensure_ascii=False)
    return value or "{}"


def count(usage: Any, *path: str) -> int:
    """The number at *path* in *usage*, 0 where there is none."""
    for name in path:
        usage = usage.get(name) if isinstance(usage, dict) else None
    return int(usage) if isinstance(usage, int | float) else 0


def words(text: str, opaque: dict[str, Any] | None = None) -> list[Part]:
    """A text part, or none for no text; reasoning that a server left in front of the text is told apart."""
    head, sign, rest = text.lstrip().partition("</think>")
    parts: list[Part] = []
    if sign and head.startswith("<think>"):
        text = rest.lstrip()
        inner = head.removeprefix("<think>").strip()
        parts += [Thinking(text=inner)] if inner else []
    return [*parts, Text(text=text, opaque=opaque or {})] if text else parts
