"""What a model meant by a call: which tool, with which arguments, and what had to be read into it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nightmill.errors import ToolError
from nightmill.model import ToolCall
from nightmill.model.depth import DEEPEST, is_deep
from nightmill.model.history import read_object
from nightmill.model.repair import Repaired, repaired
from nightmill.tool.base import Tool, one_line
from nightmill.tool.fit import Fitted, fit
from nightmill.tool.names import Found, find

__all__ = ["Understood", "understand"]

MOST_NOTES = 6
QUOTED = "the text of your reply holds a call of {}, perhaps as a quotation, so nothing was run; if you meant it, call the tool"


@dataclass(slots=True, kw_only=True)
class Understood:
    """A tool and arguments that have the shape of its own; values are not checked yet."""

    tool: Tool
    arguments: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def understand(call: ToolCall, tools: Mapping[str, Tool], schemas: Mapping[str, dict[str, Any]]) -> Understood:
    """What *call* meant.

    A tool that only reads is run with whatever can be made of its arguments. One that changes something is run only
    where there is one way to read the text, nothing is missing, and a name that was guessed fits in all it is given.

    Raises:
        ToolError: If it cannot be known, with what to do instead.
    """
    if call.written == "quoted":
        raise ToolError(QUOTED.format(call.name))
    given, mended = _given(call)
    found = find(call.name, given or {}, tools)
    if found is None:
        raise ToolError(f"there is no tool {call.name[:100]!r}; there are: {', '.join(tools)}")
    tool = tools[found.name]
    if given is None or (mended and not (mended.certain or (tool.reads and not mended.cut))):
        raise ToolError(f"the arguments of {found.name} are not a JSON object{_why(call, mended)}; nothing was run")
    fitted = fit({name: value for name, value in given.items() if name != found.without}, schemas[found.name])
    if found.guessed and not tool.reads and (fitted.ignored or fitted.guessed or mended):
        raise ToolError(
            f"there is no tool {call.name[:100]!r}, and its arguments are not those of {found.name}; nothing was run"
        )
    return Understood(
        tool=tool,
        arguments=fitted.arguments,
        notes=_notes(call, found, mended, fitted),
        ignored=[one_line(name, most=40) for name in fitted.ignored][:MOST_NOTES],
    )


def _given(call: ToolCall) -> tuple[dict[str, Any] | None, Repaired | None]:
    """The arguments, and what had to be repaired for that."""
    given = read_object(call.arguments.strip() or "{}")
    if given is not None:
        return given, None
    mended = repaired(call.arguments)
    return (mended.value if mended else None), mended


def _notes(call: ToolCall, found: Found, mended: Repaired | None, fitted: Fitted) -> list[str]:
    notes = ["the call was found in the text of your reply; make calls as tool calls"] if call.written else []
    notes += [found.note] if found.note else []
    if mended:
        notes.append(f"the arguments were not JSON ({', '.join(mended.notes)}), and were read in spite of it")
    notes += dict.fromkeys(fitted.notes)
    return [one_line(note) for note in notes][:MOST_NOTES]


def _why(call: ToolCall, mended: Repaired | None) -> str:
    """What is wrong with the text of the arguments, where the reader can say."""
    said = f": {', '.join(mended.notes)}, so what was meant would be a guess" if mended else ""
    if is_deep(call.arguments):
        return f" (brackets nest deeper than {DEEPEST} levels){said}"
    try:
        json.loads(call.arguments)
    except (ValueError, RecursionError) as error:
        return f" ({error}){said}"
    return said
