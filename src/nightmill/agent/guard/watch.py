"""What a call did to files that verify: tests, and how they are run. They are read before and after, if it may touch them.

Which files, its arguments say: a path, a patch, a command that writes. What a program does to files that its command
line does not name is not seen here; the checks that the system runs itself see that tests are gone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from posixpath import basename, dirname, join

from nightmill.code import Change, is_setup, is_test
from nightmill.errors import ToolError
from nightmill.sandbox import Workspace
from nightmill.tool.base import ROOT, Arguments, known_as

__all__ = ["Watch"]

MOST_FILES = 24
MOST_BYTES = 512 << 10
LOOKED_AT = 20_000
"""Characters of a call's arguments that are looked at for names of files."""
WRITES = re.compile(r"\b(?:rm|mv|git|sed|perl|tee|truncate|cp|patch|unlink|python\d?|find|shred)\b|>")
"""Commands that may change a file that they name."""
TOUCHING = frozenset({"path", "command", "patch"})
"""Arguments of calls that touch files."""
REMOVES = re.compile(r"\b(?:rm|mv|unlink|find|shred|trash)\b")
"""Commands that may take away whole folders."""
PATH = re.compile(r"[\w.@+*?/\[\]-]+")
GOES = re.compile(r"\bcd\s+([\w.@+/-]+)")
"""A folder that the commands behind it are run in."""
MOST_FOLDERS = 4
GLOB = re.compile(r"[*?\[]")


@dataclass(slots=True)
class Watch:
    """The files of one call. `begin` before it is carried out, `end` after."""

    workspace: Workspace
    before: dict[str, str | None] = field(default_factory=dict)

    async def begin(self, arguments: Arguments) -> None:
        """Read what a call with *arguments* may touch."""
        if TOUCHING.isdisjoint(type(arguments).model_fields):
            return
        for name in _named(json.dumps(arguments.model_dump(), ensure_ascii=False)):
            for path in await self._found(name):
                if len(self.before) < MOST_FILES and path not in self.before:
                    self.before[path] = await self._read(path)

    async def end(self) -> tuple[Change, ...]:
        """What the call changed."""
        after = {path: await self._read(path) for path in self.before}
        return tuple(Change(path, old, after[path]) for path, old in self.before.items() if old != after[path])

    async def _found(self, name: str) -> list[str]:
        """The files that *name* stands for: itself, what is in the folder, what the pattern fits."""
        folder = name.rstrip("/") if not GLOB.search(name) else dirname(name)
        if GLOB.search(folder):
            return []
        if folder == name.rstrip("/") and "." in basename(name):
            return [name]
        try:
            entries = await self.workspace.list(f"{ROOT}/{folder}".rstrip("/"), depth=4, limit=400)
        except ToolError:
            return [name]
        files = [each.path.removeprefix(f"{ROOT}/") for each in entries if each.kind == "file"]
        return [path for path in files if watched(path) and (folder == name.rstrip("/") or fnmatch(path, name))]

    async def _read(self, path: str) -> str | None:
        try:
            return (await self.workspace.read(f"{ROOT}/{path}", limit=MOST_BYTES)).decode("utf-8", "replace")
        except ToolError:
            return None


def watched(path: str) -> bool:
    """Whether *path* is a file that verifies, or says how that is done."""
    return is_test(path) or is_setup(path)


def _named(arguments: str) -> Iterator[str]:
    """Names in *arguments* that may be of such files or of folders with tests, each once."""
    text = arguments[:LOOKED_AT].replace("\\n", " ").replace('\\"', " ")
    command = '"command"' in text
    if command and not WRITES.search(text):
        return
    folders = command and REMOVES.search(text)
    inside = (".", *dict.fromkeys(GOES.findall(text)[:MOST_FOLDERS] if command else ()))
    for token in dict.fromkeys(PATH.findall(text)):
        for folder in inside:
            path = known_as(join(folder, token.strip(".,:") or ".")).removeprefix(f"{ROOT}/")
            if not path.startswith("/") and (watched(path) or (folders and is_test(f"{path}/"))):
                yield path
