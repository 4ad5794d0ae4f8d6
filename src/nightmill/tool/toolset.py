"""The tools that a step offers, and how a call of one is carried out whatever the model sent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from nightmill.errors import ToolError
from nightmill.model import ToolCall, ToolSchema
from nightmill.model.history import read_object
from nightmill.tool.apply_patch import ApplyPatch
from nightmill.tool.base import Answer, Tool, ToolContext, one_line, whole
from nightmill.tool.command import RunCommand
from nightmill.tool.edit import EditFile
from nightmill.tool.explore import Explore, Report
from nightmill.tool.files import ListFiles, ReadFile, Search, WriteFile
from nightmill.tool.handover import HandOver
from nightmill.tool.names import find
from nightmill.tool.recall import ReadOutput
from nightmill.tool.understand import understand
from nightmill.tool.veil import marked
from nightmill.tool.work import FinishWork, Remember, UpdateTodo

__all__ = ["Prepared", "Toolset", "Withheld", "crewed", "developing", "exploring", "standard"]

MOST_NAMED = 6
INWARD = frozenset({"finish", "report", "update_todo", "remember", "read_output"})


class Prepared(NamedTuple):
    """A call that can be carried out. *notes*: what had to be read into it, for the model to do better."""

    tool: Tool
    arguments: Any
    label: str
    ignored: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Withheld(ToolError):
    """A call of a tool that is not among those of the role: nothing was run, whatever the model says."""


class Toolset:
    """Tools by name. *withheld* are those that a model may ask for and that its role does not have."""

    def __init__(self, tools: Iterable[Tool], *, withheld: Iterable[Tool] = ()) -> None:
        self.tools = {tool.name: tool for tool in tools}
        self._withheld = Toolset(withheld) if withheld else None
        self.schemas = tuple(
            ToolSchema(name=tool.name, description=tool.description, parameters=_parameters(tool.arguments))
            for tool in self.tools.values()
        )
        self._parameters = {schema.name: schema.parameters for schema in self.schemas}

    def only(self, names: Collection[str] | None) -> Toolset:
        """Those of *names* (None: all), and what does nothing outside the conversation: no role goes without that."""
        if names is None:
            return self
        kept = {*names, *INWARD} | ({"apply_patch"} if {"edit_file", "write_file"} <= {*names} else set())
        tools = self.tools.values()
        return Toolset(
            (tool for tool in tools if tool.name in kept), withheld=[tool for tool in tools if tool.name not in kept]
        )

    def handing_over(self, schema: Mapping[str, Any]) -> Toolset:
        """These, of which `finish` takes an object of *schema*."""
        last = HandOver(schema, works="edit_file" in self.tools)
        kept = [tool for name, tool in self.tools.items() if name != last.name]
        return Toolset((*kept, last), withheld=tuple(self._withheld.tools.values()) if self._withheld else ())

    def prepare(self, call: ToolCall) -> Prepared:
        """Read and check the arguments of *call*.

        Raises:
            Withheld: If it is of a tool that the role does not have.
            ToolError: If there is no such tool, or its arguments cannot be known or are not what it takes.
        """
        if self._withheld:
            found = find(call.name, read_object(call.arguments) or {}, {**self.tools, **self._withheld.tools})
            if found and found.name in self._withheld.tools:
                raise Withheld(
                    f"your role does not have {found.name}; it has: {', '.join(self.tools)}; nothing was run"
                )
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
            raise ToolError(await marked(whole(error.message + notes), context)) from error
        text = whole(answer.text + notes)
        return replace(answer, text=text if answer.veiled else await marked(text, context))


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


def crewed(model: str, *, only: Collection[str] | None, output: Mapping[str, Any] | None = None) -> Toolset:
    """What a role has in a step: of a developer's tools those that *only* names, all for None.

    *output* is the JSON schema of what it has to hand over when it finishes.
    """
    found = developing(model).only(only)
    return found.handing_over(output) if output else found


def _faults(error: ValidationError) -> str:
    faults = error.errors()[:MOST_NAMED]
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'call'}: {fault['msg']}" for fault in faults)


@lru_cache(maxsize=64)
def _parameters(arguments: type[BaseModel]) -> dict[str, Any]:
    """What *arguments* are, as JSON schema; to be read only. Pydantic takes a millisecond for each."""
    return _schema(arguments.model_json_schema())


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
