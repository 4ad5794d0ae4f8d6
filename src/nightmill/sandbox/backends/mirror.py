"""The upper of a sandbox on another machine, kept on this one: what changed there is told, and written down here.

So packs, restores and forks are the same as everywhere. What is told is hostile: paths lead nowhere but below the
upper, every length is bounded, and nothing is followed.
"""

from __future__ import annotations

import json
import os
import stat
import struct
from pathlib import Path
from typing import IO, Any

from nightmill.errors import SandboxError
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.owner import Owner

__all__ = ["LOOK", "Facts", "Mirror"]

Facts = dict[str, list[int]]
"""Path below /work → mode, size, and times and inode as there."""

TOLD_MOST = 256 << 20
LONGEST = 4096

LOOK = """
import json, os, signal, stat, struct, sys, time
length, = struct.unpack(">Q", sys.stdin.buffer.read(8))
known = json.loads(sys.stdin.buffer.read(length))
top, out, mine, held = "/work", sys.stdout.buffer, {1, os.getpid(), os.getppid()}, []
def state(pid):
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            return file.read().rpartition(b")")[2].split()[0].decode()
    except OSError:
        return "X"
def moving():
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if pid not in mine and state(pid) not in "TtXZ"]
end = time.monotonic() + 10
try:
    while known["hold"] and (found := moving()) and time.monotonic() < end:
        for pid in found:
            try:
                os.kill(pid, signal.SIGSTOP)
                held.append(pid)
            except OSError:
                mine.add(pid)
        time.sleep(0.001)
    new, todo = {}, [""]
    while todo:
        folder = todo.pop()
        for name in os.listdir(os.path.join(top, folder)):
            path = os.path.join(folder, name)
            found = os.lstat(os.path.join(top, path))
            new[path] = [found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
            if stat.S_ISDIR(found.st_mode):
                todo.append(path)
    old = known["facts"]
    changed = sorted(path for path, facts in new.items() if old.get(path) != facts)
    links = {path: os.readlink(os.path.join(top, path)) for path in changed if stat.S_ISLNK(new[path][0])}
    told = {"set": {path: new[path] for path in changed}, "links": links, "gone": [path for path in old if path not in new]}
    plain = json.dumps(told).encode()
    out.write(struct.pack(">Q", len(plain)) + plain)
    for path in changed if known["bodies"] else ():
        if stat.S_ISREG(new[path][0]):
            left = new[path][1]
            with open(os.open(os.path.join(top, path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                while left and (piece := file.read(min(left, 1 << 20))):
                    out.write(piece)
                    left -= len(piece)
            out.write(bytes(left))
    out.flush()
finally:
    for pid in held:
        try:
            os.kill(pid, signal.SIGCONT)
        except OSError:
            pass
"""
"""Run inside: hold the others still, tell what is not as it was known, then the contents of files one after another."""


