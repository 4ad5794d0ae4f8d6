"""All roles of a project: the shipped ones, the operator's, the project's, each within the one that it takes the place of."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path

from nightmill.crew.role import WRITES, Role, parse
from nightmill.errors import LimitReached, SettingsError
from nightmill.repo import Hub

__all__ = ["FOLDERS", "Crew", "at_commit", "find", "in_folder", "shipped"]

FOREIGN, SHIPPED = ".claude/agents", "nightmill/crew/roles"
FOLDERS = (FOREIGN, ".nightmill/crew")
"""Where a project keeps its roles; a later folder goes before an earlier one."""

SIZE = 64 << 10
COUNT = 100
LINK = "120000"

KEPT = frozenset({"finish", "report", "update_todo", "remember", "read_output"})
"""Tools that do nothing outside the conversation: a file for another program, which has none of them, takes none away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """The roles of one project, by name; *notes* says what is not as somebody may think, a sentence each, for people."""

    roles: tuple[Role, ...]
    notes: tuple[str, ...] = ()

    def role(self, name: str) -> Role:
        """The role *name*.

        Raises:
            SettingsError: If there is none.
        """
        for role in self.roles:
            if role.name == name:
                return role
        known = ", ".join(role.name for role in self.roles)
        raise SettingsError(f"there is no role {name!r}", hint=f"`nightmill crew` lists them: {known}")


def find(*, project: Mapping[str, str] | None = None, operator: Mapping[str, str] | None = None) -> Crew:
    """All roles, of file texts by path: the *operator*'s in place of the shipped, the *project*'s within both.

    A project can take tools away from a role that it has from us or from the operator, and have it write less, and
    never give it more: who plans does not edit, and who judges does not write. A file that was written for another
    program and is no role of ours is noted and left out.

    Raises:
        SettingsError: If a file that was written for nightmill is no role.
    """
    roles = {role.name: role for role in _parsed(shipped(), [])}
    roles |= {role.name: role for role in _parsed(operator or {}, [])}
    own, notes = dict[str, Role](), list[str]()
    for role in _parsed(project or {}, notes):
        if (other := own.get(role.name)) is not None:
            notes.append(f"{role.source} goes before {other.source}: both are {role.name!r}")
        own[role.name] = role
    for name, role in own.items():
        roles[name], said = _within(role, roles[name]) if name in roles else (role, [])
        notes += said
    found = tuple(roles[name] for name in sorted(roles))
    return Crew(roles=found, notes=(*notes, *(note for role in found for note in role.notes)))


def in_folder(root: Path, folders: Iterable[str] = FOLDERS) -> dict[str, str]:
    """Texts of the role files in *folders* below *root*, by path below *root*; links are not followed.

    Raises:
        SettingsError: If one cannot be read as text of a sensible size.
    """
    found: dict[str, str] = {}
    for folder in folders:
        place = root / folder
        if place.is_dir() and not place.is_symlink() and not place.parent.is_symlink():
            paths = _bounded(folder, (path.name for path in place.iterdir()))
            found |= {f"{folder}/{name}": _read(place / name) for name in paths}
    return found


def at_commit(hub: Hub, commit: str, folders: Iterable[str] = FOLDERS) -> dict[str, str]:
    """As `in_folder`, of a *commit*: what a run is asked for with, whatever is changed beside it.

    Raises:
        SettingsError: If one cannot be read as text of a sensible size.
    """
    found: dict[str, str] = {}
    for folder in folders:
        files = (each for each in hub.files(commit, within=(folder,)) if each.path.rpartition("/")[0] == folder)
        names = {each.path.rpartition("/")[2]: each for each in files}
        for name in _bounded(folder, names):
            path = f"{folder}/{name}"
            if names[name].mode == LINK:
                raise SettingsError(f"{path!r} is a link, which no role is read from", hint="replace it by the file")
            try:
                found[path] = _text(hub.show(commit, path, limit=SIZE), path)
            except LimitReached as error:
                raise _large(path) from error
    return found


@cache
def shipped() -> Mapping[str, str]:
    """Texts of the files of this release, by path."""
    folder = resources.files("nightmill.crew") / "roles"
    files = sorted((each for each in folder.iterdir() if each.name.endswith(".md")), key=lambda each: each.name)
    return {f"{SHIPPED}/{each.name}": each.read_text(encoding="utf-8") for each in files}


def _parsed(texts: Mapping[str, str], notes: list[str]) -> list[Role]:
    found = []
    for path in sorted(texts, key=lambda path: (not path.startswith(f"{FOREIGN}/"), path)):
        try:
            found.append(parse(texts[path], source=path))
        except SettingsError as error:
            if not path.startswith(f"{FOREIGN}/"):
                raise
            notes.append(f"{error.message}: it is left out")
    return found


def _within(role: Role, before: Role) -> tuple[Role, list[str]]:
    """*role* with no more than *before* has, and what it was not given."""
    tools, notes = role.tools, list[str]()
    if before.tools is not None:
        wanted = before.tools if role.tools is None else role.tools
        tools = tuple(tool for tool in before.tools if tool in wanted or tool in KEPT)
        notes = [
            f"{role.source}: {role.name} is not given {tool!r}, which {before.source} does not give it"
            for tool in sorted(set(wanted) - set(tools))
        ]
    writes = min(role.writes, before.writes, key=WRITES.index)
    view = role.point_of_view or before.point_of_view
    return replace(role, tools=tools, writes=writes, point_of_view=view), notes


def _bounded(folder: str, names: Iterable[str]) -> list[str]:
    found = sorted(name for name in names if name.endswith(".md") and name != "README.md")
    if len(found) > COUNT:
        raise SettingsError(f"{folder} holds {len(found)} roles, more than {COUNT}", hint="keep the ones that are used")
    return found


def _read(path: Path) -> str:
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise SettingsError(f"{str(path)!r} is not a regular file", hint="replace it by one")
            body = os.read(number, SIZE + 1)
        finally:
            os.close(number)
    except OSError as error:
        raise SettingsError(f"{str(path)!r} cannot be read: {error}", hint="make it a readable UTF-8 file") from error
    if len(body) > SIZE:
        raise _large(str(path))
    return _text(body, str(path))


def _text(body: bytes, path: str) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path!r} cannot be read: {error}", hint="make it a readable UTF-8 file") from error


def _large(path: str) -> SettingsError:
    return SettingsError(f"{path!r} is larger than {SIZE:,} bytes", hint="instructions that long are not followed")
