"""Snapshots of a live sandbox: one file per turn ("pack") that holds what changed in the upper since the last.

A pack names the chain of packs below it, so the newest id is all that is needed to come back. It is written
beside its name, flushed and renamed: a name stands for a whole pack. Index and contents carry checksums, which
a restore compares, so a damaged pack is an error and never a wrong workspace.
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from nightmill.errors import SandboxError
from nightmill.sandbox.layers import remove
from nightmill.sandbox.owner import Owner
from nightmill.sandbox.privileged import record_upper, scan_upper
from nightmill.sandbox.scan import MAGIC, TRAILER, Seen, finish

__all__ = ["Packs", "forget", "restore"]

LONG = 16
"""Packs in a chain from which it is written anew as one: a restore opens as many files."""

INDEX_MOST = 1 << 30

WHOLE = ("path", "mode", "mtime", "target", "xattr")
"""Parts of an entry that are the same wherever its data is."""

NOTHING = Seen({}, {}, {})


class Packs:
    """The snapshots of one run's folder, and what the upper held at the newest. For one thread at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.folder = directory / "packs"
        self.upper = str(directory / "upper")
        self.seen, self.hot = NOTHING, frozenset[str]()
        self.chain: list[str] = []

    def start(self, snapshot: str) -> None:
        """Take the upper as it is for *snapshot*: it was restored and mounted just now. "" is none."""
        self.folder.mkdir(exist_ok=True)
        if snapshot:
            self.chain = [*_read(self.folder, snapshot)["chain"], snapshot]
            self.seen = scan_upper(self.upper, NOTHING)

    def take(self, *, name: str, hot: set[str]) -> str:
        """Keep the upper as *name*; gives that, or the newest id if nothing changed. All writers must be frozen.

        Raises:
            SandboxError: If it could not be written whole; then nothing of it remains.
        """
        beside = self.folder / f"{name}.tmp"
        try:
            suspects = hot | self.hot  # also those mapped until just now: their last write came before that
            seen, written = record_upper(
                top=self.upper, target=str(beside), old=self.seen, hot=suspects, chain=self.chain
            )
            if written:
                beside.rename(self.folder / name)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise _unwritten(error) from error
        except SandboxError:
            beside.unlink(missing_ok=True)
            raise
        self.seen, self.hot = seen, frozenset(hot)
        if written:
            self.chain = [*self.chain, name]
        return self.chain[-1]

    @property
    def long(self) -> bool:
        """Whether the chain is to be consolidated."""
        return len(self.chain) > LONG

    def consolidate(self, *, name: str) -> None:
        """Write what the chain holds as the one pack *name*; the next snapshot stands on that. Old ids stay good."""
        beside = self.folder / f"{name}.tmp"
        try:
            with _loaded(self.folder, self.chain) as final, beside.open("xb", 1 << 20) as out:
                finish(out, {"chain": [], "gone": [], "set": list(_copied(final, out))})
            beside.rename(self.folder / name)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise _unwritten(error) from error
        self.chain = [name]


def restore(directory: Path, snapshot: str, owner: Owner | None) -> None:
    """Make the upper of *directory* what *snapshot* recorded, *owner*'s; the old upper goes only after the new one is whole.

    Raises:
        SandboxError: If a pack is missing or damaged, or the disk is full; the old upper is then untouched.
    """
    folder, fresh, upper = directory / "packs", directory / "upper.new", directory / "upper"
    remove(fresh)
    try:
        with _loaded(folder, [*_read(folder, snapshot)["chain"], snapshot]) as final:
            _build(final, str(fresh), owner)
        old = directory / "upper.old"
        remove(old)
        if upper.exists():
            upper.rename(old)
        fresh.rename(upper)
        remove(old)
    except OSError as error:
        remove(fresh)
        raise _unwritten(error) from error
    except BaseException:
        remove(fresh)
        raise


def forget(directory: Path, keep: set[str]) -> int:
    """Delete packs that no snapshot in *keep* needs and that are older than the newest of them; how many went.

    What is newer belongs to turns that are not recorded yet. With nothing to keep, nothing is known: all stay.

    Raises:
        SandboxError: If a pack to keep is missing or damaged: what it needs is then unknown.
    """
    folder = directory / "packs"
    needed = {each for snapshot in keep for each in [*_read(folder, snapshot)["chain"], snapshot]}
    newest = max(((folder / name).stat().st_mtime_ns for name in keep), default=0)
    gone = [path for path in folder.glob("*") if path.name not in needed and path.stat().st_mtime_ns < newest]
    for path in gone:
        path.unlink()
    return len(gone)


class Body(NamedTuple):
    """One path after a chain: the file its data is in, its hard-link group there, the entry with the data, its own."""

    fd: int
    group: str
    data: dict[str, Any]
    entry: dict[str, Any]


@contextmanager
def _loaded(folder: Path, chain: list[str]) -> Iterator[dict[str, Body]]:
    """Path → what it is after *chain*, oldest first; checked to lead nowhere else."""
    final: dict[str, Body] = {}
    with ExitStack() as stack:
        for name in chain:
            index = _read(folder, name)
            fd = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW)
            stack.callback(os.close, fd)
            entries = {entry["path"]: entry for entry in index["set"]}
            for path in index["gone"]:
                final.pop(path, None)
            for path, entry in entries.items():
                group = entry.get("link", path)
                final[path] = Body(fd, group, entries[group], entry)
        _check(final)
        yield final


