"""Look at a snapshot without opening it: what /work would show, and how two of them differ.

Nothing is mounted and nothing inside runs. Marks are read as overlayfs reads them; no symbolic link is followed, and
what is no regular file is not opened. Folders are entered only where the two can differ.
"""

from __future__ import annotations

import io
import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from nightmill.sandbox.disk.chain import Body, copy, loaded, stand
from nightmill.sandbox.disk.shelf import Shelf

__all__ = ["Difference", "View", "differences", "file", "opened"]

OPAQUE = "user.overlay.opaque"
READ_MOST = 64 << 20
"""Bytes of a file up to which contents are compared; of a larger one that was written anew, it is said to be changed."""


class Entry(NamedTuple):
    """A name in one part of a view: its mode and size, what it is the same as in another view, whether it hides."""

    mode: int
    size: int
    same: object
    opaque: bool


class Part(Protocol):
    """One layer of a view."""

    def list(self, folder: str) -> dict[str, Entry]:
        """What is in *folder*."""
        ...

    def body(self, path: str) -> bytes:
        """The contents of the file *path*, or the target of the link."""
        ...


class Folder:
    """A frozen layer on the disk."""

    def __init__(self, top: Path) -> None:
        self.top = str(top)

    def list(self, folder: str) -> dict[str, Entry]:
        """What is in *folder*; nothing, where an agent shut it and we are not root."""
        found = {}
        try:
            with os.scandir(f"{self.top}/{folder}") as entries:
                for each in entries:
                    status = each.stat(follow_symlinks=False)
                    is_folder = stat.S_ISDIR(status.st_mode)
                    same = (self.top, f"{folder}/{each.name}")
                    found[each.name] = Entry(status.st_mode, status.st_size, same, is_folder and _opaque(each.path))
        except PermissionError:
            return {}
        return found

    def body(self, path: str) -> bytes:
        """The contents of the file *path*, or the target of the link."""
        where = f"{self.top}/{path}"
        if os.path.islink(where):
            return os.fsencode(os.readlink(where))
        fd = os.open(where, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            return file.read() if stat.S_ISREG(os.fstat(fd).st_mode) else b""


class Upper:
    """An upper, as a chain of packs records it."""

    def __init__(self, final: dict[str, Body]) -> None:
        self.final = final
        self.inside: dict[str, list[str]] = defaultdict(list)
        for path in final:
            if path:
                folder, _, name = path.rpartition("/")
                self.inside[folder].append(name)

    def list(self, folder: str) -> dict[str, Entry]:
        """What is in *folder*."""
        return {name: self._entry(f"{folder}/{name}" if folder else name) for name in self.inside[folder]}

    def body(self, path: str) -> bytes:
        """The contents of the file *path*, or the target of the link."""
        body = self.final[path]
        if "target" in body.entry:
            return os.fsencode(body.entry["target"])
        out = io.BytesIO()
        copy(body, out, begin=out.seek)
        return out.getvalue().ljust(body.data["size"], b"\0")  # it may end with a hole

    def _entry(self, path: str) -> Entry:
        body = self.final[path]
        mode = body.entry["mode"]
        regular = stat.S_ISREG(mode)
        opaque = body.entry.get("xattr", {}).get(OPAQUE) == b"y".hex()
        size = body.data["size"] if regular else len(body.entry.get("target", ""))
        return Entry(mode, size, body.origin if regular else None, opaque)


@dataclass(slots=True)
class Node:
    """A name as the view shows it. A folder is in several parts; *merging*: those further below belong to it, too."""

    entry: Entry
    parts: list[Part]
    merging: bool


class View:
    """Parts, top first."""

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts

    def root(self) -> Node:
        """/work itself."""
        return Node(Entry(stat.S_IFDIR, 0, None, opaque=False), self.parts, merging=True)

    def inside(self, node: Node, path: str) -> dict[str, Node]:
        """What is in the folder *node*, which is at *path*."""
        found: dict[str, Node] = {}
        for part in node.parts:
            for name, entry in part.list(path).items():
                known, is_folder = found.get(name), stat.S_ISDIR(entry.mode)
                if known is None:
                    found[name] = Node(entry, [part], merging=is_folder and not entry.opaque)
                elif known.merging:
                    known.parts += [part] if is_folder else []
                    known.merging = is_folder and not entry.opaque
        return {name: each for name, each in found.items() if not stat.S_ISCHR(each.entry.mode)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A path below /work that is "added", "removed" or "changed", its sizes and contents.

    None: it is not there; of contents, also what is no file or link, or larger than is read.
    """

    path: str
    what: str
    before: int | None
    after: int | None
    old: bytes | None
    new: bytes | None


@contextmanager
def opened(directory: Path, snapshot: str, *, layers: tuple[Path, ...], shelf: Shelf) -> Iterator[View]:
    """The *snapshot* of the sandbox in *directory* on *layers*; "": the layers alone.

    Raises:
        SandboxError: If a pack is missing or damaged.
    """
    packs = directory / "packs"
    with ExitStack() as stack:
        parts: list[Part] = [Folder(layer) for layer in layers]
        if snapshot:
            found = stand(packs, snapshot)
            parts += [Folder(layer) for layer in shelf.paths(found.layers)]
            parts.append(Upper(stack.enter_context(loaded(packs, found.chain))))
        yield View(parts[::-1])


def file(view: View, path: str, *, most: int = READ_MOST) -> bytes | None:
    """What *view* has in the file *path*, of which no part may be a link; None: there is nothing.

    Raises:
        ValueError: If it is no file, or larger than *most*; the message says what it is.
    """
    node, way = view.root(), ""
    for name in path.split("/"):
        found = view.inside(node, way).get(name) if stat.S_ISDIR(node.entry.mode) else None
        if found is None:
            return None
        node, way = found, f"{way}/{name}" if way else name
        if stat.S_ISLNK(node.entry.mode):
            raise ValueError("is a link" if way == path else "is behind a link")
    if not stat.S_ISREG(node.entry.mode):
        raise ValueError("is no file")
    if node.entry.size > most:
        raise ValueError(f"has {node.entry.size:,} bytes")
    return node.parts[0].body(path)


def differences(before: View, after: View) -> Iterator[Difference]:
    """What was added, removed or changed, in the order of paths; times do not count."""
    todo: list[tuple[str, Node | None, Node | None]] = [("", before.root(), after.root())]
    while todo:
        path, old, new = todo.pop()
        if path:
            yield from _one(path, old, new)
        inside = [
            view.inside(node, path) if node and stat.S_ISDIR(node.entry.mode) else {}
            for view, node in ((before, old), (after, new))
        ]
        names = sorted(inside[0].keys() | inside[1].keys(), reverse=True)
        for name in names:
            one, other = inside[0].get(name), inside[1].get(name)
            if not _equal(one, other):
                todo.append((f"{path}/{name}" if path else name, one, other))


def _equal(one: Node | None, other: Node | None) -> bool:
    """Whether there is nothing to look at: the same file, or folders of the same parts."""
    if one is None or other is None or one.entry.mode != other.entry.mode:
        return False
    if stat.S_ISDIR(one.entry.mode):
        tops = [part.top if isinstance(part, Folder) else part for part in one.parts]
        return tops == [part.top if isinstance(part, Folder) else part for part in other.parts]
    return one.entry.same is not None and one.entry.same == other.entry.same


def _one(path: str, old: Node | None, new: Node | None) -> Iterator[Difference]:
    if old and new and old.entry.mode == new.entry.mode and stat.S_ISDIR(old.entry.mode):
        return
    bodies = [_body(path, node) for node in (old, new)]
    if old and new and old.entry.mode == new.entry.mode and bodies[0] == bodies[1] and old.entry.size <= READ_MOST:
        return
    what = "added" if old is None else "removed" if new is None else "changed"
    before, after = (node.entry.size if node else None for node in (old, new))
    yield Difference(path=path, what=what, before=before, after=after, old=bodies[0], new=bodies[1])


def _body(path: str, node: Node | None) -> bytes | None:
    if node is None or node.entry.size > READ_MOST:
        return None
    if not (stat.S_ISREG(node.entry.mode) or stat.S_ISLNK(node.entry.mode)):
        return None
    return node.parts[0].body(path)


def _opaque(path: str) -> bool:
    try:
        return os.getxattr(path, OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False
