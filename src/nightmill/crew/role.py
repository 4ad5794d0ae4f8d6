"""Roles, read from Markdown files with YAML front matter as other agent tools keep them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from nightmill.crew.front import split
from nightmill.errors import SettingsError

__all__ = ["Role", "load", "parse", "read_overrides"]

FOLDER = ".nightmill/crew"
SIZE = 64 << 10
COUNT = 100

TOOL = re.compile(r"[^\s,()]+(?:\([^)]*\))?")
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
KNOWN = frozenset({"name", "description", "tools", "model", "fallbacks", "point_of_view"})
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
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """Somebody who acts: an identity with instructions and tools.

    Attributes:
        name: Lower case letters, digits and "-"; part of its e-mail address.
        instructions: The body of its file.
        tools: Names of the tools it may have; None: all that the phase offers.
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
    model: str = ""
    fallbacks: tuple[str, ...] = ()
    point_of_view: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()


def load(*, overrides: Mapping[str, str] | None = None) -> dict[str, Role]:
    """The shipped roles by name, with *overrides* (file texts by path) in place of or beside them.

    An override of a shipped role can take tools away from it and never give it more: who plans does not edit.

    Raises:
        SettingsError: If a file is no role.
    """
    roles = {role.name: role for role in _shipped()}
    for source, text in sorted((overrides or {}).items()):
        role = parse(text, source=source)
        before = roles.get(role.name)
        roles[role.name] = role if before is None or before.source == role.source else _within(role, before)
    return roles


def parse(text: str, *, source: str) -> Role:
    """Read a role from the *text* of the file *source*; the file's own name stands in for a missing `name`.

    Keys of other tools are accepted, and none of them is obeyed: permissions are policy's.

    Raises:
        SettingsError: If there is no usable name, description or body.
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
    return Role(
        name=name,
        description=description,
        instructions=body,
        tools=_tools(head["tools"]) if "tools" in head else None,
        model=model,
        fallbacks=fallbacks,
        point_of_view=" ".join(str(head.get("point_of_view") or "").split()),
        source=source,
        notes=(*about_model, *about_fallbacks, *(f"{source}: the key {key!r} is not used" for key in ignored)),
    )


def read_overrides(root: Path) -> dict[str, str]:
    """Texts of the role files in *root*/.nightmill/crew, by path below *root*; links are not followed.

    Raises:
        SettingsError: If one cannot be read as text of a sensible size.
    """
    folder = root / FOLDER
    if not folder.is_dir() or folder.is_symlink():
        return {}
    paths = sorted(path for path in folder.iterdir() if path.suffix == ".md")
    if len(paths) > COUNT:
        raise SettingsError(f"{FOLDER} holds {len(paths)} roles, more than {COUNT}", hint="keep the ones that are used")
    return {f"{FOLDER}/{path.name}": _read(path) for path in paths}


def _shipped() -> list[Role]:
    folder = resources.files("nightmill.crew") / "roles"
    files = sorted((each for each in folder.iterdir() if each.name.endswith(".md")), key=lambda each: each.name)
    return [parse(each.read_text(encoding="utf-8"), source=f"nightmill/crew/roles/{each.name}") for each in files]


def _within(role: Role, before: Role) -> Role:
    if before.tools is None:
        return role
    kept = before.tools if role.tools is None else tuple(tool for tool in role.tools if tool in before.tools)
    lost = sorted(set(role.tools or ()) - set(kept))
    notes = [f"{role.source}: {role.name} is not given {tool!r}, which the shipped role does not have" for tool in lost]
    return replace(role, tools=kept, notes=(*role.notes, *notes))


def _tools(value: Any) -> tuple[str, ...]:
    words = [str(word) for word in value] if isinstance(value, list) else TOOL.findall(str(value or ""))
    plain = [word.partition("(")[0].strip() for word in words]
    return tuple(dict.fromkeys(FOREIGN.get(word, word) for word in plain if word))


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


def _read(path: Path) -> str:
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise SettingsError(f"{str(path)!r} is not a regular file", hint="replace it by one")
            body = os.read(number, SIZE + 1)
        finally:
            os.close(number)
        if len(body) > SIZE:
            raise SettingsError(
                f"{str(path)!r} is larger than {SIZE:,} bytes", hint="instructions that long are not followed"
            )
        return body.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{str(path)!r} cannot be read: {error}", hint="make it a readable UTF-8 file") from error
