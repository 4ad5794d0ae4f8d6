"""Roles, read from Markdown files with YAML front matter as other agent tools keep them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from nightmill.crew.front import split
from nightmill.errors import SettingsError

__all__ = ["TOOLS", "WRITES", "Role", "Writes", "parse"]

Writes = Literal["nothing", "tests", "code"]
WRITES: tuple[Writes, ...] = ("nothing", "tests", "code")
"""What of a role's changes may become part of a change, the least first."""

TOOL = re.compile(r"[^\s,()]+(?:\([^)]*\))?")
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
KNOWN = frozenset({"name", "description", "tools", "writes", "model", "fallbacks", "point_of_view"})
WRITING = frozenset({"edit_file", "write_file", "apply_patch", "run_command"})
FOREIGN = {  # what others call our tools
    "Read": "read_file",
    "Glob": "list_files",
    "LS": "list_files",
    "Grep": "search",
    "Edit": "edit_file",
    "MultiEdit": "edit_file",
    "Write": "write_file",
    "Bash": "run_command",
    "TodoWrite": "update_todo",
    "BashOutput": "read_output",
    "Task": "explore",
    "Agent": "explore",
}
TOOLS = WRITING | {
    "read_file",
    "list_files",
    "search",
    "explore",
    "read_output",
    "update_todo",
    "remember",
    "report",
    "finish",
}
"""All that there are; who offers which is the phase's."""
ELSEWHERE = re.compile(
    r"mcp__.*|(?:Web|Notebook|Task|Cron|Kill|Enter|Exit)\w+|Skill|SlashCommand|AskUserQuestion|SendMessage|Workflow|LSP"
)
"""What others have and we do not: a role that names it goes without."""
NEAR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """Somebody who acts: an identity with instructions and tools.

    Attributes:
        name: Lower case letters, digits and "-"; part of its e-mail address.
        instructions: The body of its file.
        tools: Names of the tools it may have; None: all that the phase offers.
        writes: What of its changes may become part of a change; the rest of what it does to its workspace is dropped.
        model: "provider:model", "" for the setting's.
        fallbacks: Models that answer when it does not, best first; the setting's where neither is given.
        point_of_view: The question it asks of everything.
        source: The file it was read from.
        notes: What that file says and nightmill does not do, one sentence each, for people.
    """

    name: str
    description: str
    instructions: str
    tools: tuple[str, ...] | None = None
    writes: Writes = "code"
    model: str = ""
    fallbacks: tuple[str, ...] = ()
    point_of_view: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()


def parse(text: str, *, source: str) -> Role:
    """Read a role from the *text* of the file *source*; the file's own name stands in for a missing `name`.

    Keys of other tools are accepted, and none of them is obeyed: permissions are policy's.

    Raises:
        SettingsError: If there is no usable name, description or body, or a tool that nobody has.
    """
    head, body = split(text, source)
    name = str(head.get("name") or Path(source).name.removesuffix(".md").removesuffix(".agent"))
    description = " ".join(str(head.get("description") or "").split())
    if not NAME.fullmatch(name):
        raise SettingsError(
            f"{source}: {name!r} is not the name of a role", hint="use lower case letters, digits and '-'"
        )
    if not description or not body:
        missing = "instructions below the front matter" if description else "a description"
        raise SettingsError(
            f"{source}: the role {name!r} has no {missing}", hint="see docs/concepts/crew.md for the form"
        )
    model, about_model = _model(head.get("model"))
    fallbacks, about_fallbacks = _fallbacks(head.get("fallbacks"))
    ignored = sorted(str(key) for key in head if key not in KNOWN)
    tools, about_tools = _tools(head["tools"], text, source) if "tools" in head else (None, ())
    writes, about_writes = _writes(head.get("writes"), tools)
    return Role(
        name=name,
        description=description,
        instructions=body,
        tools=tools,
        writes=writes,
        model=model,
        fallbacks=fallbacks,
        point_of_view=" ".join(str(head.get("point_of_view") or "").split()),
        source=source,
        notes=(
            *about_tools,
            *about_writes,
            *about_model,
            *about_fallbacks,
            *(f"{source}: the key {key!r} is not used" for key in ignored),
        ),
    )


def _tools(value: Any, text: str, source: str) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Our names of the tools in *value*, None for all, and what is not had of them."""
    words = [str(word) for word in value] if isinstance(value, list) else TOOL.findall(str(value or ""))
    plain = [word for word in (each.partition("(")[0].strip() for each in words) if word]
    if "*" in plain:
        return None, ()
    named = dict.fromkeys(FOREIGN.get(word, word) for word in plain)
    strange = [name for name in named if name not in TOOLS]
    for name in strange:
        if not ELSEWHERE.fullmatch(name):
            near = get_close_matches(name, [*sorted(TOOLS), *FOREIGN], n=NEAR) or sorted(TOOLS)
            raise SettingsError(
                f"{source}:{_line(name, text)}: there is no tool {name!r}", hint=f"there are: {', '.join(near)}"
            )
    notes = tuple(f"{source}: there is no tool {name!r} here, so the role goes without" for name in strange)
    return tuple(name for name in named if name in TOOLS), notes


def _line(word: str, text: str) -> int:
    """The line of *text* in which *word* is named as a tool."""
    begins = text.find("tools:")
    return text.count("\n", 0, text.find(word, max(begins, 0))) + 1


def _writes(value: Any, tools: tuple[str, ...] | None) -> tuple[Writes, tuple[str, ...]]:
    """What *value* says, within what *tools* can do; a role that says nothing may write what it can."""
    able = tools is None or bool(WRITING & set(tools))
    if value is None:
        return "code" if able else "nothing", ()
    said = str(value).strip()
    if said not in WRITES:
        return "nothing", (f"it writes {said!r}, which is not nothing, tests or code: so it writes nothing",)
    return ("nothing" if not able else next(each for each in WRITES if each == said)), ()


def _model(value: Any) -> tuple[str, tuple[str, ...]]:
    wanted = str(value or "").strip()
    if wanted in {"", "inherit"} or ":" in wanted:
        return wanted.removeprefix("inherit"), ()
    return "", (f"the model {wanted!r} names no provider (provider:model), so the setting's is used",)


def _fallbacks(value: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    words = (
        [str(word).strip() for word in value] if isinstance(value, list) else str(value or "").replace(",", " ").split()
    )
    named = tuple(word for word in words if ":" in word)
    unnamed = (word for word in words if ":" not in word)
    return named, tuple(f"the fallback {word!r} names no provider (provider:model) and is left out" for word in unnamed)