def _check(final: dict[str, Body]) -> None:
    """No path climbs, and each one's folder is a folder of this snapshot: nothing is written through a link."""
    for path, body in final.items():
        folder, _, name = path.rpartition("/")
        plain = not path or (name not in {"", ".", ".."} and path[0] != "/" and "\0" not in path)
        above = final.get(folder) if path else body
        if not plain or above is None or not stat.S_ISDIR(above.entry["mode"]):
            raise SandboxError(f"a snapshot holds the path {path!r}, which has no folder there")


def _read(folder: Path, name: str) -> dict[str, Any]:
    """The index of the pack *name*."""
    if not name or "/" in name or name.startswith("."):
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
    index: dict[str, Any] = json.loads(plain)
    return index


def _copied(final: dict[str, Body], out: BinaryIO) -> Iterator[dict[str, Any]]:
    """Entries of one pack with everything that *final* holds, its data copied to *out*."""
    first: dict[tuple[int, str], str] = {}
    for path in sorted(final):
        fd, group, data, entry = final[path]
        plain: dict[str, Any] = {key: entry[key] for key in entry if key in WHOLE}
        if stat.S_ISREG(entry["mode"]):
            if (fd, group) in first:
                plain["link"] = first[fd, group]
            else:
                first[fd, group] = path
                spans, check = [], 0
                for start, at, length in data["spans"]:
                    spans.append([start, out.tell(), length])
                    check = _transfer(fd, at, length, out, check)
                _compare(path, check, data)
                plain |= {"size": data["size"], "spans": spans, "check": check, "xattr": data["xattr"]}
        yield plain


def _build(final: dict[str, Body], upper: str, owner: Owner | None) -> None:
    folders: list[tuple[str, dict[str, Any]]] = []
    first: dict[tuple[int, str], str] = {}
    for inner in sorted(final):
        fd, group, data, entry = final[inner]
        path, mode = f"{upper}/{inner}", entry["mode"]
        if stat.S_ISDIR(mode):
            os.mkdir(path, 0o700)  # noqa: PTH102 - strings: paths by the thousand
            _own(path, owner)
            folders.append((path, entry))
        elif stat.S_ISREG(mode) and (fd, group) in first:
            os.link(first[fd, group], path)
        elif stat.S_ISREG(mode):
            first[fd, group] = path
            _fill(path, fd, data, entry, owner)
        else:
            _make_special(path, entry, owner)
    for path, entry in reversed(folders):  # last, and children first: writing inside moves a folder's time
        _set_attributes(path, entry["xattr"])
        os.utime(path, ns=(entry["mtime"], entry["mtime"]))
        os.chmod(path, stat.S_IMODE(entry["mode"]))  # noqa: PTH101


def _make_special(path: str, entry: dict[str, Any], owner: Owner | None) -> None:
    """A link, or a whiteout (device 0:0), fifo or socket: none needs a privilege."""
    mode, times = entry["mode"], (entry["mtime"], entry["mtime"])
    if stat.S_ISLNK(mode):
        os.symlink(entry["target"], path)  # noqa: PTH211
        _own(path, owner)
        os.utime(path, ns=times, follow_symlinks=False)
        return
    if stat.S_ISBLK(mode):
        raise SandboxError("a snapshot holds a block device")
    os.mknod(path, stat.S_IFMT(mode) | 0o600, 0)
    _own(path, owner)
    os.chmod(path, stat.S_IMODE(mode))  # noqa: PTH101
    os.utime(path, ns=times)


def _fill(path: str, fd: int, data: dict[str, Any], entry: dict[str, Any], owner: Owner | None) -> None:
    check = 0
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o600)) as out:
        for start, at, length in data["spans"]:
            out.seek(start)
            check = _transfer(fd, at, length, out, check)
        out.truncate(data["size"])
        out.flush()
        _own(path, owner)
        _set_attributes(out.fileno(), data["xattr"])
        os.fchmod(out.fileno(), stat.S_IMODE(entry["mode"]))
        os.utime(out.fileno(), ns=(entry["mtime"], entry["mtime"]))
    _compare(path, check, data)


def _own(path: str, owner: Owner | None) -> None:
    """Before its mode is set: a new owner takes away setuid bits."""
    if owner:
        os.lchown(path, *owner)


def _transfer(fd: int, at: int, length: int, out: BinaryIO, check: int) -> int:
    end = at + length
    while at < end:
        piece = os.pread(fd, min(1 << 20, end - at), at)
        if not piece:
            raise SandboxError("a snapshot is shorter than its index says", hint="start from an older one")
        out.write(piece)
        check = zlib.crc32(piece, check)
        at += len(piece)
    return check


def _compare(path: str, check: int, data: dict[str, Any]) -> None:
    if check != data["check"]:
        raise SandboxError(f"the contents of {path!r} are damaged in the snapshot", hint="start from an older one")


def _set_attributes(file: str | int, attributes: dict[str, str]) -> None:
    for name, value in attributes.items():
        os.setxattr(file, name, bytes.fromhex(value))


def _unwritten(error: OSError) -> SandboxError:
    hint = "free space on the disk that holds nightmill's home"
    return SandboxError(f"a snapshot could not be kept whole: {error.strerror or error}", hint=hint)
