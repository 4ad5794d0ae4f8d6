"""Files as the sandbox sees them: read, write and list without starting a program.

Paths are resolved here, inside, so a symbolic link leads nowhere that a command could not go.
"""

from __future__ import annotations

import errno
import posix
import stat

__all__ = ["OPERATIONS", "stored"]

TYPE_CHECKING = False  # typing itself would be a fifth of the time until a sandbox answers
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Tuple

    Answer = Tuple[Dict[str, Any], bytes]

KINDS = {stat.S_IFREG: b"file", stat.S_IFDIR: b"directory", stat.S_IFLNK: b"link"}


def read(asked: Dict[str, Any], _: bytes) -> Answer:
    """A piece of a regular file, and its state, to tell whether the next is of the same.

    A fifo would block and a device never ends: neither is opened for reading.
    """
    fd = posix.open(asked["path"], posix.O_RDONLY | posix.O_NONBLOCK | posix.O_NOCTTY)
    try:
        status = posix.fstat(fd)
        check_regular(status.st_mode)
        posix.lseek(fd, asked.get("offset", 0), 0)
        pieces, left = [], asked["limit"]
        while left > 0:
            piece = posix.read(fd, min(left, 1 << 20))
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
    finally:
        posix.close(fd)
    state = [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    return {"size": status.st_size, "state": state}, b"".join(pieces)


def write(asked: Dict[str, Any], body: bytes) -> Answer:
    """Write beside the file and rename: a reader sees the old file or the new one, and no disk space loses nothing."""
    import os  # it takes more than a millisecond: not of those who only run commands

    path = os.path.realpath(asked["path"])
    mode = 0o644
    try:
        status = os.stat(path)
        check_regular(status.st_mode)
        mode = stat.S_IMODE(status.st_mode)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    beside = os.path.join(os.path.dirname(path), ".%s.tmp" % os.urandom(8).hex())
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(body)
        while view:
            view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
        os.rename(beside, path)
    except OSError:
        os.unlink(beside)
        raise
    finally:
        os.close(fd)
    return {}, b""


def entries(asked: Dict[str, Any], _: bytes) -> Answer:
    """Names below a folder, the upper levels first, so that a limit cuts the deepest."""
    import os

    found: List[bytes] = []
    level, depth = [os.fsencode(asked["path"])], 0
    while level and depth < asked["depth"] and len(found) < asked["limit"]:
        deeper = []
        for folder in level:
            try:
                names = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError:
                if depth == 0:
                    raise
                continue  # unreadable or just removed: its name was listed
            for record, below in described(names):
                found.append(record)
                deeper += below
        level, depth = deeper, depth + 1
    return {"more": max(0, len(found) - asked["limit"])}, b"\0".join(found[: asked["limit"]])


def described(names: List[Any]) -> Iterator[Tuple[bytes, List[bytes]]]:
    """Each entry as one record, and the folder to go into, if it is one."""
    for entry in names:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        kind = KINDS.get(stat.S_IFMT(status.st_mode), b"other")
        enter = kind == b"directory" and entry.name != b".git"
        yield b" ".join((kind, b"%d" % status.st_size, entry.path)), [entry.path] if enter else []


def check_regular(mode: int) -> None:
    """Refuse what is no regular file, in words."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a regular file")


def stored(file: int, body: bytes) -> int:
    """The new *file*, to be read from its beginning, with *body* in it."""
    view = memoryview(body)
    while view:
        view = view[posix.write(file, view) :]
    posix.lseek(file, 0, 0)
    return file


OPERATIONS: Dict[str, Callable[[Dict[str, Any], bytes], Answer]] = {
    "read": read,
    "write": write,
    "list": entries,
}
