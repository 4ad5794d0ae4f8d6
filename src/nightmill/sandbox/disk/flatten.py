"""Make one layer of several: what a look through all of them shows, in a single folder.

Overlayfs hides by marks: a whiteout (device 0:0) hides a name, an opaque folder what lies below it. Merged, a mark must
stay where something below the merged layers would show through, and must go where nothing does: a folder that is found
in one layer only is not merged by the kernel, which then lists the whiteouts in it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path
from typing import NamedTuple

from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.disk.scan import KEPT

__all__ = ["flatten"]

OPAQUE = "user.overlay.opaque"
OURS, ESCAPED = "user.overlay.", "user.overlay.overlay."
"""Marks of overlayfs itself, and how it stores attributes of those names that something inside has set."""


class Seen(NamedTuple):
    """What lies under a name: folders that show through, top first, and whether there is anything at all."""

    folders: tuple[str, ...]
    anything: bool


def flatten(layers: list[Path], target: Path, *, below: list[Path]) -> None:
    """Merge *layers*, lowest first, into the new folder *target*, which is to stand on *below*, lowest first.

    Nothing of *layers* is changed; files are shared with them.

    Raises:
        OSError: If something cannot be read or written.
    """
    target.mkdir()
    under = tuple(str(each) for each in reversed(below))
    for layer in layers:
        _merge(str(layer), str(target), under)


def _merge(source: str, target: str, below: tuple[str, ...]) -> None:
    todo, done = [("", below)], []
    while todo:
        inner, under = todo.pop()
        done.append(inner)
        os.chmod(f"{target}/{inner}", 0o700)
        with os.scandir(f"{source}/{inner}") as entries:
            for entry in entries:
                path = f"{inner}/{entry.name}" if inner else entry.name
                out = f"{target}/{path}"
                if entry.is_dir(follow_symlinks=False):
                    _fold(entry.path, out)
                    seen = () if _opaque(out) else _seen(under, entry.name).folders
                    todo.append((path, seen))
                else:
                    _put(entry, out, under)
    for inner in reversed(done):  # children first: writing inside moves a folder's time
        _like(f"{source}/{inner}", f"{target}/{inner}")


def _fold(source: str, out: str) -> None:
    """Have a folder at *out* for *source*, opaque if it hides what is below."""
    hides = _opaque(source)
    if hides or not os.path.isdir(out) or os.path.islink(out):
        hides = hides or os.path.lexists(out)  # a folder over a whiteout or a file
        remove(Path(out))
        os.mkdir(out, 0o700)
        if hides:
            os.setxattr(out, OPAQUE, b"y")


def _put(entry: os.DirEntry[str], out: str, below: tuple[str, ...]) -> None:
    remove(Path(out))
    status = entry.stat(follow_symlinks=False)
    whiteout = stat.S_ISCHR(status.st_mode)
    if whiteout and not _seen(below, entry.name).anything:
        return
    try:
        os.link(entry.path, out, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EMLINK:
            raise
        _copy(entry.path, out, status)


def _copy(source: str, out: str, status: os.stat_result) -> None:
    """For an inode that has as many names as there may be; whiteouts share one."""
    if stat.S_ISREG(status.st_mode):
        shutil.copyfile(source, out, follow_symlinks=False)
        _attributes(source, out)
    elif stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(source), out)
    else:
        os.mknod(out, stat.S_IFMT(status.st_mode) | 0o600, 0)
    _stamp(out, status)


def _seen(below: tuple[str, ...], name: str) -> Seen:
    found: list[str] = []
    for folder in below:
        path = f"{folder}/{name}"
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(mode):
            return Seen(tuple(found), bool(found) or not stat.S_ISCHR(mode))
        found.append(path)
        if _opaque(path):
            break
    return Seen(tuple(found), bool(found))


def _like(source: str, out: str) -> None:
    for name in os.listxattr(out):
        if name != OPAQUE:
            os.removexattr(out, name)
    _attributes(source, out)
    _stamp(out, os.lstat(source))


def _attributes(source: str, out: str) -> None:
    for name in os.listxattr(source):
        if name.startswith(KEPT) and (not name.startswith(OURS) or name.startswith(ESCAPED)):
            os.setxattr(out, name, os.getxattr(source, name))


def _stamp(out: str, status: os.stat_result) -> None:
    """Owner, time and mode, in this order: a new owner takes away setuid bits."""
    if os.geteuid() == 0:
        os.lchown(out, status.st_uid, status.st_gid)
    os.utime(out, ns=(status.st_mtime_ns, status.st_mtime_ns), follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(out, stat.S_IMODE(status.st_mode))


def _opaque(path: str) -> bool:
    try:
        return os.getxattr(path, OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False
