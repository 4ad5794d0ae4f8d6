"""Memory and processes of each command, bounded by the kernel: a control group per command, below its sandbox's.

The host makes the group and passes the runner a descriptor through which a process can move only itself; the command's
keeper does, before the command begins. (To be moved by another waits for all processors: some 15 ms.) Afterwards the
kernel is asked whether something was killed for memory. What is in /tmp, /dev/shm, a memfd or System V memory
counts like any other page. Where the kernel gives this process no groups, limits are per process and looked after.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import signal
import socket
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from nightmill.errors import SandboxError
from nightmill.sandbox import scope
from nightmill.sandbox.nouns import Limits

__all__ = ["Group", "Groups", "Tree", "find", "sweep"]

PREFIX, OURS, RUNNER = "nightmill-", "nightmill", "runner"
"""Names of groups: of a sandbox, of this process in a tree of version 2, of what is no command."""

KEEPER = 1
"""Processes of a command that are ours."""

GIVEN = "as root, give the user of nightmill a group of the memory and pids controllers, and start it there"


class Tree(NamedTuple):
    """Where this process may make groups: a folder per controller, in version 2 the same one; None: nowhere."""

    memory: Path | None = None
    pids: Path | None = None
    version: int = 0
    why: str = ""
    fix: str = ""

    @property
    def folders(self) -> list[Path]:
        """Each once, the one whose lock counts first."""
        return list(dict.fromkeys(folder for folder in (self.memory, self.pids) if folder))

    def below(self, name: str) -> Tree:
        """The group *name* in this one."""
        memory, pids = (folder and folder / name for folder in (self.memory, self.pids))
        return Tree(memory, pids, self.version)


class Group:
    """One command's."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def make(self, limits: Limits | None) -> None:
        """Have the kernel make it, with *limits*."""
        for folder in self.tree.folders:
            folder.mkdir()
        if limits and self.tree.memory:
            _bound(self.tree.memory, limits.memory, self.tree.version)
        if limits and self.tree.pids:
            _write(self.tree.pids / "pids.max", str(limits.processes + KEEPER))

    def killed(self) -> bool:
        """Whether the kernel killed a process in it for memory."""
        if not self.tree.memory:
            return False
        events = "memory.events" if self.tree.version == 2 else "memory.oom_control"
        with contextlib.suppress(OSError, ValueError):
            told = dict(line.split() for line in (self.tree.memory / events).read_text("ascii").splitlines())
            return int(told.get("oom_kill", "0")) > 0
        return False

    def remove(self) -> bool:
        """Kill what is in it; whether the kernel has let it go, which takes until the last of that has ended."""
        gone = True
        for folder in self.tree.folders:
            with contextlib.suppress(OSError):
                for pid in (folder / "cgroup.procs").read_text("ascii").split():
                    os.kill(int(pid), signal.SIGKILL)
            with contextlib.suppress(FileNotFoundError):
                gone = _removed(folder) and gone
        return gone


