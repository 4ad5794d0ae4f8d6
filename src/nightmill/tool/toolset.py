"""The tools that a step offers, and how a call of one is carried out whatever the model sent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import ValidationError

from nightmill.errors import ToolError
from nightmill.model import ToolCall, ToolSchema
from nightmill.model.history import read_object
from nightmill.tool.base import Answer, Tool, ToolContext, one_line, whole
from nightmill.tool.command import RunCommand
from nightmill.tool.edit import EditFile
from nightmill.tool.files import ListFiles, ReadFile, Search, WriteFile
from nightmill.tool.work import FinishWork, Remember, UpdateTodo

__all__ = ["Prepared", "Toolset", "standard"]

MOST_NAMED = 6


class Prepared(NamedTuple):
    """A call that can be carried out."""

    tool: Tool
    arguments: Any
    label: str
    ignored: tuple[str, ...]


class Toolset:
    """Tools by name."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self.tools = {tool.name: tool for tool in tools}
        self.schemas = tuple(
            ToolSchema(
                name=tool.name, description=tool.description, parameters=_schema(tool.arguments.model_json_schema())
            )
            for tool in self.tools.values()
        )

    def prepare(self, call: ToolCall) -> Prepared:
        """Read and check the arguments of *call*.

        Raises:
            ToolError: If there is no such tool, or its arguments are not JSON or not what it takes.
        """
        tool = self.tools.get(call.name)
        if tool is None:
            raise ToolError(f"there is no tool {call.name[:100]!r}; there are: {', '.join(self.tools)}")
        given = read_object(call.arguments.strip() or "{}")
        if given is None:
            raise ToolError(f"the arguments of {call.name} are not a JSON object{_why(call)}; nothing was run")
        try:
            arguments = tool.arguments.model_validate(given)
        except ValidationError as error:
            raise ToolError(f"the arguments of {call.name} are wrong: {_faults(error)}; nothing was run") from None
        ignored = tuple(one_line(name, most=40) for name in sorted(set(given) - set(tool.arguments.model_fields)))
        return Prepared(tool, arguments, one_line(tool.label(arguments)), ignored[:MOST_NAMED])

    async def call(self, prepared: Prepared, context: ToolContext) -> Answer:
        """Carry out *prepared*.

        Raises:
            ToolError: If it cannot be; the message is the result that the model sees.
        """
        try:
            answer = await prepared.tool.call(prepared.arguments, context)
        except ToolError as error:
            raise ToolError(whole(error.message)) from error
        return replace(answer, text=whole(answer.text))


def standard() -> Toolset:
    """What a developer has."""
    return Toolset(
        (
            ReadFile(),
            ListFiles(),
            Search(),
            EditFile(),
            WriteFile(),
            RunCommand(),
            UpdateTodo(),
            Remember(),
            FinishWork(),
        )
    )


def _why(call: ToolCall) -> str:
    """What is wrong with the text of the arguments, where the reader can say."""
    try:
        json.loads(call.arguments)
    except (ValueError, RecursionError) as error:
        return f" ({error})"
    return ""


def _faults(error: ValidationError) -> str:
    faults = error.errors()[:MOST_NAMED]
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'call'}: {fault['msg']}" for fault in faults)


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Pydantic's schema without titles and with its definitions in place: fewer tokens, and every provider takes it."""
    definitions = schema.pop("$defs", {})

    def plain(node: Any) -> Any:
        if isinstance(node, list):
            return [plain(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            node = {**definitions[node["$ref"].rsplit("/", 1)[1]], **{k: v for k, v in node.items() if k != "$ref"}}
        if "anyOf" in node and any(each == {"type": "null"} for each in node["anyOf"]):
            kept = [each for each in node["anyOf"] if each != {"type": "null"}]
            node = {**{k: v for k, v in node.items() if k not in {"anyOf", "default"}}, **kept[0]}
        return {k: plain(v) for k, v in node.items() if not (k == "title" and isinstance(v, str))}

    cleaned: dict[str, Any] = plain(schema)
    cleaned.pop("description", None)
    return cleaned
