"""What a chain of packs says: every path of a snapshot, and where its data is.

A pack names the chain of packs below it and the frozen layers that all of them stand on, so the newest id is all that
is needed to come back. Index and contents carry checksums: a damaged pack is an error and never a wrong workspace.
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from nightmill.errors import SandboxError
from nightmill.sandbox.disk.index import is_index, is_name
from nightmill.sandbox.disk.scan import MAGIC, TRAILER, Below

__all__ = ["Body", "Stand", "copy", "loaded", "read", "stand"]

INDEX_MOST = 1 << 30

PIECE = 1 << 20


class Stand(NamedTuple):
    """What has to be there to come back to a snapshot: packs, oldest first, and layers of the shelf, lowest first."""

    chain: list[str]
    layers: list[str]

    @property
    def below(self) -> Below:
        """The same, for the next pack to name."""
        return Below(tuple(self.chain), tuple(self.layers))


class Body(NamedTuple):
    """One path after a chain: the file its data is in, its hard-link group there, the entry with the data, its own."""

    fd: int
    group: str
    data: dict[str, Any]
    entry: dict[str, Any]
    pack: str

    @property
    def origin(self) -> tuple[str, str]:
        """The pack and the path that the data was first kept as: equal origins are equal contents."""
        name, path = self.data.get("of") or (self.pack, self.group)
        return name, path

    @property
    def own(self) -> dict[str, Any]:
        """The parts of the entry that are the same wherever its data is."""
        return {key: self.entry[key] for key in ("path", "mode", "mtime", "target", "xattr") if key in self.entry}


def stand(folder: Path, snapshot: str) -> Stand:
    """What *snapshot* stands on, itself last.

    Raises:
        SandboxError: If its pack is missing or damaged.
    """
    index = read(folder, snapshot)
    return Stand([*index["chain"], snapshot], index["layers"])


@contextmanager
def loaded(folder: Path, chain: list[str]) -> Iterator[dict[str, Body]]:
    """Path → what it is after *chain*, oldest first; checked to lead nowhere else.

    Raises:
        SandboxError: If a pack is missing or damaged.
    """
    final: dict[str, Body] = {}
    with ExitStack() as stack:
        for name in chain:
            index = read(folder, name)
            fd = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW)
            stack.callback(os.close, fd)
            entries = {entry["path"]: entry for entry in index["set"]}
            for path in index["gone"]:
                final.pop(path, None)
            for path, entry in entries.items():
                group = entry.get("link", path)
                final[path] = Body(fd, group, entries[group], entry, name)
        _check(final)
        yield final


def read(folder: Path, name: str) -> dict[str, Any]:
    """The index of the pack *name*: "chain", "layers", "gone", "set".

    Raises:
        SandboxError: If it is missing or damaged.
    """
    if not is_name(name):
        raise SandboxError(f"{name!r} is not the id of a snapshot")
    try:
        with (folder / name).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - TRAILER.size))
            at, length, check, magic = TRAILER.unpack(file.read(TRAILER.size).rjust(TRAILER.size, b"\0"))
            whole = magic == MAGIC and length < INDEX_MOST and at + length + TRAILER.size == size
            file.seek(at if whole else 0)
            plain = file.read(length if whole else 0)
    except OSError as error:
        raise SandboxError(
            f"snapshot {name!r} cannot be read: {error.strerror}", hint="start from an older one"
        ) from error
    if not whole or zlib.crc32(plain) != check:
        raise SandboxError(f"snapshot {name!r} is damaged", hint="start from an older one")
    try:
        index: dict[str, Any] = json.loads(plain)
    except (ValueError, RecursionError):
        index = {}
    if not is_index(index, data=at):
        raise SandboxError(f"snapshot {name!r} says what no snapshot says", hint="start from an older one")
    return index


def copy(body: Body, out: BinaryIO, *, begin: Callable[[int], object]) -> None:
    """Write the data of *body* to *out*, span by span, and check it; *begin* is told where each belongs, before it.

    Raises:
        SandboxError: If it is not what the index says.
    """
    check = 0
    for start, at, length in body.data["spans"]:
        begin(start)
        end = at + length
        while at < end:
            piece = os.pread(body.fd, min(PIECE, end - at), at)
            if not piece:
                raise SandboxError("a snapshot is shorter than its index says", hint="start from an older one")
            out.write(piece)
            check = zlib.crc32(piece, check)
            at += len(piece)  # noqa: PLW2901 - the rest of this span
    if check != body.data["check"]:
        what = f"the contents of {body.entry['path']!r} are damaged in the snapshot"
        raise SandboxError(what, hint="start from an older one")


def _check(final: dict[str, Body]) -> None:
    """No path climbs, and each one's folder is a folder of this snapshot: nothing is written through a link."""
    for path, body in final.items():
        folder, _, name = path.rpartition("/")
        plain = not path or (name not in {"", ".", ".."} and path[0] != "/" and "\0" not in path)
        above = final.get(folder) if path else body
        if not plain or above is None or not stat.S_ISDIR(above.entry["mode"]):
            raise SandboxError(f"a snapshot holds the path {path!r}, which has no folder there")
