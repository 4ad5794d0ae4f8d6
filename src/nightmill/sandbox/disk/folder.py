"""A run's folder on the host: held by one sandbox at a time, its upper made ready for a start."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightmill.errors import SandboxError
from nightmill.sandbox.disk.build import restore
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.owner import Owner, give

__all__ = ["clear_work", "lock", "prepare", "unused"]


def lock(directory: Path) -> int:
    """Hold the folder: two sandboxes on one upper are undefined behaviour that the kernel does not refuse.

    Raises:
        SandboxError: If another holds it.
    """
    fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(fd, 100, 0).decode("ascii", "replace").strip() or "another process"
        os.close(fd)
        raise SandboxError(
            f"the folder {str(directory)!r} is in use by {holder}", hint="one run is worked on by one worker"
        ) from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, b"process %d\n" % os.getpid(), 0)
    return fd


@contextmanager
def unused(directory: Path) -> Iterator[None]:
    """Hold the folder while nothing is to be opened in it.

    Raises:
        SandboxError: If a sandbox is open there.
    """
    fd = lock(directory)
    try:
        yield
    finally:
        os.close(fd)


def prepare(directory: Path, layers: tuple[Path, ...], chain: list[str], to: Owner | None) -> None:
    """Make the upper what *chain* recorded ([]: empty, on *layers*); what an earlier sandbox left there is in its snapshots or lost.

    Raises:
        SandboxError: If a pack is missing or damaged, or the disk is full.
    """
    directory.chmod(0o700)  # an agent's setuid file is a file of this user on the host: no one else may reach it
    if to:
        os.chown(directory, -1, to.group)
        directory.chmod(0o710)
    for beside in directory.glob("packs/*.tmp"):
        beside.unlink()
    for stale in (
        directory / "upper.new",
        directory / "upper.old",
        *directory.glob("gone-*"),
    ):  # of one that was cut off
        remove(stale)
    if chain:
        restore(directory, chain, to)
    else:
        remove(directory / "upper")
        (directory / "upper").mkdir(mode=0o755)
        give(directory / "upper", to)
        if layers:  # the root of a mount shows the upper's own mode
            (directory / "upper").chmod(layers[-1].stat().st_mode & 0o7777)


def clear_work(directory: Path, to: Owner | None) -> None:
    """Make overlayfs' own folder new: it leaves one of mode 000 in it. And the layer of those that have none."""
    remove(directory / "work")
    for name in ("work", "empty"):
        (directory / name).mkdir(mode=0o755, exist_ok=True)
        give(directory / name, to)
