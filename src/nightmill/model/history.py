"""A conversation made fit to be sent: what every provider demands of a history, in one place.

A history holds what a model really said: empty replies, arguments that are not JSON, names that no tool has, calls
that were never run because the reply was cut off. Providers answer each of these with a 400, and would do so for the
rest of the run, because history is never rewritten. So it is mended on the way out, the same way each time.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from nightmill.model.depth import is_deep
from nightmill.model.message import Message, Part, Text, Thinking, ToolCall, ToolResult
from nightmill.model.repair import repaired

__all__ = ["own", "read_object", "signed", "tidy", "with_tail"]

BY = "by"
"""Beside the dialects' own keys in `opaque`: the model that left them."""

NOT_RUN = "This call was not run."
SHOWN_RAW = 2000
SHORT = 1000
"""Characters of arguments of which it is remembered whether they can be read."""
NAME = re.compile(r"[^a-zA-Z0-9_-]")
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def tidy(messages: Iterable[Message], *, dialect: str) -> list[Message]:
    """The *messages* as *dialect* may be sent them.

    - Blank texts that carry nothing of the dialect's own, thinking of other dialects, thinking that nothing follows, and
      empty messages are left out; neighbours of one role become one message.
    - Each call has its result in the next message, results first and in the order of the calls. A missing one says
      that the call was not run; one without a call becomes text.
    - Arguments that are no JSON object, or nest too deep, go out as the one that they can only have meant, else as `{}`, and the result of
      the call quotes what they were: the model sees its mistake without seeing a parameter that does not exist.
    """
    turns: list[tuple[str, list[Part]]] = []
    for message in messages:
        parts = _without_loose_thinking([part for part in message.parts if _sendable(part, dialect)])
        if parts and turns and turns[-1][0] == message.role:
            turns[-1][1].extend(parts)
        elif parts:
            turns.append((message.role, parts))
    tidied: list[Message] = []
    calls: dict[str, ToolCall] = {}
    for role, parts in turns:
        if role == "assistant":
            calls = {part.id: part for part in parts if isinstance(part, ToolCall)}
            tidied.append(Message(role="assistant", parts=tuple(_mended(part) for part in parts)))
        else:
            tidied.append(Message(role="user", parts=_answered(parts, calls)))
            calls = {}
    if calls:
        tidied.append(Message(role="user", parts=_answered([], calls)))
    return tidied


def signed(parts: Iterable[Part], *, by: str) -> tuple[Part, ...]:
    """*parts* of the model *by*: what they hold for a provider says whose it is."""
    return tuple(
        part if isinstance(part, ToolResult) or not part.opaque else replace(part, opaque={**part.opaque, BY: by})
        for part in parts
    )


def own(messages: Iterable[Message], *, by: str) -> tuple[Message, ...]:
    """*messages* without what models other than *by* left for their providers: no other provider can use it."""
    return tuple(
        replace(message, parts=tuple(kept for part in message.parts for kept in _without_foreign(part, by)))
        if any(_is_foreign(part, by) for part in message.parts)
        else message
        for message in messages
    )


def _is_foreign(part: Part, by: str) -> bool:
    return not isinstance(part, ToolResult) and bool(part.opaque.get(BY, by) != by)


def _without_foreign(part: Part, by: str) -> tuple[Part, ...]:
    if isinstance(part, ToolResult) or not _is_foreign(part, by):
        return (part,)
    return () if isinstance(part, Thinking) else (replace(part, opaque={}),)


def with_tail(tidied: list[Message], tail: str) -> list[Message]:
    """*tidied* with *tail* as the last text of its newest user message, if that is the newest message of all."""
    if not tail.strip():
        return tidied
    last = tidied[-1] if tidied else Message(role="user", parts=())
    if last.role == "assistant":
        return tidied
    return [*tidied[:-1], replace(last, parts=(*last.parts, Text(text=tail)))]


def read_object(arguments: str) -> dict[str, Any] | None:
    """The JSON object that *arguments* is, None if it is none or could not be sent on as JSON."""
    if is_deep(arguments):
        return None
    try:
        value = decode(arguments)
        if SURROGATE.search(arguments):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_object(arguments: str) -> bool:
    """Whether `read_object` reads *arguments*. Each request asks this of its whole history, and most are short."""
    return _is_short_object(arguments) if len(arguments) <= SHORT else read_object(arguments) is not None


@lru_cache(maxsize=4096)
def _is_short_object(arguments: str) -> bool:
    return read_object(arguments) is not None


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse_constant(text)


decode = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse_constant).decode


def _sendable(part: Part, dialect: str) -> bool:
    if isinstance(part, Text):
        return bool(part.text.strip()) or dialect in part.opaque
    return not isinstance(part, Thinking) or dialect in part.opaque


def _without_loose_thinking(parts: list[Part]) -> list[Part]:
    """Thinking belongs to what follows it: providers refuse it at the end."""
    last = max((at for at, part in enumerate(parts) if not isinstance(part, Thinking)), default=-1)
    return parts[: last + 1]


def _mended(part: Part) -> Part:
    if not isinstance(part, ToolCall):
        return part
    name = NAME.sub("_", part.name)[:64] or "unknown"
    arguments = part.arguments if _is_object(part.arguments) else _shown(part.arguments) or "{}"
    return part if (name, arguments) == (part.name, part.arguments) else replace(part, name=name, arguments=arguments)


def _shown(arguments: str) -> str:
    """Broken *arguments* as the JSON that they can only have meant, "" if they can be read in several ways."""
    found = repaired(arguments)
    return json.dumps(found.value, ensure_ascii=False) if found and found.certain else ""


def _answered(parts: list[Part], calls: dict[str, ToolCall]) -> tuple[Part, ...]:
    results = {part.call: part for part in reversed(parts) if isinstance(part, ToolResult)}
    first: list[Part] = []
    for call in calls.values():
        result = results.get(call.id) or ToolResult(call=call.id, name=call.name, text=NOT_RUN, error=True)
        first.append(_with_raw(result, call))
    rest = [_as_text(part) for part in parts if not _answers(part, calls, results)]
    return (*first, *rest)


def _answers(part: Part, calls: dict[str, ToolCall], results: dict[str, ToolResult]) -> bool:
    return isinstance(part, ToolResult) and part.call in calls and results[part.call] is part


def _with_raw(result: ToolResult, call: ToolCall) -> ToolResult:
    if not call.arguments.strip() or _is_object(call.arguments) or _shown(call.arguments):
        return result
    raw = call.arguments[:SHOWN_RAW] + ("…" if len(call.arguments) > SHOWN_RAW else "")
    note = f"The arguments of this call were not a JSON object and are shown as {{}}. They were:\n{raw}\n\n"
    return replace(result, text=note + result.text)


def _as_text(part: Part) -> Part:
    if isinstance(part, ToolResult):
        return Text(text=f"Result of an earlier call of {part.name}:\n{part.text}")
    return part
