"""What a raw upper holds, compared with what it held before, and written down as one pack.

Nothing here follows a symbolic link or opens what is not a regular file: all of it was made by an agent. That holds
for every folder on the way too, and even while something inside still runs and swaps a folder for a link to the
host's files: each path is opened in one step by a call that refuses links (openat2, Linux 5.6).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, NamedTuple

from nightmill.errors import SandboxError

__all__ = [
    "KEPT",
    "MAGIC",
    "SKIPPED",
    "TRAILER",
    "Below",
    "Facts",
    "Seen",
    "changed",
    "extents",
    "finish",
    "paths",
    "record",
    "root_entry",
    "scan",
    "space",
]

MAGIC = b"NMSNAP03"
TRAILER = struct.Struct("<QQI8s")
"""At the end of a pack: where the index begins, its length, its checksum, the magic."""

INLINE = 1 << 16
"""Files up to this size are read at once; larger ones by the extents that hold data."""

PIECE = 1 << 20

MOST = 1_000_000
"""Entries of an upper. Empty files cost an agent no space, but each costs the host some hundred bytes of memory."""

ORIGIN = "user.overlay.origin"
SKIPPED = frozenset({ORIGIN, "user.overlay.impure"})
"""File handles into the layers below: wrong as soon as the file is another one, that is after a restore."""

KEPT = ("user.", "system.posix_acl_")

OPENAT2, RESOLVE = 437, 0x01 | 0x02 | 0x04 | 0x08
"""The call (the number is the same everywhere), and RESOLVE_NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS, BENEATH."""

FOLDER = os.O_RDONLY | os.O_DIRECTORY

BLOCK, ENTRY, LONG = 512, 4096, 1000
"""Bytes of a block as `stat` counts them; what a name takes besides; characters of a path that go well into one call."""

libc = ctypes.CDLL(None, use_errno=True)

Facts = tuple[int, int, int, int, int, int]
"""Mode, inode, size, ctime, mtime, links."""


class Seen(NamedTuple):
    """An upper as a scan found it: path → facts, folder → names, folder → attributes. The root is the empty path."""

    facts: dict[str, Facts]
    names: dict[str, list[str]]
    attributes: dict[str, dict[str, str]]


class Below(NamedTuple):
    """What a pack stands on: packs, oldest first, and layers of the shelf below the upper, lowest first."""

    chain: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()


def scan(top: str, old: Seen) -> Seen:
    """Look at everything in *top*. A folder with the ctime from before has the names from before: no listing."""
    with _opened(top) as root:
        return _scan(root, old)


def record(*, top: str, target: str, old: Seen, hot: set[str | int], below: Below) -> tuple[Seen, bool]:
    """Write to the new file *target* how *top* differs from *old*, and what is *below* it; False: it does not.

    *hot* are files whose time stamps cannot be trusted, because they are mapped: paths, and inodes as overlayfs has them.

    Raises:
        OSError: If something cannot be read or written.
        SandboxError: If a file is not what the scan saw.
    """
    with _opened(top) as root:
        new = _scan(root, old)
        differing = changed(old, new, _paths(root, new, hot))
        gone = [path for path in old.facts if path not in new.facts]
        if not differing and not gone:
            return new, False
        with open(target, "xb", PIECE) as out:
            entries = list(_entries(root, differing, new, out))
            finish(out, below=below, gone=gone, entries=entries)
    return new, True


def paths(top: str, new: Seen, hot: set[str | int]) -> set[str]:
    """Every path in *top* that may be a file of *hot*."""
    with _opened(top) as root:
        return _paths(root, new, hot)


def _paths(root: int, new: Seen, hot: set[str | int]) -> set[str]:
    found = {each for each in hot if isinstance(each, str)}
    numbers = {each for each in hot if isinstance(each, int)}
    if not numbers:
        return found
    regular = {path: facts[1] for path, facts in new.facts.items() if stat.S_ISREG(facts[0])}
    found |= {path for path, inode in regular.items() if inode in numbers}
    if not numbers <= set(regular.values()):  # a file copied up from below has the number that it had there
        found |= {path for path in regular if _copied_up(root, path)}
    return found


def _copied_up(root: int, path: str) -> bool:
    try:
        fd = _open(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except PermissionError:
        return True  # it may be
    try:
        return ORIGIN in os.listxattr(fd)
    finally:
        os.close(fd)


def space(top: str) -> int:
    """Bytes of disk that what is in *top* takes, with `ENTRY` for every name; what goes meanwhile does not count.

    Raises:
        OSError: If a folder cannot be looked into.
    """
    total, counted = 0, set[int]()
    with ExitStack() as stack:
        todo = [(stack.enter_context(_opened(top)), "")]
        while todo:
            root, folder = todo.pop()
            for path, status in _within(root, folder):
                if stat.S_ISDIR(status.st_mode):
                    todo.append(_nearer(root, path, stack))
                if status.st_ino not in counted:
                    total += status.st_blocks * BLOCK
                if status.st_nlink > 1:
                    counted.add(status.st_ino)
                total += ENTRY
    return total


def _nearer(root: int, path: str, stack: ExitStack) -> tuple[int, str]:
    """Where to go on from: names nest deeper than a path may be long."""
    if len(path) < LONG:
        return root, path
    folder = _open(root, path, FOLDER | os.O_PATH)
    stack.callback(os.close, folder)
    return folder, ""


def _within(root: int, folder: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        fd = _open(root, folder, FOLDER)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            return
        raise
    try:
        for name in os.listdir(fd):
            with contextlib.suppress(FileNotFoundError):
                yield (f"{folder}/{name}" if folder else name), os.lstat(name, dir_fd=fd)
    finally:
        os.close(fd)


def _scan(root: int, old: Seen) -> Seen:
    new: dict[str, Facts] = {"": _facts(os.fstat(root))}
    listed: dict[str, list[str]] = {}
    attributes: dict[str, dict[str, str]] = {}
    todo = [""]
    while todo:
        folder = todo.pop()
        same = old.facts.get(folder) == new[folder]
        fd = _open(root, folder, FOLDER | (os.O_PATH if same else 0))
        try:
            attributes[folder] = old.attributes[folder] if same else _attributes(fd)
            listed[folder] = old.names[folder] if same else os.listdir(fd)
            for name in listed[folder]:
                path = f"{folder}/{name}" if folder else name
                new[path] = entry = _facts(os.lstat(name, dir_fd=fd))
                if stat.S_ISDIR(entry[0]):
                    todo.append(path)
        finally:
            os.close(fd)
        if len(new) > MOST:
            raise SandboxError(
                f"what was written since the base has more than {MOST:,} files and folders",
                hint="find out what makes so many; a snapshot remembers each of them",
            )
    return Seen(new, listed, attributes)


def changed(old: Seen, new: Seen, hot: set[str]) -> list[str]:
    """Paths of *new* that are not what they were, or are in *hot*: all names of an inode or none, or a hard link would come back as a copy.

    A name can be new while its inode is as it was: a folder above it was renamed.
    """
    found = {path for path in new.facts if path in hot or _differs(path, old, new)}
    inodes = {facts[1] for path in found if (facts := new.facts[path])[5] > 1 and stat.S_ISREG(facts[0])}
    return [path for path, facts in new.facts.items() if path in found or facts[1] in inodes]


def _differs(path: str, old: Seen, new: Seen) -> bool:
    """Whether to record *path* anew. overlayfs marks folders that are only looked at, which moves their ctime."""
    before, after = old.facts.get(path), new.facts[path]
    if before is not None and stat.S_ISCHR(before[0]):  # whiteouts share one inode, so each moves the ctime of all
        return (before[0], before[4]) != (after[0], after[4])
    if before is None or before == after or path not in old.attributes or path not in new.attributes:
        return before != after
    return before[:3] + before[4:] != after[:3] + after[4:] or old.attributes[path] != new.attributes[path]


def root_entry(top: str) -> dict[str, Any]:
    """The entry of the folder *top* itself, as a pack has it."""
    with _opened(top) as root:
        status = os.fstat(root)
        fd = _open(root, "", FOLDER)
    try:
        return {"path": "", "mode": status.st_mode, "mtime": status.st_mtime_ns, "xattr": _attributes(fd)}
    finally:
        os.close(fd)


def finish(out: BinaryIO, *, below: Below, gone: list[str], entries: list[dict[str, Any]]) -> None:
    """Write the index and the trailer, and have all of it on the disk."""
    at = out.tell()
    index = {"chain": below.chain, "layers": below.layers, "gone": gone, "set": entries}
    plain = json.dumps(index, separators=(",", ":")).encode()
    out.write(plain + TRAILER.pack(at, len(plain), zlib.crc32(plain), MAGIC))
    out.flush()
    os.fdatasync(out.fileno())


def _entries(root: int, changed: list[str], new: Seen, out: BinaryIO) -> Iterator[dict[str, Any]]:
    links: dict[int, str] = {}
    for path in changed:
        mode, inode, _, _, mtime, count = new.facts[path]
        entry: dict[str, Any] = {"path": path, "mode": mode, "mtime": mtime}
        if stat.S_ISLNK(mode):
            entry["target"] = _target(root, path)
        elif stat.S_ISDIR(mode):
            entry["xattr"] = new.attributes[path]
        elif stat.S_ISREG(mode) and inode in links:
            entry["link"] = links[inode]
        elif stat.S_ISREG(mode):
            if count > 1:
                links[inode] = path
            entry |= _content(root, path, new.facts[path], out)
        yield entry


def _target(root: int, path: str) -> str:
    fd = _open(root, path, os.O_PATH)
    try:
        return os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)


def _content(root: int, path: str, facts: Facts, out: BinaryIO) -> dict[str, Any]:
    fd, size = _open(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), facts[2]
    try:
        if os.fstat(fd).st_ino != facts[1]:
            raise SandboxError("a file changed while it was being kept")
        spans, check = [], 0
        for start, end in [(0, size)] if 0 < size <= INLINE else extents(fd, size):
            spans.append([start, out.tell(), end - start])
            while start < end:
                piece = os.pread(fd, min(PIECE, end - start), start)
                if not piece:
                    raise SandboxError("a file changed while it was being kept")
                check = zlib.crc32(piece, check)
                out.write(piece)
                start += len(piece)  # noqa: PLW2901 - the rest of this extent
        return {"size": size, "spans": spans, "check": check, "xattr": _attributes(fd)}
    finally:
        os.close(fd)


def extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Where the first *size* bytes hold data, each as (start, end): a sparse file stays sparse."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        yield start, at


def _attributes(file: int) -> dict[str, str]:
    return {
        name: os.getxattr(file, name).hex()
        for name in os.listxattr(file)
        if name.startswith(KEPT) and name not in SKIPPED
    }


def _facts(found: os.stat_result) -> Facts:
    return (found.st_mode, found.st_ino, found.st_size, found.st_ctime_ns, found.st_mtime_ns, found.st_nlink)


@contextmanager
def _opened(top: str) -> Iterator[int]:
    root = os.open(top, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield root
    finally:
        os.close(root)


def _open(root: int, path: str, flags: int) -> int:
    """Open *path* below the folder *root*: no link, no other mount, nothing above; OSError if any is on the way."""
    how = struct.pack("<QQQ", flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0, RESOLVE)
    fd = int(libc.syscall(OPENAT2, root, os.fsencode(path or "."), how, len(how)))
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return fd
