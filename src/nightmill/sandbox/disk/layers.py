"""Read-only layers: a run's upper becomes one by a rename, once nothing writes to it any more."""

from __future__ import annotations

import ctypes
import os
import platform
import stat
from pathlib import Path

from nightmill.errors import SandboxError

__all__ = ["flush", "freeze", "remove"]

LONG_PATH = 1000
"""Characters below the top at which a folder is moved up before it is emptied."""


def freeze(directory: Path, target: Path) -> None:
    """Make the upper of the closed sandbox in *directory* the layer *target*; never write to it again.

    A rename, so both must be on one file system. Of a sandbox of which no snapshot was taken: after one, a large upper may
    be a layer of the shelf already, which this does not see. A crash leaves either the upper or the whole layer. The folder that
    holds the layer is shut to other users: a setuid file of an agent's is one of this user's, here on the host.

    Raises:
        SandboxError: If there is no upper, or *target* cannot be made of it.
    """
    upper = directory / "upper"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.parent.chmod(0o700)
        flush(upper)
        upper.rename(target)
        for folder in {target.parent, directory}:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(fd)
            os.close(fd)
    except OSError as error:
        raise SandboxError(f"{str(upper)!r} cannot become the layer {str(target)!r}: {error.strerror}") from error


def flush(folder: Path) -> None:
    """Have the file system write what it holds back: a layer that others stand on survives a power cut."""
    if platform.system() != "Linux":  # the others have no call for one file system
        os.sync()
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        ctypes.CDLL(None).syncfs(fd)
    finally:
        os.close(fd)


def remove(path: Path) -> None:
    """Delete *path* and all below, if it is there: also folders of mode 000, which agents and overlayfs make."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        path.unlink()
        return
    _empty(str(path))
    path.rmdir()


def _empty(top: str) -> None:
    """Delete what is in *top*, without recursion: an agent may nest deeper than Python goes, or than a path may be."""
    todo: list[tuple[str, bool]] = [(top, False)]
    moved = 0
    while todo:
        path, done = todo.pop()
        if done:
            os.rmdir(path)
            continue
        if len(path) - len(top) > LONG_PATH:
            moved += 1
            os.rename(path, shorter := f"{top}/.removed-{os.getpid()}-{moved}")
            path = shorter
        os.chmod(path, 0o700)
        if path != top:
            todo.append((path, True))
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append((entry.path, False))
                else:
                    os.unlink(entry.path)
