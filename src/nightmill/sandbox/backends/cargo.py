"""What a sandbox on another machine is filled with: the union of layers and upper, as one tar archive."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

__all__ = ["UNPACK", "Union", "entries", "pack", "union"]

Union = dict[str, Path]
"""Path below /work → where on this host it is."""

UNPACK = """
import sys, tarfile
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
    known = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
    archive.extractall("/", **known)
"""
"""Run inside, by the Python that is there; what comes is the host's own."""


def union(layers: tuple[Path, ...]) -> Union:
    """What an overlay of *layers*, lowest first, would show."""
    found: Union = {}
    for layer in layers:
        for path, source in entries(layer):
            status = source.lstat()
            whiteout = stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
            hides = whiteout or not stat.S_ISDIR(status.st_mode) or _opaque(source)
            if hides and path in found:
                for below in [each for each in found if each.startswith(f"{path}/")]:
                    del found[below]
            if whiteout:
                found.pop(path, None)
            else:
                found[path] = source
    return found


def pack(found: Union, out: IO[bytes], *, shown: dict[str, Path]) -> None:
    """Write *found* as /work, and *shown* by the paths that it names, to *out*."""
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(found):
            _add(archive, f"work/{path}", found[path])
        for path, source in sorted(shown.items()):
            _add(archive, path.lstrip("/"), source)


def _add(archive: tarfile.TarFile, name: str, source: Path) -> None:
    if source.is_socket():  # what listened there is gone
        return
    entry = archive.gettarinfo(str(source), name)
    if entry.islnk():  # to a name that this archive may not have
        entry.type, entry.size = tarfile.REGTYPE, source.lstat().st_size
    entry.mtime = source.lstat().st_mtime_ns / 1e9
    if entry.isreg():
        with source.open("rb") as body:
            archive.addfile(entry, body)
    else:
        archive.addfile(entry)


def entries(top: Path) -> Iterator[tuple[str, Path]]:
    """Everything below *top*, folders before what is in them."""
    todo = [""]
    while todo:
        folder = todo.pop()
        with os.scandir(top / folder) as found:
            for entry in sorted(found, key=lambda each: each.name):
                path = f"{folder}/{entry.name}".lstrip("/")
                yield path, Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    todo.append(path)


def _opaque(folder: Path) -> bool:
    try:
        return os.getxattr(folder, "user.overlay.opaque", follow_symlinks=False) == b"y"
    except OSError:
        return False
