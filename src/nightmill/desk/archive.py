"""One file that holds a home: a tar archive whose last entry says what each of the others has to be.

Any `tar` looks into it. What only nightmill needs to know of an entry (times to the nanosecond, extended attributes,
where the data of a sparse file is) stands in a header of its own. Nothing is compressed, so nothing unfolds to more than
was sent; an archive that is cut short has no last entry, and one that was changed does not agree with it.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import json
import os
import re
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from nightmill.sandbox.disk.scan import extents

__all__ = ["FACTS", "FORMAT", "IN_LAYER", "KEPT", "MANIFEST", "PIECE", "Head", "Packing", "sealed"]

FORMAT = 1
MANIFEST = "manifest.json"
FACTS = "NIGHTMILL.facts"

IN_LAYER = re.compile(r"(?:layers|projects/[^/]+/bases)/[^/]+/layer(?:/.*)?", re.DOTALL)
"""What agents and installations made, with links, marks of overlayfs and modes of any kind; never followed from outside."""
KEPT = ("user.", "system.posix_acl_")

PIECE = 1 << 20
SPARSE = 1 << 20
"""Bytes from which a file is looked at for holes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the whole archive is: of *version*, made *at* (Unix seconds) of *home*, whose store is "sqlite" or "postgresql"."""

    version: str
    at: float
    home: str
    store: str


@dataclass(slots=True)
class Packing:
    """An archive that is being written to *out*. Call `end`: what has no last entry is no archive."""

    out: BinaryIO
    count: int = 0
    bytes: int = 0
    _tar: tarfile.TarFile = field(init=False)
    _entries: dict[str, str] = field(default_factory=dict)
    _inodes: dict[tuple[int, int], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tar = tarfile.open(  # noqa: SIM115 - `end` closes it
            fileobj=self.out, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
        )

    def add(self, path: Path, name: str) -> None:
        """Put *path* in as *name*; one that is gone by now is left out.

        Raises:
            OSError: If it cannot be read.
        """
        with suppress(FileNotFoundError):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                self._file(path, name)
            elif stat.S_ISDIR(status.st_mode):
                with _opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
                    self._put(_member(name, tarfile.DIRTYPE, os.fstat(fd)), {"xattr": _attributes(fd)})
            elif stat.S_ISLNK(status.st_mode):
                member = _member(name, tarfile.SYMTYPE, status)
                member.linkname = os.readlink(path)  # noqa: PTH115 - as it is
                self._put(member, {})
            elif stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                self._put(_member(name, tarfile.CHRTYPE, status), {})
            # Sockets, pipes and devices belong to processes, which are not kept.

    def end(self, head: Head) -> None:
        """Write the last entry."""
        plain = {"nightmill": "backup", "format": FORMAT, **asdict(head), "entries": self._entries}
        body = json.dumps(plain, separators=(",", ":")).encode()
        member = tarfile.TarInfo(MANIFEST)
        member.size, member.mode = len(body), 0o600
        self._tar.addfile(member, io.BytesIO(body))
        self._tar.close()

    def _file(self, path: Path, name: str) -> None:
        with _opened(path, os.O_RDONLY) as fd:
            status = os.fstat(fd)
            member, inode = _member(name, tarfile.REGTYPE, status), (status.st_dev, status.st_ino)
            linked = status.st_nlink > 1 and IN_LAYER.fullmatch(name) is not None
            if linked and inode in self._inodes:
                member.type, member.linkname = tarfile.LNKTYPE, self._inodes[inode]
                self._put(member, {})
                return
            if linked:
                self._inodes[inode] = name
            spans = list(_spans(fd, status))
            facts: dict[str, Any] = {"xattr": _attributes(fd)}
            if spans != [(0, status.st_size)]:
                facts |= {"spans": spans, "size": status.st_size}
            member.size = sum(length for _, length in spans)
            self._put(member, facts, _Data(fd, spans))

    def _put(self, member: tarfile.TarInfo, facts: dict[str, Any], data: _Data | None = None) -> None:
        facts["mtime"], member.mtime = member.mtime, int(member.mtime) // 10**9
        member.pax_headers = {FACTS: json.dumps(facts, separators=(",", ":"))}
        self._tar.addfile(member, data)
        content = data.digest.hexdigest() if data else ""
        self._entries[member.name] = sealed(member, member.pax_headers[FACTS], content)
        self._tar.__dict__["members"] = []  # it would remember each
        self.count, self.bytes = self.count + 1, self.bytes + member.size


class _Data(io.RawIOBase):
    """The data of a file, span after span, with its digest so far."""

    def __init__(self, fd: int, spans: list[tuple[int, int]]) -> None:
        self.fd, self.spans = fd, list(reversed(spans))
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """As many bytes as asked for, or as there are."""
        pieces = []
        while size and self.spans:
            at, left = self.spans.pop()
            piece = os.pread(self.fd, min(size, left, PIECE), at)
            if not piece:
                raise OSError(errno.EIO, "it became shorter while it was read")
            if left > len(piece):
                self.spans.append((at + len(piece), left - len(piece)))
            pieces.append(piece)
            size -= len(piece)
        body = b"".join(pieces)
        self.digest.update(body)
        return body


def _member(name: str, kind: bytes, status: os.stat_result) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.mtime = kind, stat.S_IMODE(status.st_mode), status.st_mtime_ns
    # 0 is whoever packs and unpacks; a sandbox's files may be somebody else's, whom root knows by number.
    member.uid = 0 if status.st_uid == os.geteuid() else status.st_uid
    member.gid = 0 if status.st_gid == os.getegid() else status.st_gid
    return member


def sealed(member: tarfile.TarInfo, facts: str, content: str) -> str:
    """Digest of all that an entry is: what stands in its headers, and its data, of which *content* is the digest."""
    owner = (member.uid, member.gid)
    plain = [
        member.name,
        member.type.decode("latin-1"),
        member.mode,
        *owner,
        member.size,
        member.linkname,
        facts,
        content,
    ]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """*path* open, never through a link. One that is ours and shut to ourselves, as agents make them, is opened for a moment."""
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        fd = os.open(path, flags)
    except PermissionError:
        mode = stat.S_IMODE(path.lstat().st_mode)
        path.chmod(mode | 0o500)
        try:
            fd = os.open(path, flags)
        finally:
            path.chmod(mode)
    try:
        yield fd
    finally:
        os.close(fd)


def _spans(fd: int, status: os.stat_result) -> Iterator[tuple[int, int]]:
    """Where the data of a file is, as (offset, length)."""
    size = status.st_size
    if size < SPARSE or status.st_blocks * 512 >= size:
        yield 0, size
        return
    for start, end in extents(fd, size):
        yield start, end - start


def _attributes(fd: int) -> dict[str, str]:
    if not hasattr(os, "listxattr"):
        return {}
    names = [name for name in os.listxattr(fd) if name.startswith(KEPT)]
    return {name: base64.b64encode(os.getxattr(fd, name)).decode() for name in names}