class Groups:
    """The groups of one sandbox. For one thread at a time."""

    def __init__(self, tree: Tree, *, spare: int) -> None:
        """Make them below *tree*; *spare* bytes are for what outlives a command, such as files in /tmp.

        Raises:
            SandboxError: If the kernel refuses.
        """
        self.tree, self.spare = tree, spare
        self.name = f"{PREFIX}{secrets.token_hex(6)}"
        self.top = tree.below(self.name)
        self.most, self.made, self.lock = 0, 0, -1
        self.mine, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.mine.setblocking(False)
        self.live: dict[Group, int] = {}
        self.ending: list[Group] = []
        self.ready: tuple[Limits, Group] | None = None
        """Made for a command to come."""
        self.rest = Group(self.top.below(RUNNER))
        try:
            for folder in self.top.folders:
                folder.mkdir()
            self.lock = os.open(self.top.folders[0], os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self.lock, fcntl.LOCK_EX)
            if tree.version == 2:
                _write(self.top.folders[0] / "cgroup.subtree_control", "+memory +pids")
            self._room()
            self.rest.make(None)
            self._let_in(0, self.rest)
        except OSError as error:
            self.close()
            raise _refused(error) from error

    def admit(self, number: int, limits: Limits) -> Group:
        """Make a group with *limits* for what the runner was asked under *number*, and let it in.

        Raises:
            SandboxError: If the kernel refuses: then it does not begin.
        """
        ready = self.ready[1] if self.ready and self.ready[0] == limits else None
        self.ready = None if ready else self.ready
        group = ready or self._new()
        self.live[group] = limits.memory
        try:
            self._room()
            if not ready:
                group.make(limits)
            self._let_in(number, group)
        except OSError as error:
            self.release(group)
            with contextlib.suppress(OSError):
                self.mine.send(b"%d" % number)  # nothing: the runner waits for it
            raise _refused(error) from error
        return group

    def release(self, group: Group) -> None:
        """The command has ended; `tidy` removes its group, for which nobody need wait."""
        self.live.pop(group, None)
        self.ending.append(group)

    def tidy(self, limits: Limits) -> None:
        """Remove the groups of commands that have ended, and have one ready for the next, if that has *limits*, too."""
        self.ending = [group for group in self.ending if not group.remove()]
        if self.lock < 0 or (self.ready and self.ready[0] == limits):
            return
        if self.ready:
            self.ending.append(self.ready[1])
        self.ready = (limits, self._new())
        try:
            self.ready[1].make(limits)
        except OSError:  # whoever is to go into one says why
            self.ending.append(self.ready[1])
            self.ready = None

    def _new(self) -> Group:
        self.made += 1
        return Group(self.top.below(str(self.made)))

    @property
    def gate(self) -> int:
        """What the runner is to inherit: through it come the groups of what is to begin, first its own."""
        return self.theirs.fileno()

    def close(self) -> None:
        """Remove all; the processes of the sandbox have ended. What the kernel still holds, a later sweep removes."""
        self.mine.close()
        self.theirs.close()
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1
        for folder in self.top.folders:
            _clear(folder)

    def _room(self) -> None:
        """Give the sandbox what its commands may take together. Never less than before: they may have left files."""
        wanted = self.spare + sum(self.live.values())
        if self.top.memory and wanted > self.most:
            self.most = wanted
            _bound(self.top.memory, wanted, self.top.version)

    def _let_in(self, number: int, group: Group) -> None:
        """Give the runner what *number* moves itself with: whoever opened that has the right to, whoever writes moves."""
        name = "cgroup.procs" if self.tree.version == 2 else "tasks"
        with contextlib.ExitStack() as stack:
            opened = []
            for folder in group.tree.folders:
                opened.append(os.open(folder / name, os.O_WRONLY | os.O_CLOEXEC))
                stack.callback(os.close, opened[-1])
            socket.send_fds(self.mine, [b"%d" % number], opened)


@lru_cache(maxsize=1)
def find() -> Tree:
    """Where this process may make groups. In a tree of version 2 that was given to it, it steps aside for them.

    Where none was given, systemd is asked for one, and this process goes there: call it to start a sandbox, or to say
    what one would hold.
    """
    tree = _found()
    sweep(tree)
    return tree


def _found() -> Tree:
    try:
        places = _places()
    except OSError as error:
        return Tree(why=f"/proc cannot be read: {error.strerror}")
    first = {name: folder for name, folder in places.items() if name in {"memory", "pids"} and _ours(folder)}
    if "memory" in first:
        return Tree(memory=first["memory"], pids=first.get("pids"), version=1)
    if "" not in places or "memory" in places:
        return Tree(why="the group of the memory controller is not this user's", fix=GIVEN)
    tree = _second(places[""])
    if tree.memory:
        return tree
    if refused := scope.enter():
        return Tree(why=f"{tree.why}; {refused.why}", fix=refused.fix)
    return _second(_places()[""])


