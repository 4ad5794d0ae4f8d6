"""The folder of one sandbox on macOS: whole copies that share their blocks, and whether anything still runs in it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightmill.errors import SandboxError
from nightmill.sandbox.backends.cargo import entries
from nightmill.sandbox.backends.seatbelt import Programs
from nightmill.sandbox.disk.index import is_name
from nightmill.sandbox.disk.layers import remove

__all__ = ["alive", "clone", "facts", "keep", "kept", "memory"]

GONE = 5.0
"""Seconds for the kernel to end what was killed."""


@contextmanager
def alive(directory: Path) -> Iterator[int]:
    """A descriptor that everything started in the sandbox of *directory* is to inherit, as proof that it has ended.

    Raises:
        SandboxError: If something that inherited it before still runs.
    """
    path, end = directory / "alive", time.monotonic() + GONE
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > end:
                    hint = f"`lsof {path}` names it: end it"
                    what = f"something that was started in the sandbox {str(directory)!r} still runs"
                    raise SandboxError(what, hint=hint) from error
                time.sleep(0.01)
        yield fd
    finally:
        os.close(fd)


def kept(directory: Path, snapshot: str) -> Path:
    """The folder that is *snapshot* of the sandbox in *directory*.

    Raises:
        SandboxError: If it is not there.
    """
    found = directory / "clones" / snapshot
    if not is_name(snapshot) or not found.is_dir():
        raise SandboxError(f"snapshot {snapshot!r} cannot be read: it is not there", hint="start from an older one")
    return found


def memory(directory: Path) -> Path:
    """What is /tmp in the sandbox of *directory*: near the root, because a unix socket's path has 104 bytes at most."""
    name = hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:12]
    return Path("/tmp").resolve() / f"nightmill-{name}"  # noqa: S108 - made for this user alone


def keep(source: Path, directory: Path, name: str, programs: Programs) -> None:
    """Make *source* the snapshot *name* of the sandbox in *directory*, whole or not at all."""
    beside = directory / "clones" / f"{name}.tmp"
    try:
        beside.parent.mkdir(exist_ok=True)
        remove(beside)
        clone(programs, source, beside)
        beside.rename(directory / "clones" / name)
    except OSError as error:
        raise SandboxError(f"a snapshot cannot be kept: {error}") from error
    finally:
        if beside.exists():
            remove(beside)


def clone(programs: Programs, source: Path, target: Path) -> None:
    """Make the new folder *target* a copy of *source* that shares its blocks."""
    words = [*programs.clone, f"{source}/.", str(target)]
    done = subprocess.run(words, env={}, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[-300:]
        hint = "free space on the disk that holds nightmill's home; nothing in /work may be unreadable"
        raise SandboxError(f"{str(source)!r} cannot be copied: {said}", hint=hint)


def facts(top: Path) -> dict[str, tuple[int, ...]]:
    """What moves when *top* or something below it changes; empty if that happens meanwhile."""
    found: dict[str, tuple[int, ...]] = {}
    try:
        for path, where in (("", top), *entries(top)):
            status = where.lstat()
            found[path] = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    except FileNotFoundError:
        return {}
    return found
