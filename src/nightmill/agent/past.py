"""A turn in one line, by code alone: what was called, on what, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence

from nightmill.model import Message, ToolCall, ToolResult
from nightmill.model.history import read_object

__all__ = ["called", "lines"]

MOST = 220
TELLING = ("path", "command", "pattern", "summary", "question")
"""Arguments that say what a call was about, in order."""


def lines(messages: Sequence[Message], *, first: int) -> list[str]:
    """A line for each turn of *messages*, numbered from *first*."""
    made: list[str] = []
    for at, message in enumerate(messages):
        if message.role != "assistant":
            continue
        after = messages[at + 1].parts if at + 1 < len(messages) and messages[at + 1].role == "user" else ()
        results = {part.call: part for part in after if isinstance(part, ToolResult)}
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        told = "; ".join(_told(call, results.get(call.id)) for call in calls) or "no call"
        made.append(f"turn {first + len(made)}: {told}"[:MOST])
    return made


def called(call: ToolCall) -> str:
    """*call* in a few words: its tool and what it was about."""
    given = read_object(call.arguments) or {}
    about = next((given[name] for name in TELLING if isinstance(given.get(name), str)), "")
    return f"{call.name} {' '.join(about.split())[:90]}".rstrip()


def _told(call: ToolCall, result: ToolResult | None) -> str:
    if result is None:
        return called(call)
    last = result.text.rstrip().rpartition("\n")[2]
    ended = " failed" if result.error else f" {last[:60]}" if last.startswith("(exit") else ""
    return called(call) + ended
