"""Everything that can be seen of a tree, from the host and from inside, to compare two of them."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections import defaultdict
from pathlib import Path
from typing import Any

from nightmill.sandbox import Command, Limits, Sandbox
from nightmill.sandbox.disk import build
from nightmill.sandbox.disk.chain import stand
from nightmill.sandbox.owner import owner


def restore(directory: Path, snapshot: str) -> None:
    build.restore(directory, stand(directory / "packs", snapshot).chain, owner())


def fingerprint(top: Path) -> dict[str, Any]:
    """Everything about a raw upper that a restore must bring back."""
    found: dict[str, Any] = {}
    groups: dict[int, list[str]] = defaultdict(list)
    for folder, folders, files in os.walk(top):
        for path in [folder, *(f"{folder}/{name}" for name in files + folders)]:
            status, name = os.lstat(path), os.path.relpath(path, top)
            facts: list[Any] = [status.st_mode, status.st_mtime_ns, status.st_uid]
            if stat.S_ISREG(status.st_mode):
                facts += [status.st_size, hashlib.sha256(Path(path).read_bytes()).hexdigest()]
                groups[status.st_ino].append(name)
            if stat.S_ISLNK(status.st_mode):
                facts.append(Path(path).readlink())
            if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
                kept = set(os.listxattr(path)) - {"user.overlay.origin", "user.overlay.impure"}
                facts.append({each: os.getxattr(path, each) for each in kept})
            found[name] = facts
    found["hard links"] = {tuple(sorted(names)) for names in groups.values() if len(names) > 1}
    return found


LOOK = r"""
import hashlib, json, os, stat
found, groups = {}, {}
for folder, folders, files in os.walk("/work", onerror=None):
    for path in [folder] * (folder == "/work") + [os.path.join(folder, name) for name in files + folders]:
        status = os.lstat(path)
        kind = stat.S_IFMT(status.st_mode)
        facts = [status.st_mode, status.st_mtime_ns]
        if kind == stat.S_IFREG:
            facts.append(status.st_size)
            try:
                facts.append(hashlib.sha256(open(path, "rb").read()).hexdigest())
            except PermissionError:
                facts.append("shut")
            if status.st_nlink > 1:
                groups.setdefault(status.st_ino, []).append(ascii(path))
        if kind == stat.S_IFLNK:
            facts.append(ascii(os.readlink(path)))
        if kind in (stat.S_IFREG, stat.S_IFDIR):
            try:
                facts.append(sorted((name, os.getxattr(path, name).hex()) for name in os.listxattr(path)))
            except PermissionError:
                facts.append("shut")
        found[ascii(path)] = facts
found["hard links"] = sorted(sorted(names) for names in groups.values() if len(names) > 1)
print(json.dumps(found))
"""


async def look(sandbox: Sandbox) -> dict[str, Any]:
    """What /work is, seen from inside."""
    argv = ("/usr/bin/python3", "-c", LOOK)
    told = await sandbox.run(Command(argv=argv, cwd="/", limits=Limits(output=16 << 20, seconds=60)))
    assert told.exit == 0, told.text
    found: dict[str, Any] = json.loads(told.text)
    return found


def same(forked: dict[str, Any], live: dict[str, Any]) -> bool:
    """Whether a fork shows what was seen live, and no hard link is lost.

    It may show one more: overlayfs gives a file that was copied up from below the inode number that it had there, so a
    link to it that was made since looks like a file of its own as long as both are in the upper.
    """
    groups = [set(names) for names in forked["hard links"]]
    kept = all(any(set(names) <= group for group in groups) for names in live["hard links"])
    return kept and {**forked, "hard links": ()} == {**live, "hard links": ()}
