"""Bundles: written from chosen commits, and read with suspicion.

Git's own way in, `git fetch` from a bundle, checks no object before git 2.46 whatever `transfer.fsckObjects` says,
and leaves what it refuses behind. So the pack goes through a strict `index-pack` into a quarantine first.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, NamedTuple

from nightmill.errors import LimitReached, SandboxError
from nightmill.repo.git import Call
from nightmill.repo.history import History, safe
from nightmill.repo.lock import holding

__all__ = ["Head", "admit", "header", "opened", "pack"]

SIGNATURES = {b"# v2 git bundle\n": 2, b"# v3 git bundle\n": 3}
LINE = 4096
LINES = 1000
NAMES = 64 << 20
LARGEST = "256m"
"""Bytes that git may take at once to unfold what came in: a delta of some bytes can stand for gigabytes."""

REF = re.compile(rb"(-?)([0-9a-f]{40}(?:[0-9a-f]{24})?)(?: ([^\n]*))?\n")
ORDER = (".pack", ".rev", ".idx")  # a pack counts from the moment its index is there


class Head(NamedTuple):
    """The one commit that a bundle brings and the name it has there."""

    name: str
    commit: str


def pack(history: History, target: IO[bytes], *, tips: Mapping[str, str], exclude: Sequence[str]) -> None:
    """Write a bundle of the commits *tips* (by their ref in it) without what *exclude* reaches.

    Raises:
        EngineError: If git fails.
    """
    wide = any(len(commit) > 40 for commit in tips.values())  # SHA-1 in hex
    lines = ["# v3 git bundle\n@object-format=sha256\n" if wide else "# v2 git bundle\n"]
    lines += [f"-{safe(commit)} \n" for commit in exclude]
    lines += [f"{safe(commit)} {safe(name)}\n" for name, commit in tips.items()]
    target.write("".join([*lines, "\n"]).encode())
    target.flush()
    wanted = "".join([*(f"{commit}\n" for commit in tips.values()), *(f"^{commit}\n" for commit in exclude)])
    args = ("pack-objects", "--stdout", "--revs", "--thin", "--delta-base-offset", "-q")
    call = Call(args=(f"--git-dir={history.path}", *args), stdin=wanted.encode(), output=target, seconds=600)
    ran = history.git.run(call)
    if ran.exit:
        raise history.failure("pack-objects", ran)


def opened(path: Path, *, limit: int) -> IO[bytes]:
    """Open a file that something hostile may have placed: regular, no link, at most *limit* bytes.

    Raises:
        SandboxError: If it is not there or something else.
        LimitReached: If it is larger.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SandboxError(f"the bundle {path.name!r} cannot be read: {error.strerror}") from error
    found = os.fstat(number)
    if stat.S_ISREG(found.st_mode) and found.st_size <= limit:
        return os.fdopen(number, "rb")
    os.close(number)
    if not stat.S_ISREG(found.st_mode):
        raise SandboxError(f"the bundle {path.name!r} is not a regular file")
    raise LimitReached(f"the bundle holds {found.st_size:,} bytes, more than {limit:,}", limit="bundle")


def header(file: IO[bytes]) -> Head:
    """Read a bundle up to its pack; it must bring exactly one ref.

    Raises:
        SandboxError: If it is anything else.
    """
    version = SIGNATURES.get(file.readline(LINE))
    heads: list[Head] = []
    for _ in range(LINES if version else 0):
        line = file.readline(LINE)
        if line == b"\n":
            break
        if line.startswith(b"@object-format=") and version == 3:  # the version that has capabilities
            continue
        found = REF.fullmatch(line)
        if not found:
            raise SandboxError("the bundle's header is damaged")
        if not found[1]:
            heads.append(Head((found[3] or b"").decode("utf-8", "replace"), found[2].decode()))
    if len(heads) != 1:
        raise SandboxError(f"the bundle brings {len(heads)} refs where one is expected")
    return heads[0]


def admit(history: History, file: IO[bytes], head: Head, *, limit: int) -> None:
    """Let the pack that follows in *file* into *history* if each of its objects is sound and none is missing.

    Raises:
        SandboxError: If it is refused; nothing of it stays.
    """
    objects = history.path / "objects"
    quarantine = Path(tempfile.mkdtemp(prefix="incoming-", dir=objects))
    try:
        (quarantine / "pack").mkdir()
        _index(history, file, quarantine, limit)
        _connected(history, head, quarantine)
        _bounded(history, head, quarantine)
        for suffix in ORDER:
            for each in (quarantine / "pack").glob(f"pack-*{suffix}"):
                each.rename(objects / "pack" / each.name)
    finally:
        shutil.rmtree(quarantine, ignore_errors=True)


def _index(history: History, file: IO[bytes], quarantine: Path, limit: int) -> None:
    # git reads the descriptor: it has to stand where our buffered reading stopped
    os.lseek(file.fileno(), file.tell(), os.SEEK_SET)
    args = ("index-pack", "--stdin", "--fix-thin", "--strict", "--threads=1", f"--max-input-size={limit}")
    ran = history.git.run(_inside(history, args, quarantine, stdin=file))
    if ran.exit:
        raise SandboxError(
            f"git refuses what the bundle holds: {ran.error.splitlines()[-1] if ran.error else ran.exit}"
        )


def _connected(history: History, head: Head, quarantine: Path) -> None:
    kind = history.git.run(_inside(history, ("cat-file", "-t", head.commit), quarantine))
    if kind.out.strip() != b"commit":
        raise SandboxError(f"the bundle's {head.name!r} is not a commit that it holds")
    args = ("rev-list", "--objects", "--quiet", head.commit, "--not", "--all")
    ran = history.git.run(_inside(history, args, quarantine))
    if ran.exit:
        raise SandboxError("the bundle lacks objects that its commit needs")


def _bounded(history: History, head: Head, quarantine: Path) -> None:
    """Few objects can be billions of files: a tree of trees that are all the same. Who lists them never ends."""
    listing = _inside(history, ("ls-tree", "-r", "-z", "--name-only", "--full-tree", head.commit), quarantine)
    if history.git.run(replace(listing, bytes=NAMES)).cut:
        raise SandboxError(f"the names of the bundle's files are more than {NAMES >> 20} MiB")


def _inside(history: History, args: tuple[str, ...], quarantine: Path, *, stdin: IO[bytes] | bytes = b"") -> Call:
    return Call(
        args=(f"--git-dir={history.path}", *args),
        env={
            "GIT_OBJECT_DIRECTORY": str(quarantine),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(history.path / "objects"),
            "GIT_ALLOC_LIMIT": LARGEST,
        },
        stdin=stdin,
        seconds=300,
        keep=holding(history.lock),
    )
