"""Two layers, entry by entry: which differ, and which of those differ in a way that is known to mean nothing.

What is in a layer is hostile: nothing in it is run or unpacked, and no link is followed.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nightmill.errors import SandboxError

__all__ = ["CATEGORIES", "Comparison", "Difference", "compare"]

CATEGORIES: dict[str, tuple[str, re.Pattern[str]]] = {
    "git": (
        "git's index holds times and inode numbers, its logs say when",
        re.compile(r"repo/\.git/(?:index|logs/.+)"),
    ),
    "installer": (
        "installers note where a package came from and when, and the hashes of these notes",
        re.compile(
            r"(?:.+/)?(?:[^/]+\.dist-info/(?:RECORD|direct_url\.json|uv_cache\.json)|node_modules/\.modules\.yaml)"
            r"|env/nix/nix/var/nix/db/.+"
        ),
    ),
    "cache": (
        "a package manager's own cache and logs, which no test reads",
        re.compile(
            r"home/(?:\.npm/_(?:cacache|logs)|\.cache/(?:nix|pip|uv|go-build|pnpm|yarn)"
            r"|\.local/share/pnpm/store/[^/]+/(?:files/.+-index\.json|index))(?:/.*)?"
        ),
    ),
    "services": (
        "the data of a service, which writes times and identifiers of its own",
        re.compile(r"services/.+"),
    ),
}
"""Paths below a layer whose content may differ between two builds, each with why."""

TIMES = "times"
BYTE_CODE = "byte code"
WHYS = {name: why for name, (why, _) in CATEGORIES.items()} | {
    TIMES: "an entry's time of change is when it was written",
    BYTE_CODE: "a compiled Python file notes the time of its source; the code behind that is the same",
}

HEADER = slice(4, 16)
"""Bytes of a compiled file in which the time of its source or its hash stands."""

OVERLAY = {"user.overlay.origin", "user.overlay.impure"}
"""Attributes in which overlayfs keeps handles of its own."""

CHUNK = 1 << 20
KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link",
    stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An entry that is not the same in both. *what* says how: "only in the first", "mode: 0644, 0600", "content"."""

    path: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two layers have in common. *known* counts, by category, what differs and means nothing."""

    entries: int
    differences: tuple[Difference, ...]
    known: dict[str, int]

    @property
    def same(self) -> bool:
        """Whether nothing differs that could mean something."""
        return not self.differences


class _Entry(NamedTuple):
    kind: str
    mode: int
    content: str
    """Of a file its hash, of a link its target, of a device its number."""
    bare: str
    """Of a compiled Python file the hash without what says which source it is of."""
    names: str
    """The first of the names of a file that has several."""
    attributes: tuple[tuple[str, bytes], ...]
    changed: int


def compare(first: Path, second: Path) -> Comparison:
    """Compare the layers *first* and *second*, which nothing writes to; a folder that is shut is opened to read it.

    Raises:
        SandboxError: If one cannot be read.
    """
    try:
        one, other = dict(_entries(first)), dict(_entries(second))
    except OSError as error:
        raise SandboxError(f"a layer cannot be compared: {error.strerror}: {error.filename!r}") from error
    known: Counter[str] = Counter()
    found = []
    for path in sorted({*one, *other}):
        what = _difference(one.get(path), other.get(path))
        if not what and one[path].changed != other[path].changed:
            known[TIMES] += 1
        elif what and (category := _category(path, what)):
            known[category] += 1
        elif what:
            found.append(Difference(path=_shown(path), what=what))
    return Comparison(entries=len({*one, *other}), differences=tuple(found), known=dict(known))


def _difference(one: _Entry | None, other: _Entry | None) -> str:
    """How the two differ, in the first way that counts; "": not at all but perhaps in their times."""
    if one is None or other is None:
        return "only in the second" if one is None else "only in the first"
    judged = (
        (one.kind != other.kind, f"type: {one.kind}, {other.kind}"),
        (one.mode != other.mode, f"mode: {one.mode:04o}, {other.mode:04o}"),
        (one.names != other.names, "hard links"),
        (one.attributes != other.attributes, "attributes"),
        (one.content != other.content and one.bare != "" and one.bare == other.bare, BYTE_CODE),
        (one.content != other.content, "target" if one.kind == "link" else "content"),
    )
    return next((what for differs, what in judged if differs), "")


def _category(path: str, what: str) -> str:
    """The category under which the difference *what* of *path* is known; "": it is news."""
    if what == BYTE_CODE:
        return BYTE_CODE
    if what != "content" and not what.startswith("only"):
        return ""
    return next((name for name, (_, paths) in CATEGORIES.items() if paths.fullmatch(path)), "")


def _entries(top: Path) -> Iterator[tuple[str, _Entry]]:
    """Each entry below *top* with its path, without recursion: an agent may nest deeper than Python goes."""
    first: dict[int, str] = {}
    todo = [top]
    while todo:
        for file in sorted(todo.pop().iterdir()):
            path = str(file.relative_to(top))
            status = file.lstat()
            if stat.S_ISDIR(status.st_mode):
                file.chmod(stat.S_IMODE(status.st_mode) | stat.S_IRWXU)
                todo.append(file)
            yield path, _entry(file, status, first.setdefault(status.st_ino, path))


def _entry(file: Path, status: os.stat_result, named: str) -> _Entry:
    kind = KINDS.get(stat.S_IFMT(status.st_mode), "other")
    content = bare = ""
    if kind == "file":
        content, bare = _hashes(file, status)
    elif kind == "link":
        content = str(file.readlink())
    elif kind == "device":
        content = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    several = kind == "file" and status.st_nlink > 1
    attributes = _attributes(file) if kind in {"file", "directory"} else ()
    mode = stat.S_IMODE(status.st_mode)
    return _Entry(kind, mode, content, bare, named if several else "", attributes, status.st_mtime_ns)


def _hashes(file: Path, status: os.stat_result) -> tuple[str, str]:
    """The hash of *file*, and of a compiled Python file also that without what says which source it is of."""
    if not status.st_mode & stat.S_IRUSR:
        file.chmod(stat.S_IMODE(status.st_mode) | stat.S_IRUSR)
    whole, bare = hashlib.sha256(), hashlib.sha256()
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        part = opened.read(CHUNK)
        bare.update(part[: HEADER.start] + part[HEADER.stop :])
        while part:
            whole.update(part)
            part = opened.read(CHUNK)
            bare.update(part)
    return whole.hexdigest(), bare.hexdigest() if file.suffix == ".pyc" else ""


def _attributes(file: Path) -> tuple[tuple[str, bytes], ...]:
    names = sorted(set(os.listxattr(file, follow_symlinks=False)) - OVERLAY)
    return tuple((name, os.getxattr(file, name, follow_symlinks=False)) for name in names)


def _shown(path: str) -> str:
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in path
    )
