"""Everything about a tree that a restore has to bring back, as one digest. Also as a program that may read all of it.

python -m bench.sandbox.look: for each line with the path of a folder, a line with what was found there
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import stat
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

__all__ = ["Looker", "Looks", "differences"]

PIECE = 1 << 16
ZERO = bytes(PIECE)

NOT_KEPT = {"user.overlay.origin", "user.overlay.impure"}
"""File handles into the layers below: another file has others."""

CLONE_NEWUSER = 0x10000000


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """What a tree looks like: a digest of all of it, and counts that tell that there was something to see."""

    digest: str
    entries: int
    links: int
    shut: int


class Looker:
    """A process that sees also files of mode 000, as their owner may in a user namespace of its own."""

    def __init__(self, log: Path) -> None:
        """*log* is a folder that gets the details of every look, by digest: to say what differs."""
        self.log = log
        words = [sys.executable, "-m", "bench.sandbox.look", str(log)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def look(self, top: Path) -> Looks:
        """At everything in *top*."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{top}\n")
        self.process.stdin.flush()
        return Looks(**json.loads(self.process.stdout.readline()))


def differences(log: Path, one: Looks, other: Looks) -> list[str]:
    """The paths that two looks tell different things of, and what."""
    first, second = (json.loads((log / each.digest).read_text()) for each in (one, other))
    paths = sorted(path for path in first.keys() | second.keys() if first.get(path) != second.get(path))
    return [f"{path!a} was {first.get(path)}, came back as {second.get(path)}" for path in paths]


def main(log: str) -> None:
    if os.geteuid():
        become_able()
    for line in sys.stdin:
        found, links = fingerprint(line.rstrip("\n"))
        plain = json.dumps(found, sort_keys=True)
        digest = hashlib.sha256(plain.encode()).hexdigest()
        Path(log, digest).write_text(plain)
        shut = sum(stat.S_IMODE(facts[0]) == 0 for path, facts in found.items() if path)
        looks = {"digest": digest, "entries": len(found), "links": links, "shut": shut}
        print(json.dumps(looks), flush=True)


def become_able() -> None:
    """Get a user namespace, in which all files of this user are open."""
    user, group = os.geteuid(), os.getegid()
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER):
        sys.exit(f"no user namespace: {os.strerror(ctypes.get_errno())}")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        Path(f"/proc/self/{name}").write_text(text, "ascii")


def fingerprint(top: str) -> tuple[dict[str, list[Any]], int]:
    """Path → type and mode, mtime, and what belongs to its type; and how many groups of hard links there are."""
    found: dict[str, list[Any]] = {}
    groups: dict[int, list[str]] = defaultdict(list)
    for folder, folders, files in os.walk(top):
        for path in [folder, *(f"{folder}/{name}" for name in files + folders)]:
            status, name = os.lstat(path), os.path.relpath(path, top)
            facts: list[Any] = [status.st_mode, status.st_mtime_ns]
            if stat.S_ISREG(status.st_mode):
                facts += [status.st_size, contents(path)]
                groups[status.st_ino].append(name)
            if stat.S_ISLNK(status.st_mode):
                facts.append(os.readlink(path))  # noqa: PTH115
            if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
                facts.append({each: os.getxattr(path, each).hex() for each in kept(path)})
            found[name] = facts
    shared = [sorted(names) for names in groups.values() if len(names) > 1]
    for names in shared:
        for name in names:
            found[name].append(names)
    return found, len(shared)


def kept(path: str) -> list[str]:
    return [name for name in os.listxattr(path) if name not in NOT_KEPT]


def contents(path: str) -> str:
    """SHA-256 of all pieces that are not zero, with where they are: holes cost next to nothing."""
    digest, at = hashlib.sha256(), 0
    with open(path, "rb", 0) as file:  # noqa: PTH123 - a string that may be no text
        while piece := file.read(PIECE):
            if piece != ZERO[: len(piece)]:
                digest.update(b"%d:" % at + piece)
            at += len(piece)
    return digest.hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])
