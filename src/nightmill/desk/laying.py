"""What a stranger's archive holds, laid into a folder of our own; the reading half of `archive`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import stat
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from nightmill.desk.archive import FACTS, FORMAT, IN_LAYER, KEPT, MANIFEST, PIECE, Head, sealed
from nightmill.errors import SettingsError

__all__ = ["unpack"]

HEADER = 1 << 20
"""Most that a header may be: names and attributes."""
LONGEST = 1 << 44
"""Most that one file may be, in bytes, holes and all."""
LARGEST = 1 << 30
"""Most that the list of entries may be, in bytes."""
NONSENSE = (ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError, OverflowError)
"""What reading raises where a stranger wrote."""


def unpack(file: BinaryIO, target: Path, *, refused: Callable[[str], bool]) -> Head:
    """Lay what the archive *file* holds into the empty folder *target*, checked to be what was put in.

    A name that *refused* is true of is in no archive of ours.

    Every entry is new and lies in a folder that the archive made before it, so nothing is written through a link. What
    is there after an error is not to be used.

    Raises:
        SettingsError: If it is no backup, was changed or cut short, or holds what no home does.
        OSError: If it cannot be read or written.
    """
    laying = _Laying(target, refused)
    try:
        with tarfile.open(
            fileobj=_Bounded(file),  # type: ignore[call-overload]  # it needs these three methods
            mode="r:",
            encoding="utf-8",
            errors="surrogateescape",
        ) as tar:
            for member in tar:
                tar.__dict__["members"] = []  # it would remember each
                data = tar.extractfile(member) if member.type == tarfile.REGTYPE and not member.issparse() else None
                if member.name == MANIFEST and data is not None:
                    return laying.end(_list(data))
                laying.add(member, data)
    except (tarfile.TarError, *NONSENSE) as error:
        raise _refused(str(error) or type(error).__name__) from error
    raise _refused("it was cut short: its last entry is not there")


class _Laying:
    """What was laid so far."""

    def __init__(self, target: Path, refused: Callable[[str], bool]) -> None:
        self.target, self.refused = target, refused
        self.kinds: dict[str, bytes] = {"": tarfile.DIRTYPE}
        self.found: dict[str, str] = {}
        self.later: list[tuple[Path, tarfile.TarInfo, dict[str, Any]]] = []

    def add(self, member: tarfile.TarInfo, data: Any) -> None:
        name, text = member.name, member.pax_headers.get(FACTS, "{}")
        if wrong := self._wrong(member):
            raise _refused(f"{name!r} {wrong}")
        facts = json.loads(text)
        path, content = self.target / name, ""
        if member.type == tarfile.REGTYPE:
            content = _write(path, data, member.size, facts)
        elif member.type == tarfile.DIRTYPE:
            path.mkdir(mode=0o700)
        elif member.type == tarfile.SYMTYPE:
            path.symlink_to(member.linkname)
        elif member.type == tarfile.LNKTYPE:
            os.link(self.target / member.linkname, path, follow_symlinks=False)
        else:
            os.mknod(path, stat.S_IFCHR | 0o600, 0)
        self.kinds[name] = member.type
        self.found[name] = sealed(member, text, content)
        if member.type == tarfile.DIRTYPE:
            self.later.append((path, member, facts))
        elif member.type != tarfile.LNKTYPE:
            _like(path, member, facts)

    def end(self, body: bytes) -> Head:
        plain = json.loads(body)
        if not isinstance(plain, dict) or plain.get("nightmill") != "backup":
            raise _refused("it is of something else")
        if plain["format"] != FORMAT:
            raise _refused(f"its format is {plain['format']!r}, and this version reads {FORMAT}")
        if plain["entries"] != self.found:
            wrong = {*plain["entries"].items()} ^ {*self.found.items()}
            raise _refused(f"{min(wrong)[0]!r} is not what was put in")
        for path, member, facts in reversed(self.later):  # children first: writing inside moves a folder's time
            _like(path, member, facts)
        if plain["store"] not in {"sqlite", "postgresql"}:
            raise _refused(f"its store is on {plain['store']!r}")
        return Head(version=str(plain["version"]), at=float(plain["at"]), home=str(plain["home"]), store=plain["store"])

    def _wrong(self, member: tarfile.TarInfo) -> str:
        """Why *member* cannot be part of a home; "" if it can."""
        name, kind = member.name, member.type
        if not name or "\0" in name or any(part in {"", ".", ".."} for part in name.split("/")):
            return "leads elsewhere"
        if self.refused(name):
            return "has no place in a backup"
        if name in self.kinds:
            return "is there twice"
        if self.kinds.get(name.rpartition("/")[0]) != tarfile.DIRTYPE:
            return "lies in no folder of the archive"
        inside = IN_LAYER.fullmatch(name) is not None
        plain = kind in {tarfile.REGTYPE, tarfile.DIRTYPE} and not member.issparse() and member.size >= 0
        if not inside and not (plain and not member.mode & 0o7000):
            return "is neither a plain file nor a folder"
        return "" if plain or self._is_mark(member) else "is of a kind that no home holds"

    def _is_mark(self, member: tarfile.TarInfo) -> bool:
        """Whether *member*, in a layer, is a link or a mark of overlayfs."""
        if member.type == tarfile.LNKTYPE:
            other = member.linkname
            return self.kinds.get(other) == tarfile.REGTYPE and IN_LAYER.fullmatch(other) is not None
        mark = member.type == tarfile.CHRTYPE and member.devmajor == member.devminor == 0
        return mark or member.type == tarfile.SYMTYPE


class _Bounded:
    """A file of which nobody reads much at once: what a header says of its own size is a stranger's word."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= PIECE + HEADER:
            raise _refused("a header of it is too large")
        return self.file.read(size)

    def seek(self, at: int, whence: int = 0) -> int:
        return self.file.seek(at, whence)

    def tell(self) -> int:
        return self.file.tell()


