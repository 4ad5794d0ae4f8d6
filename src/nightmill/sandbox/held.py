"""A sandbox that is a runner: what is asked of it, what moves it, one after another, and its end. For every backend."""

from __future__ import annotations

import asyncio
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from nightmill.errors import SandboxError
from nightmill.sandbox import Command, Dialogue, Entry, Outcome, Output, Place, Terminal
from nightmill.sandbox.channel import Channel
from nightmill.sandbox.launch import Processes
from nightmill.sandbox.network.egress import Egress
from nightmill.sandbox.network.reach import Network
from nightmill.sandbox.profile import environment
from nightmill.sandbox.runner import Runner
from nightmill.sandbox.services import RunnerServices

__all__ = ["HeldSandbox"]

STARTING = 60.0
"""Seconds on the host's own clock for a sandbox to answer."""

Answered = TypeVar("Answered")


class HeldSandbox(ABC):
    """A runner inside, and the socket to it. How it starts and what a snapshot is, is its backend's."""

    def __init__(self, place: Place, lock: int, *, network: Network, threads: ThreadPoolExecutor) -> None:
        """*lock* is the descriptor that holds the folder of *place*."""
        self.place, self.lock, self.network, self.threads = place, lock, network, threads
        self.environment = environment(place)
        self.packing = asyncio.Lock()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.processes: Processes | None = None
        self.channel: Channel | None = None
        self.runner: Runner | None = None
        self.services = RunnerServices(self._runner)
        self.egress: Egress | None = None
        self.closing: asyncio.Task[None] | None = None

    @abstractmethod
    async def start(self) -> None:
        """Make /work what the place's snapshot says, and begin.

        Raises:
            SandboxError: If that cannot be done.
        """

    async def run(self, command: Command, *, output: Output | None = None) -> Outcome:
        """Run *command* and wait for it; cancelling the task kills it. Several may run at once.

        Raises:
            SandboxError: If the sandbox itself failed.
        """
        return await self._runner().run(command, output=output)

    def rouse(self) -> None:
        """Say that something will be asked soon: a runner that rests wakes up meanwhile."""
        if self.channel:
            self.channel.rouse()

    async def terminal(self, command: Command, *, rows: int, columns: int, output: Output) -> Terminal:
        """Start *command* on a terminal of its own; its seconds do not count. *output* gets all that it writes.

        Raises:
            SandboxError: If the sandbox itself failed.
        """
        return await self._runner().terminal(command, rows=rows, columns=columns, output=output)

    async def talk(self, command: Command, *, output: Output) -> Dialogue:
        """Start *command* to be talked with; its seconds do not count. *output* gets all that it writes, unchanged.

        Raises:
            SandboxError: If the sandbox itself failed.
        """
        return await self._runner().talk(command, output=output)

    async def read(self, path: str, *, limit: int) -> bytes:
        """The first *limit* bytes of the regular file *path*.

        Raises:
            ToolError: If it is missing, not a regular file or not readable; the message says which.
        """
        return await self._runner().read(path, limit=limit)

    async def export(self, path: str, target: Path, *, most: int) -> int:
        """Copy the regular file *path*, of at most *most* bytes, to the new file *target* of the host; its size.

        Raises:
            ToolError: If it is no such file, is larger, or changes meanwhile; then there is no *target*.
            OSError: If *target* cannot be written.
        """
        return await self._runner().export(path, target, most=most)

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

    async def roll_back(self, snapshot: str) -> None:
        """End every process inside and go on from *snapshot* ("": from the layers alone), as if opened there.

        Raises:
            SandboxError: If it is missing or damaged, and the sandbox is where it was; or if it cannot be gone to, and
                the sandbox is closed.
        """
        task = self._task(self._roll_back(snapshot))
        await asyncio.shield(task)  # half gone back, the sandbox would be nowhere

    async def close(self) -> None:
        """End every process inside and wait until the kernel has; snapshots stay. Safe to repeat."""
        if self.closing is None:
            self.closing = asyncio.create_task(self._close())
        await asyncio.shield(self.closing)

    @abstractmethod
    async def _snapshot(self) -> str:
        """Keep /work as it is, and name it."""

    @abstractmethod
    async def _roll_back(self, snapshot: str) -> None:
        """Make /work what *snapshot* says."""

    @abstractmethod
    async def _tidy(self) -> None:
        """Remove what only a live sandbox needs."""

    async def _answering(self, processes: Processes, sock: socket.socket) -> Channel:
        """Wait for the runner among *processes* to answer on *sock*."""
        self.processes = processes
        self.channel = Channel(sock, broken=processes.kill)
        await self.channel.start()
        try:
            await asyncio.wait_for(asyncio.shield(self.channel.ready), STARTING)
            await processes.find()
        except (SandboxError, TimeoutError, OSError, ValueError) as error:
            said = processes.said() or repr(error)
            raise SandboxError(
                f"the sandbox did not start: {said}", hint="`nightmill doctor` says what to change"
            ) from error
        return self.channel

    async def _halt(self) -> None:
        """End every process inside, and take no more requests."""
        self.runner = None
        await self._end()

    async def _end(self) -> None:
        """End every process inside, and wait until the kernel has."""
        if self.processes:
            await self.processes.end()
        if self.processes and self.processes.groups:
            self.processes.groups.close()
        if self.channel:
            await self.channel.close()

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
        await self._halt()
        if self.egress:
            await self.egress.close()
        await self._tidy()
        os.close(self.lock)

    def _runner(self) -> Runner:
        if self.runner is None or self.closing is not None:
            raise SandboxError("the sandbox is closed")
        return self.runner