def _places() -> dict[str, Path]:
    return locate(Path("/proc/self/cgroup").read_text("utf-8"), Path("/proc/self/mountinfo").read_text("utf-8"))


def locate(own: str, mounts: str) -> dict[str, Path]:
    """The folder of a process's group per controller; "" is the tree of version 2. From the texts of two files in /proc."""
    paths: dict[str, str] = {}
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        paths |= dict.fromkeys(controllers.split(","), path)
    found: dict[str, Path] = {}
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        (root, folder), (kind, _, options) = before.split()[3:5], after.split()[:3]
        names = {"cgroup2": [""], "cgroup": options.split(",")}.get(kind, [])
        for name in names:
            if name in paths and (paths[name] + "/").startswith(root.rstrip("/") + "/"):
                found.setdefault(name, Path(folder + paths[name][len(root.rstrip("/")) :]))
    return found


def sweep(tree: Tree) -> None:
    """Remove the groups of sandboxes whose nightmill is gone."""
    for first in tree.folders[:1]:
        for folder in first.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    for each in tree.folders:
                        _clear(each / folder.name)
                finally:
                    os.close(lock)


def _second(folder: Path) -> Tree:
    """Groups of version 2: those with limits and those with processes are never the same, so this process moves."""
    if folder.name == OURS:  # a process of ours that started this one has moved already
        folder = folder.parent
    try:
        given = (folder / "cgroup.controllers").read_text("ascii").split()
        if not {"memory", "pids"} <= set(given):
            return Tree(why=f"no memory controller is given to {str(folder)!r}", fix=scope.BY_HAND)
        if not _ours(folder) or not os.access(folder / "cgroup.subtree_control", os.W_OK):
            return Tree(why=f"the group {str(folder)!r} is not this user's", fix=scope.BY_HAND)
        if not {"memory", "pids"} <= set((folder / "cgroup.subtree_control").read_text("ascii").split()):
            (folder / OURS).mkdir(exist_ok=True)
            _write(folder / OURS / "cgroup.procs", str(os.getpid()))
            _write(folder / "cgroup.subtree_control", "+memory +pids")
    except OSError as error:
        with contextlib.suppress(OSError):
            _write(folder / "cgroup.procs", str(os.getpid()))
            (folder / OURS).rmdir()
        return Tree(why=f"others are in the group {str(folder)!r} ({error.strerror})", fix=scope.BY_HAND)
    return Tree(memory=folder, pids=folder, version=2)


def _ours(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)


def _bound(folder: Path, size: int, version: int) -> None:
    """At most *size* bytes in *folder*, swapped out or not."""
    if version == 2:
        _write(folder / "memory.max", str(size))
        with contextlib.suppress(FileNotFoundError):
            _write(folder / "memory.swap.max", "0")
        _write(folder / "memory.oom.group", "0" if folder.name.startswith(PREFIX) else "1")
        return
    with contextlib.suppress(OSError):  # both ways round: neither may pass the other at any time
        _write(folder / "memory.memsw.limit_in_bytes", str(size))
    _write(folder / "memory.limit_in_bytes", str(size))
    with contextlib.suppress(FileNotFoundError):
        _write(folder / "memory.memsw.limit_in_bytes", str(size))


def _write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)  # never made: a file of another name is none of the kernel's
    try:
        os.write(fd, text.encode("ascii"))
    finally:
        os.close(fd)


def _clear(folder: Path) -> None:
    """Remove *folder* and the groups in it, as far as the kernel lets them go."""
    with contextlib.suppress(OSError):
        for each in folder.iterdir():
            if each.is_dir():
                _removed(each)
        folder.rmdir()


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _refused(error: OSError) -> SandboxError:
    return SandboxError(
        f"a command's memory cannot be bounded: {error.strerror or error}",
        hint="`nightmill doctor` says what is missing",
    )