def _list(data: IO[bytes]) -> bytes:
    """The list of entries."""
    pieces: list[bytes] = []
    while len(pieces) <= LARGEST // PIECE and (piece := data.read(PIECE)):
        pieces.append(piece)
    return b"".join(pieces)


def _write(path: Path, data: Any, size: int, facts: dict[str, Any]) -> str:
    """Lay the file down and return the digest of its data."""
    whole, digest, at = facts.get("size", size), hashlib.sha256(), 0
    if not 0 <= whole <= LONGEST:
        raise _refused(f"{path.name!r} says that it is larger than any file")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb", buffering=0) as out:
        for start, length in facts.get("spans", [(0, size)]):
            if not (at <= start and length >= 0 and start + length <= whole):
                raise _refused(f"{path.name!r} says wrongly where its data is")
            at = start + length
            out.seek(start)
            while length:
                if not (piece := data.read(min(PIECE, length))):
                    raise _refused("it was cut short")
                out.write(piece)
                digest.update(piece)
                length -= len(piece)  # noqa: PLW2901 - the rest of this span
        if data.read(1):
            raise _refused(f"{path.name!r} says wrongly where its data is")
        out.truncate(whole)
    return digest.hexdigest()


def _like(path: Path, member: tarfile.TarInfo, facts: dict[str, Any]) -> None:
    """Attributes, owner, mode and time, in this order: a new owner takes away setuid bits."""
    link = member.type == tarfile.SYMTYPE
    for name, value in facts.get("xattr", {}).items():
        if not name.startswith(KEPT):
            raise _refused(f"{member.name!r} has the attribute {name!r}")
        with suppress(AttributeError):  # a system without them
            os.setxattr(path, name, _plain(value), follow_symlinks=False)
    if os.geteuid() == 0 and (member.uid or member.gid):
        os.lchown(path, member.uid, member.gid)
    if not link:
        path.chmod(member.mode & 0o7777)
    moment = facts["mtime"]
    os.utime(path, ns=(moment, moment), follow_symlinks=False)


def _plain(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise _refused("an attribute of it cannot be read") from error


def _refused(why: str) -> SettingsError:
    return SettingsError(f"this is no backup that can be used: {why}", hint="take another; nothing was changed")
