"""Tools for models that have no calls of their own: described in the instructions, called and answered in text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from nightmill.model.dialect import Dialect, Reading
from nightmill.model.history import read_object, tidy
from nightmill.model.message import ModelRequest, Part, Text, ToolCall, ToolResult, ToolSchema

__all__ = ["Spoken"]

CLOSING = "</tool_response"


class Spoken:
    """A dialect whose model is given no tools, calls and results but words in their place; the same words each time."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.name = dialect.name
        self.path = dialect.path

    def headers(self, key: str) -> dict[str, str]:
        """Those of the dialect."""
        return self._dialect.headers(key)

    def body(self, request: ModelRequest) -> dict[str, Any]:
        """The dialect's, of a request that is all words."""
        messages = tidy(request.messages, dialect=self.name)
        system = (*request.system, _described(request.tools)) if request.tools else request.system
        spoken = tuple(replace(message, parts=tuple(_words(part) for part in message.parts)) for message in messages)
        return self._dialect.body(replace(request, tools=(), system=system, messages=spoken))

    def reading(self) -> Reading:
        """That of the dialect: the calls are found in its text when it is whole."""
        return self._dialect.reading()


def _described(tools: Iterable[ToolSchema]) -> str:
    lines = [
        json.dumps(
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}, ensure_ascii=False
        )
        for tool in tools
    ]
    return _instructions().replace("{tools}", "\n".join(lines))


@cache
def _instructions() -> str:
    return Path(__file__).with_suffix(".md").read_text(encoding="utf-8")


def _words(part: Part) -> Part:
    if isinstance(part, ToolCall):
        call = {"name": part.name, "arguments": read_object(part.arguments) or {}}
        return Text(text=f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>")
    if isinstance(part, ToolResult):
        # What a file says cannot end its own result and speak for the system.
        said = part.text.replace(CLOSING, CLOSING.replace("/", "\\/"))
        kind = ' error="true"' if part.error else ""
        return Text(text=f'<tool_response name="{part.name}"{kind}>\n{said}\n</tool_response>')
    return part
