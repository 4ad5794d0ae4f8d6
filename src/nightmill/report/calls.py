"""A tool call and its result in the shape in which a person reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nightmill.model import ToolCall, ToolResult
from nightmill.model.history import read_object
from nightmill.report.diff import Line, between
from nightmill.report.hunks import Rows, rows
from nightmill.report.text import Shown, one_line, shown

__all__ = ["CallView", "Todo", "sizes", "view"]

ending = re.compile(r"\n?\((exit status (-?\d+)|stopped[^()\n]*)(?:, no output)?\)\s*\Z")
SHORT = 1200
"""Characters of a result up to which it is shown unfolded."""


class Todo(NamedTuple):
    """One line of the agent's list."""

    text: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallView:
    """One call.

    Attributes:
        shape: edit, command, write, todo, finish or other: which part of the template draws it.
        subject: What it is about: path and range, pattern, command.
        ended: How a command ended.
        ok: False: an error was shown to the model, or the command failed.
        result: None: there is none, because its worker died or the run ended.
        diffs: Of an edit.
        body: Of a write, a finish or an unknown tool.
    """

    name: str
    shape: str
    subject: str
    ok: bool
    seconds: float | None
    result: Shown | None
    folded: bool
    error: bool = False
    ended: str = ""
    diffs: tuple[Rows, ...] = ()
    body: Shown | None = None
    todo: tuple[Todo, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()


def view(call: ToolCall, result: ToolResult | None, *, seconds: float | None, room: int) -> CallView:
    """*call* with its *result*, each text in at most about *room* characters."""
    given = arguments(call)
    shape, subject, more = SHAPES.get(call.name, _other)(given, room) if given is not None else _raw(call, room)
    text, ended, failed = result.text if result else "", "", False
    if shape == "command" and (found := ending.search(text)):
        text, ended, failed = text[: found.start()], found[1], found[2] != "0"
    error = result is not None and result.error
    return CallView(
        name=call.name,
        shape=shape,
        subject=subject,
        ok=not (error or failed),
        error=error,
        seconds=seconds,
        ended=ended,
        result=shown(text, room) if result else None,
        folded=len(text) > SHORT and not error,
        **more,
    )


def arguments(call: ToolCall) -> dict[str, Any] | None:
    """The arguments of *call*, None if they are not a JSON object."""
    return read_object(call.arguments or "{}")


def sizes(parts: Sequence[Any]) -> list[int]:
    """How long the texts of a turn's parts are, for sharing out the room."""
    return [len(part.arguments) if isinstance(part, ToolCall) else len(part.text) for part in parts]


Drawn = tuple[str, str, dict[str, Any]]


def _edit(given: dict[str, Any], room: int) -> Drawn:
    edits = given.get("edits")
    pairs = [each for each in edits if isinstance(each, dict)] if isinstance(edits, list) else [given]
    diffs: list[Rows] = []
    for each in pairs[:20]:
        made = rows(between(_text(each, "old"), _text(each, "new")), room)
        room -= sum(len(row.text) for row in made.rows)
        diffs.append(made)
    return "edit", _text(given, "path"), {"diffs": tuple(diffs)}


def _write(given: dict[str, Any], room: int) -> Drawn:
    lines = [Line("add", line, 0, number) for number, line in enumerate(_text(given, "content").split("\n"), 1)]
    return "edit", _text(given, "path"), {"diffs": (rows(lines, room),)}


def _command(given: dict[str, Any], room: int) -> Drawn:
    return "command", "", {"body": shown(_text(given, "command"), room)}


def _read(given: dict[str, Any], _room: int) -> Drawn:
    start, limit = given.get("offset"), given.get("limit")
    span = ""
    if isinstance(start, int) or isinstance(limit, int):
        first = start if isinstance(start, int) else 1
        span = f", lines {first} to {first + limit - 1}" if isinstance(limit, int) else f", from line {first}"
    return "plain", _text(given, "path") + span, {}


def _search(given: dict[str, Any], _room: int) -> Drawn:
    glob = _text(given, "glob")
    where = f"{_text(given, 'path') or '.'}{' (' + glob + ')' if glob else ''}"
    return "plain", f"{one_line(_text(given, 'pattern'), most=200)} in {where}", {}


def _todo(given: dict[str, Any], _room: int) -> Drawn:
    items = given.get("items")
    found = [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []
    todo = [Todo(one_line(_text(each, "text"), most=300), _text(each, "state") or "pending") for each in found[:50]]
    return "todo", f"{sum(each.state == 'done' for each in todo)} of {len(todo)} done", {"todo": tuple(todo)}


def _finish(given: dict[str, Any], room: int) -> Drawn:
    evidence = given.get("evidence")
    found = [each for each in evidence if isinstance(each, dict)] if isinstance(evidence, list) else []
    pairs = [(_text(each, "criterion"), one_line(_text(each, "by"), most=400)) for each in found[:60]]
    return "finish", "", {"body": shown(_text(given, "summary"), room), "pairs": tuple(pairs)}


def _other(given: dict[str, Any], room: int) -> Drawn:
    return "other", "", {"body": shown(json.dumps(given, indent=2, ensure_ascii=False), room)} if given else {}


def _raw(call: ToolCall, room: int) -> Drawn:
    return "other", "arguments that are not a JSON object", {"body": shown(call.arguments, room)}


SHAPES: dict[str, Callable[[dict[str, Any], int], Drawn]] = {
    "edit_file": _edit,
    "write_file": _write,
    "run_command": _command,
    "read_file": _read,
    "list_files": _read,
    "search": _search,
    "update_todo": _todo,
    "finish": _finish,
}


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name, "")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
