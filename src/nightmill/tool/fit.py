"""Arguments made to fit a tool: other names for its parameters, values of a nearly right kind, wrappers around them.

Nothing is done silently but what has no meaning (a null for an optional parameter): each change is a note for the model.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nightmill.model.history import read_object
from nightmill.model.repair import repaired
from nightmill.tool.names import distance, plain

__all__ = ["Fitted", "fit"]

ALSO = {
    "path": "file_path filepath filename file file_name target_file absolute_path relative_path target dir dir_path "
    "directory folder target_directory relative_workspace_path abs_path",
    "command": "cmd script shell_command bash_command code command_line input",
    "content": "contents text file_text file_content new_content data body code_content",
    "pattern": "query regex search regexp search_term search_pattern term",
    "glob": "include file_pattern glob_pattern include_pattern file_glob",
    "context": "context_lines",
    "offset": "start_line line_start start from_line first_line",
    "limit": "max_lines num_lines line_count length",
    "depth": "max_depth",
    "old": "old_string old_str old_text search find oldtext original before",
    "new": "new_string new_str new_text replace replacement newtext updated after",
    "all": "replace_all replaceall allow_multiple",
    "edits": "changes replacements",
    "items": "todos plan tasks todo list todo_list",
    "text": "content step title task description",
    "state": "status",
    "criterion": "id criterion_id name",
    "by": "evidence test tests shown_by proof",
    "summary": "message result answer text response final_answer",
    "reference": "id ref output_id output output_reference bash_id",
}
"""For each parameter of ours the names that models learnt for it elsewhere."""

STATES = {
    "doing": "inprogress started active current wip",
    "done": "completed complete finished closed",
    "pending": "todo open notstarted new planned",
}
WRAPPERS = frozenset({"arguments", "parameters", "input", "args", "kwargs", "params", "properties", "toolinput"})
BESIDE = frozenset({"name", "tool", "toolname", "function", "id", "type", "callid"})
SHELLS = frozenset({"bash", "sh", "zsh", "/bin/bash", "/bin/sh", "/usr/bin/bash"})
FOLDERS = frozenset({"workdir", "cwd", "workingdirectory", "workingdir"})
INTEGER, NUMBER = re.compile(r"[+-]?\d{1,18}"), re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?")
PAIR = 2


@dataclass(slots=True)
class Fitted:
    """Arguments for a tool. *notes* say what was changed; *guessed*: a name was matched by likeness only."""

    arguments: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    guessed: bool = False


def fit(given: Mapping[str, Any], schema: Mapping[str, Any]) -> Fitted:
    """*given* as *schema* (an object without references) has it; what cannot be made to fit is left for validation."""
    properties: dict[str, Any] = schema.get("properties") or {}
    made = Fitted({})
    given = _unwrapped(dict(given), properties, made)
    rest = _named(given, properties, made)
    if {"offset", "limit"} <= properties.keys():
        _range(rest, made)
    if "timeout" in properties:
        _milliseconds(rest, made)
    required = [name for name in schema.get("required") or () if name not in made.arguments]
    for name in required:
        _gathered(name, properties[name], rest, made)
    _alike(rest, [name for name in required if name not in made.arguments], properties, made)
    for name in list(made.arguments):
        value = made.arguments[name]
        if value is None and name not in (schema.get("required") or ()):
            del made.arguments[name]
        else:
            made.arguments[name] = _value(value, properties[name], name, made)
    if "command" in properties:
        _folder(rest, made)
    made.ignored += sorted(rest)
    return made


def _unwrapped(given: dict[str, Any], properties: Mapping[str, Any], made: Fitted) -> dict[str, Any]:
    """What is inside `{"arguments": {…}}`, perhaps beside a name."""
    for name, value in given.items():
        others = {plain(each) for each in given if each != name}
        if plain(name) not in WRAPPERS or name in properties or not others <= BESIDE:
            continue
        inner = read_object(value) if isinstance(value, str) else value
        if isinstance(inner, dict) and not others & {plain(each) for each in properties}:
            made.notes.append(f"what is inside {name!r} was taken")
            return inner
    return given


def _named(given: dict[str, Any], properties: Mapping[str, Any], made: Fitted) -> dict[str, Any]:
    """Take in what goes by a name of *properties* or by another one for it; what is left over is returned."""
    rest: dict[str, Any] = {}
    spelled = {plain(name): name for name in properties}
    for name in properties:
        for each in ALSO.get(name, "").split():
            spelled.setdefault(plain(each), name)
    for name, value in given.items():
        if name in properties:
            made.arguments[name] = value
    for name, value in given.items():
        target = spelled.get(plain(name))
        if name in properties:
            continue
        if target and target not in made.arguments:
            made.arguments[target] = value
            made.notes.append(f"{name[:40]!r} read as {target!r}")
        else:
            rest[name] = value
    return rest


def _range(rest: dict[str, Any], made: Fitted) -> None:
    """`[first, last]` and `end_line` as offset and limit."""
    for name in [each for each in rest if plain(each) in {"viewrange", "linerange", "lines", "range"}]:
        value = rest[name]
        if isinstance(value, list) and len(value) == PAIR and all(isinstance(each, int) for each in value):
            del rest[name]
            first, last = value
            made.arguments.setdefault("offset", max(1, first))
            if last >= first:
                made.arguments.setdefault("limit", last - max(1, first) + 1)
            made.notes.append(f"{name!r} read as 'offset' and 'limit'")
    for name in [each for each in rest if plain(each) in {"endline", "lineend", "end", "toline", "lastline"}]:
        first, last = made.arguments.get("offset", 1), rest[name]
        if isinstance(first, int) and isinstance(last, int) and last >= first and "limit" not in made.arguments:
            del rest[name]
            made.arguments["limit"] = last - first + 1
            made.notes.append(f"{name!r} read as 'limit'")


def _milliseconds(rest: dict[str, Any], made: Fitted) -> None:
    for name in [each for each in rest if plain(each) in {"timeoutms", "timeoutmilliseconds"}]:
        value = rest[name]
        if isinstance(value, int | float) and "timeout" not in made.arguments:
            del rest[name]
            made.arguments["timeout"] = value / 1000
            made.notes.append(f"{name!r} read as 'timeout', in seconds")


def _folder(rest: dict[str, Any], made: Fitted) -> None:
    """A folder to run a command in, as a part of the command."""
    for name in [each for each in rest if plain(each) in FOLDERS and isinstance(rest[each], str)]:
        folder, command = rest.pop(name), made.arguments.get("command")
        if isinstance(command, str) and folder.rstrip("/") not in {"", ".", "/work/repo"}:
            made.arguments["command"] = f"cd {shlex.quote(folder)} || exit\n{command}"
            made.notes.append(f"{name!r} read as a cd before the command")


def _gathered(name: str, schema: Mapping[str, Any], rest: dict[str, Any], made: Fitted) -> None:
    """What lies about at the top, as the one member of the list *name* that it fits: old_string and new_string as edits."""
    items = schema.get("items") or {}
    if schema.get("type") != "array" or "properties" not in items or not rest:
        return
    inner = _named(rest, items["properties"], found := Fitted({}))
    if not inner and found.arguments.keys() >= set(items.get("required") or ()):
        made.arguments[name] = [found.arguments]
        made.notes.append(f"{', '.join(map(repr, rest))} read as one of {name!r}")
        rest.clear()


def _alike(rest: dict[str, Any], missing: list[str], properties: Mapping[str, Any], made: Fitted) -> None:
    """Names with a slip in them, where they can mean one parameter only."""
    del properties
    for name in missing:
        near = [each for each in rest if distance(plain(each), plain(name), most=2) <= min(2, len(name) // 3)]
        if len(near) == 1:
            made.arguments[name] = rest.pop(near[0])
            made.notes.append(f"{near[0][:40]!r} read as {name!r}")
            made.guessed = True


def _value(value: Any, schema: Mapping[str, Any], name: str, made: Fitted) -> Any:
    kind = schema.get("type")
    read = READERS.get(kind if isinstance(kind, str) else "")
    changed = read(value, schema, name, made) if read else value
    if type(changed) is not type(value) and changed is not value:
        made.notes.append(f"{name!r} read as {WORDS[str(kind)]}")
    return changed


WORDS = {
    "string": "text", "integer": "a number", "number": "a number", "boolean": "true or false", "array": "a list",
    "object": "an object",
}  # fmt: skip


def _text(value: Any, schema: Mapping[str, Any], name: str, made: Fitted) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return str(value)
    if name == "command" and isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        shell = value[0] in SHELLS and len(value) == PAIR + 1 and value[1].startswith("-") and value[1].endswith("c")
        return value[2] if shell else value[0] if len(value) == 1 else shlex.join(value)
    choices = schema.get("enum")
    if choices and isinstance(value, str) and value not in choices:
        for choice in choices:
            if plain(value) in {plain(str(choice)), *STATES.get(choice, "").split()}:
                made.notes.append(f"{value[:40]!r} read as {choice!r}")
                return choice
    return value


def _integer(value: Any, _schema: Mapping[str, Any], name: str, made: Fitted) -> Any:
    if isinstance(value, str) and INTEGER.fullmatch(value.strip()):
        value = int(value)
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    if name == "offset" and value == 0:  # where the first line is number 0
        made.notes.append("'offset' 0 read as 1")
        return 1
    return value


def _number(value: Any, schema: Mapping[str, Any], name: str, made: Fitted) -> Any:
    value = float(value) if isinstance(value, str) and NUMBER.fullmatch(value.strip()) else value
    most = schema.get("maximum")
    if name == "timeout" and most and isinstance(value, int | float) and most < value <= 1000 * most:
        made.notes.append("'timeout' read as milliseconds")  # as Claude Code's
        return value / 1000
    return value


def _boolean(value: Any, _schema: Mapping[str, Any], _name: str, _made: Fitted) -> Any:
    said = value.strip().lower() if isinstance(value, str) else ""
    return said == "true" if said in {"true", "false"} else value


def _list(value: Any, schema: Mapping[str, Any], name: str, made: Fitted) -> Any:
    items = schema.get("items") or {}
    if isinstance(value, str) and value.lstrip().startswith("["):
        # An object is what the reader of repairs takes, so the list is put into one.
        inner = read_object(f'{{"list": {value}}}')
        found = repaired(f'{{"list": {value}}}') if inner is None else None
        if found and found.certain:
            inner, made.notes = found.value, [*made.notes, *found.notes]
        value = (inner or {}).get("list", value)
    if isinstance(value, dict) or (isinstance(value, str) and items.get("type") == "string"):
        value = [value]
    return [_value(each, items, name, made) for each in value] if isinstance(value, list) else value


def _object(value: Any, schema: Mapping[str, Any], _name: str, made: Fitted) -> Any:
    needed: list[str] = list(schema.get("required") or ())
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = read_object(value) or value
    elif isinstance(value, str) and len(needed) == 1:
        value = {needed[0]: value}
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    inner = fit(value, schema)
    made.notes += [note for note in inner.notes if note not in made.notes]
    made.ignored += [each for each in inner.ignored if each not in made.ignored]
    made.guessed |= inner.guessed
    return inner.arguments


READERS = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "array": _list,
    "object": _object,
}
