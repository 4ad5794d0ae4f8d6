"""The tools that a step offers, and how a call of one is carried out whatever the model sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import ValidationError

from nightmill.errors import ToolError
from nightmill.model import ToolCall, ToolSchema
from nightmill.tool.apply_patch import ApplyPatch
from nightmill.tool.base import Answer, Tool, ToolContext, one_line, whole
from nightmill.tool.command import RunCommand
from nightmill.tool.edit import EditFile
from nightmill.tool.explore import Explore, Report
from nightmill.tool.files import ListFiles, ReadFile, Search, WriteFile
from nightmill.tool.recall import ReadOutput
from nightmill.tool.understand import understand
from nightmill.tool.work import FinishWork, Remember, UpdateTodo

__all__ = ["Prepared", "Toolset", "developing", "exploring", "standard"]

MOST_NAMED = 6


class Prepared(NamedTuple):
    """A call that can be carried out. *notes*: what had to be read into it, for the model to do better."""

    tool: Tool
    arguments: Any
    label: str
    ignored: tuple[str, ...]
    notes: tuple[str, ...] = ()


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
        self._parameters = {schema.name: schema.parameters for schema in self.schemas}

    def prepare(self, call: ToolCall) -> Prepared:
        """Read and check the arguments of *call*.

        Raises:
            ToolError: If there is no such tool, or its arguments cannot be known or are not what it takes.
        """
        meant = understand(call, self.tools, self._parameters)
        tool = meant.tool
        try:
            arguments = tool.arguments.model_validate(meant.arguments)
        except ValidationError as error:
            raise ToolError(f"the arguments of {tool.name} are wrong: {_faults(error)}; nothing was run") from None
        return Prepared(tool, arguments, one_line(tool.label(arguments)), tuple(meant.ignored), tuple(meant.notes))

    async def call(self, prepared: Prepared, context: ToolContext) -> Answer:
        """Carry out *prepared*.

        Raises:
            ToolError: If it cannot be; the message is the result that the model sees.
        """
        notes = f"\n({'; '.join(prepared.notes)})" if prepared.notes else ""
        try:
            answer = await prepared.tool.call(prepared.arguments, context)
        except ToolError as error:
            raise ToolError(whole(error.message + notes)) from error
        return replace(answer, text=whole(answer.text + notes))


def exploring() -> Toolset:
    """What an explorer has: it reads."""
    return Toolset((ReadFile(), ListFiles(), Search(), Report()))


def standard() -> Toolset:
    """What a developer has."""
    return Toolset(
        (
            ReadFile(),
            ListFiles(),
            Search(),
            Explore(),
            EditFile(),
            WriteFile(),
            RunCommand(),
            ReadOutput(),
            UpdateTodo(),
            Remember(),
            FinishWork(),
        )
    )


def developing(model: str) -> Toolset:
    """What a developer has who works with *model* ("provider:name"): OpenAI's were trained on `apply_patch`, too.

    It is decided once for a run: a fallback of another provider keeps the tools that the conversation began with.
    """
    tools = standard().tools.values()
    return Toolset((*tools, ApplyPatch())) if model.startswith("openai") else Toolset(tools)


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