class Mirror:
    """The upper *upper* above paths that are *lower*; *most* bytes are taken at once."""

    def __init__(self, upper: Path, lower: dict[str, bool], *, owner: Owner | None, most: int) -> None:
        """*lower* says of each path of the layers whether it is a folder."""
        self.upper, self.lower, self.owner, self.most = upper, lower, owner, most
        self.facts: Facts = {}

    def question(self, *, bodies: bool) -> bytes:
        """What `LOOK` reads."""
        plain = json.dumps({"facts": self.facts, "bodies": bodies, "hold": bodies}).encode()
        return struct.pack(">Q", len(plain)) + plain

    def learn(self, said: IO[bytes]) -> None:
        """Take what is there as known: it is what this host has sent.

        Raises:
            SandboxError: If it cannot be read.
        """
        self.facts = _told(said)["set"]

    def take(self, said: IO[bytes]) -> None:
        """Make the upper what is told.

        Raises:
            SandboxError: If it cannot be read, is too much, or leads elsewhere.
        """
        told = _told(said)
        changed: Facts = told["set"]
        if sum(facts[1] for facts in changed.values() if stat.S_ISREG(facts[0])) > self.most:
            raise SandboxError(f"more than {self.most:,} bytes changed in the sandbox")
        new = {path: facts for path, facts in self.facts.items() if path not in set(told["gone"])} | changed
        for path in sorted(told["gone"], reverse=True):
            if self._within(path):
                remove(self.upper / path)
        for path in sorted(changed):
            self._write(path, new, told["links"], said)
        for path in sorted(told["gone"]):
            self._cover(path, new)
        for path in sorted(changed, reverse=True):
            if stat.S_ISDIR(changed[path][0]):
                self._finish(self.upper / path, changed[path])
        self.facts = new

    def _write(self, path: str, new: Facts, links: dict[str, str], said: IO[bytes]) -> None:
        target, facts = self._place(path, new), new[path]
        mode = facts[0]
        was = target.lstat() if os.path.lexists(target) else None
        if stat.S_ISDIR(mode):
            self._folder(
                target, opaque=was is not None and not stat.S_ISDIR(was.st_mode) and self.lower.get(path, False)
            )
            return
        remove(target)
        if stat.S_ISLNK(mode):
            target.symlink_to(links[path])
        elif stat.S_ISREG(mode):
            with target.open("xb") as out:
                _copy(said, out, facts[1])
        elif stat.S_ISFIFO(mode):
            os.mkfifo(target)
        else:
            return  # a socket: what listens there is not restored either
        self._finish(target, facts)

    def _folder(self, target: Path, *, opaque: bool) -> None:
        if target.is_dir() and not target.is_symlink():
            return
        remove(target)
        target.mkdir(mode=0o700)
        if opaque:  # it stood as gone: what lies below must not show through
            os.setxattr(target, "user.overlay.opaque", b"y")
        if self.owner:
            os.lchown(target, *self.owner)

    def _place(self, path: str, new: Facts) -> Path:
        """Where *path* goes, with folders above it that are folders."""
        target = self.upper
        parts = path.split("/")
        for at, part in enumerate(parts[:-1]):
            target /= part
            above = "/".join(parts[: at + 1])
            if above not in new or not stat.S_ISDIR(new[above][0]):
                raise SandboxError(f"the sandbox told of {path!r}, which has no folder there")
            if not target.is_dir() or target.is_symlink():
                self._folder(target, opaque=False)
                self._finish(target, new[above])
        return target / parts[-1]

    def _within(self, path: str) -> bool:
        """Whether *path* is reached through folders of the upper alone, and no link among them."""
        above = self.upper
        for part in path.split("/")[:-1]:
            above /= part
            if above.is_symlink() or not above.is_dir():
                return False
        return True

    def _cover(self, path: str, new: Facts) -> None:
        """Hide *path* of the layers, where it would show through."""
        parent = path.rpartition("/")[0]
        if path not in self.lower or (parent and not stat.S_ISDIR(new.get(parent, [0])[0])):
            return
        target = self._place(path, new)
        if os.path.lexists(target) or self._hidden(target.parent):
            return
        os.mknod(target, stat.S_IFCHR, 0)
        if self.owner:
            os.lchown(target, *self.owner)
        if parent:
            self._finish(target.parent, new[parent])

    def _hidden(self, folder: Path) -> bool:
        """Whether a folder of the upper, or one above it, shows nothing of the layers."""
        while folder != self.upper:
            if "user.overlay.opaque" in os.listxattr(folder):
                return True
            folder = folder.parent
        return False

    def _finish(self, target: Path, facts: list[int]) -> None:
        if self.owner:
            os.lchown(target, *self.owner)
        if not target.is_symlink():
            target.chmod(stat.S_IMODE(facts[0]) & 0o1777)
        os.utime(target, ns=(facts[2], facts[2]), follow_symlinks=False)


def _told(said: IO[bytes]) -> dict[str, Any]:
    """What came before the contents, checked."""
    try:
        (length,) = struct.unpack(">Q", _exactly(said, 8))
        if length > TOLD_MOST:
            raise SandboxError(f"the sandbox told {length:,} bytes of names")
        told = json.loads(_exactly(said, length))
        changed, links, gone = told["set"], told["links"], told["gone"]
        for path, facts in changed.items():
            _check(path)
            whole = len(facts) == 5 and all(isinstance(each, int) and 0 <= each < 1 << 63 for each in facts)
            if not whole or (stat.S_ISLNK(facts[0]) and not isinstance(links[path], str)):
                raise SandboxError(f"the sandbox told nonsense of {path!r}")
        for path in gone:
            _check(path)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SandboxError(f"the sandbox told what cannot be read: {error!r}") from error
    return {"set": changed, "links": links, "gone": gone}


def _check(path: Any) -> None:
    plain = isinstance(path, str) and 0 < len(path) <= LONGEST and "\0" not in path
    if not plain or any(part in {"", ".", ".."} for part in path.split("/")):
        raise SandboxError(f"the sandbox told of the path {str(path)[:200]!r}")


def _exactly(said: IO[bytes], length: int) -> bytes:
    found = said.read(length)
    if len(found) != length:
        raise SandboxError("the sandbox ended before it had told all")
    return found


def _copy(said: IO[bytes], out: IO[bytes], length: int) -> None:
    while length:
        piece = _exactly(said, min(length, 1 << 20))
        out.write(piece)
        length -= len(piece)
