"""Start bubblewrap and know for certain when everything it started is gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from nightmill.errors import SandboxError
from nightmill.sandbox import Place, stage
from nightmill.sandbox.cgroup import Groups
from nightmill.sandbox.freeze import frozen
from nightmill.sandbox.owner import Owner
from nightmill.sandbox.profile import TRUSTED, Descriptors, arguments, bundle
from nightmill.sandbox.program import Interpreter, interpreter, program
from nightmill.sandbox.seccomp import compile_filter

__all__ = ["Processes", "etc", "launch"]


class Processes:
    """bubblewrap and PID 1 of its namespace, by descriptors: a process id may be another's by now."""

    groups: Groups | None = None
    """Control groups of commands, where they are this process's to make."""

    lone = True
    """Whether their user has a namespace of its own. Else the kernel counts with them what it runs elsewhere."""

    apart = False
    """Whether they can be shown no socket of this machine: then the way to the proxy is over the runner's frames."""

    def __init__(self, process: subprocess.Popen[bytes], told: int, errors: int) -> None:
        self.process, self.told, self.errors = process, told, errors
        self.init, self.init_pid = -1, 0

    async def find(self) -> None:
        """Take hold of PID 1; call it once the runner has answered."""
        found = json.loads(os.read(self.told, 65536))
        self.init_pid = int(found["child-pid"])
        self.init = os.pidfd_open(self.init_pid)
        os.close(self.told)
        self.told = -1

    @property
    def ended(self) -> bool:
        """Whether PID 1 is gone."""
        return self.init < 0 or bool(select.select([self.init], [], [], 0)[0])

    def frozen(self) -> AbstractContextManager[set[int]]:
        """Stop all that runs inside, but the runner; gives the ids of what runs or is stopped there.

        Raises:
            SandboxError: If something cannot be stopped.
        """
        return frozen(self.init_pid)

    def said(self) -> str:
        """The last of what bubblewrap and the runner wrote on their standard error."""
        size = os.fstat(self.errors).st_size
        return os.pread(self.errors, 2000, max(0, size - 2000)).decode("utf-8", "replace").strip()

    def kill(self, _: str = "") -> None:
        """Have the kernel end all of it, now."""
        if self.init >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.init, signal.SIGKILL)

    async def end(self) -> None:
        """Kill everything and wait until the kernel has. bubblewrap's own end proves nothing: PID 1's does."""
        if self.init >= 0:
            self.kill()
            await _readable(self.init)
        if self.process.poll() is None:
            watched = os.pidfd_open(self.process.pid)
            if self.init < 0:  # its child dies with it; there is no PID 1 of ours yet that could have begun anything
                self.process.kill()
            await _readable(watched)
            os.close(watched)
        self.process.wait()
        for fd in (self.init, self.told, self.errors):
            if fd >= 0:
                os.close(fd)
        self.init = self.told = self.errors = -1


def launch(
    place: Place, *, bwrap: Path, tmp: int, owner: Owner | None, groups: Groups | None
) -> tuple[Processes, socket.socket]:
    """Start bubblewrap for *place*, as *owner*; gives its processes and the socket to its runner.

    What runs inside goes into *groups*.

    Call it from the thread that the event loop runs in: `--die-with-parent` means the thread.

    Raises:
        SandboxError: If the program cannot be started.
    """
    with contextlib.ExitStack() as stack:
        mine, theirs = socket.socketpair()
        stack.callback(theirs.close)
        told, telling = os.pipe()
        stack.callback(os.close, telling)
        small = {path: _memory(body, stack) for path, body in (etc(owner) | _certificates(place)).items()}
        given = Descriptors(
            runner=_memory(program(), stack), seccomp=_memory(compile_filter(), stack), etc=small, told=telling
        )
        view = _seen(place, bwrap, interpreter(), staged=owner is not None)
        words = arguments(view.place, tmp=tmp, python=view.python, given=given)
        listed = _memory(b"\0".join(os.fsencode(word) for word in words) + b"\0", stack)
        errors = os.memfd_create("errors")
        gate = groups.gate if groups else -1
        runner = [view.python.path, "-I", "-S", "/run/nightmill/runner.pyc", str(theirs.fileno()), str(gate)]
        passed = (
            listed,
            given.runner,
            given.seccomp,
            *small.values(),
            telling,
            theirs.fileno(),
            *([gate] if gate >= 0 else []),
        )
        try:
            process = _start(["bwrap", "--args", str(listed), "--", *runner], view, owner, passed, errors)
        except (OSError, SandboxError) as error:
            mine.close()
            os.close(told)
            os.close(errors)
            if isinstance(error, SandboxError):
                raise
            raise SandboxError(
                f"bubblewrap cannot be started: {error}", hint="`nightmill doctor` says what is missing"
            ) from error
        processes = Processes(process, told, errors)
        processes.groups = groups
        return processes, mine


class View(NamedTuple):
    """Paths as bubblewrap sees them, and the host's for those that it sees elsewhere."""

    place: Place
    bwrap: str
    python: Interpreter
    shown: dict[str, Path]


def _seen(place: Place, bwrap: Path, python: Interpreter, *, staged: bool) -> View:
    files = {path: source.resolve() for path, source in place.files.items()}
    tools = {name: source.resolve() for name, source in place.tools.items()}
    if not staged:
        return View(replace(place, files=files, tools=tools), str(bwrap), python, {})
    path, shown = stage.program(bwrap)

    def show(path: Path) -> Path:
        shown[name := str(len(shown))] = path
        return Path(stage.STAGE, name)

    place = replace(
        place,
        directory=show(place.directory),
        layers=tuple(show(layer) for layer in place.layers),
        files={path: show(source) for path, source in files.items()},
        tools={name: show(source) for name, source in tools.items()},
    )
    if python.source:
        python = python._replace(source=str(show(Path(python.source))))
    return View(place, path, python, shown)


def _start(
    command: list[str], view: View, owner: Owner | None, passed: tuple[int, ...], errors: int
) -> subprocess.Popen[bytes]:
    # env={}: the environment of PID 1 can be read inside
    given: dict[str, Any] = {"env": {}, "stdin": subprocess.DEVNULL, "stdout": errors, "stderr": errors}
    if owner is None:
        return subprocess.Popen(command, executable=view.bwrap, pass_fds=passed, **given)
    return stage.start(command, shown=view.shown, executable=view.bwrap, owner=owner, pass_fds=passed, **given)


def etc(owner: Owner | None) -> dict[str, bytes]:
    """Small files of /etc that are made, not shown, by their path inside."""
    user, group = owner or (os.getuid(), os.getgid())
    return {
        "/etc/passwd": b"agent:x:%d:%d::/work/home:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n" % (user, group),
        "/etc/group": b"agent:x:%d:\nnogroup:x:65534:\n" % group,
        "/etc/hosts": b"127.0.0.1 localhost sandbox\n::1 localhost\n",
        "/etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files\n",
    }


def _certificates(place: Place) -> dict[str, bytes]:
    return {TRUSTED: bundle(place.trusted)} if place.trusted else {}


def _memory(body: bytes, stack: contextlib.ExitStack) -> int:
    """A descriptor that bubblewrap reads *body* from; new for each start, because it reads from the offset."""
    fd = os.memfd_create("nightmill")
    stack.callback(os.close, fd)
    view = memoryview(body)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def tell() -> None:
        loop.remove_reader(fd)
        if not ended.done():
            ended.set_result(None)

    loop.add_reader(fd, tell)
    try:
        await ended
    finally:
        loop.remove_reader(fd)
