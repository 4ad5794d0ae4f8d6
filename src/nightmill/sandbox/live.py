"""One live sandbox: its processes, the runner inside, what it stands on, and how these move together.

The same for every backend that starts processes on this machine: how is in `Host.launch`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from nightmill.errors import SandboxError
from nightmill.sandbox import Command, Dialogue, Entry, Outcome, Output, Place, Terminal, carry
from nightmill.sandbox.channel import Channel
from nightmill.sandbox.disk.chain import Stand
from nightmill.sandbox.disk.ground import Ground, sweep
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.disk.packs import Packs
from nightmill.sandbox.disk.shelf import Shelf
from nightmill.sandbox.freeze import fine_times, mapped
from nightmill.sandbox.launch import Processes
from nightmill.sandbox.network.egress import Egress
from nightmill.sandbox.network.ferry import Ferry, dial
from nightmill.sandbox.network.reach import Network
from nightmill.sandbox.owner import Owner, give
from nightmill.sandbox.profile import check, environment
from nightmill.sandbox.quota import Disk
from nightmill.sandbox.runner import Runner
from nightmill.sandbox.services import RunnerServices

__all__ = ["SPARE", "Host", "LiveSandbox"]

STARTING = 60.0
"""Seconds on the host's own clock for a sandbox to answer."""

SPARE = 640 << 20
"""Bytes of memory that a sandbox may hold beside its commands and /tmp: in /dev/shm, and the runner's own."""

MANY = 2_000
"""Entries of an upper from which looking through it takes longer than a new start: some 15 ms."""

LEAVING = 0.005
"""Seconds between looks whether what has answered is gone."""

COARSE = 0.011
"""Seconds between two ticks of a kernel whose file times are not finer than that."""

Answered = TypeVar("Answered")

Launch = Callable[[Place], Awaitable[tuple[Processes, socket.socket]]]
"""How the processes of a sandbox are started; the runner among them answers on the socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What this machine gives to every sandbox: a way to start one, a user, a network, the shelf, threads."""

    launch: Launch
    owner: Owner | None
    network: Network
    shelf: Shelf | None
    threads: ThreadPoolExecutor

    @property
    def shared(self) -> Shelf:
        """The shelf; SandboxError if there is none."""
        if self.shelf is None:
            raise SandboxError("these sandboxes have no shelf for shared layers", hint="give BubblewrapSandboxes one")
        return self.shelf


class LiveSandbox:
    """One sandbox: a runner inside, and the socket to it."""

    def __init__(self, place: Place, lock: int, host: Host) -> None:
        self.place, self.lock, self.host = place, lock, host
        self.environment = environment(place)
        self.ground = Ground(place, owner=host.owner, shelf=host.shelf)
        self.many, self.still = MANY, False
        self.packing = asyncio.Lock()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.processes: Processes | None = None
        self.channel: Channel | None = None
        self.runner: Runner | None = None
        self.services = RunnerServices(self._runner)
        self.egress: Egress | None = None
        self.ferry: Ferry | None = None
        self.disk = Disk(place.directory / "upper", quota=place.quota)
        self.closing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Make the upper what the place's snapshot says, and begin.

        Raises:
            SandboxError: If that cannot be done.
        """
        if self.place.connected:
            await self._connect()
        found = await self._in_thread(self.ground.find, self.place.snapshot)
        await self._in_thread(self.ground.lay, found)
        self.runner = await self._begin(found, self.place.snapshot)

    @property
    def packs(self) -> Packs:
        """The snapshots that were taken here."""
        return self.ground.packs

    async def run(self, command: Command, *, output: Output | None = None) -> Outcome:
        """Run *command* and wait for it; cancelling the task kills it. Several may run at once.

        Raises:
            SandboxError: If the sandbox itself failed.
        """
        return await self._runner().run(command, output=output)

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

    async def _snapshot(self) -> str:
        async with self.packing:
            async with self._runner().still():
                found = await self._in_thread(self._take, secrets.token_hex(8))
            if self.packs.long:
                self._task(self._consolidate())
            if self.host.shelf and self.still and len(self.packs.seen.facts) > self.many:
                self._task(self._rebase())
            return found

    async def _connect(self) -> None:
        """Start the proxy through which the allowed hosts are reached."""
        self.egress = Egress(self.place, self.host.network)
        await self.egress.start()
        self.place = replace(self.place, trusted=self.place.trusted + self.egress.trusted)
        self.environment = environment(self.place) | self.egress.env
        give(self.place.directory / "net", self.host.owner)

    async def _roll_back(self, snapshot: str) -> None:
        async with self.packing:
            found = await self._in_thread(self.ground.find, snapshot)
            self._runner()
            await self._halt()
            try:
                gone = await self._in_thread(self.packs.go_to, found)
                if gone is None:
                    await self._in_thread(self.ground.lay, found)
                self.runner = await self._begin(found, snapshot)
                await self.services.again()
            except BaseException:
                await self._halt()
                raise
        if gone:
            self._task(self._in_thread(sweep, gone))

    async def _rebase(self) -> None:
        """Make a large upper a layer, so that the next snapshots need not look through it. Where nothing runs: unseen."""
        async with self.packing:
            with contextlib.suppress(SandboxError):  # what it broke is opened again, from the snapshot that there is
                runner = self._runner()
                carried = await carry.take(runner)
                asked = runner.channel.number
                if carried is None:
                    self.many *= 2  # little use in asking every time
                    return
                async with runner.still():
                    unasked = runner.channel.number == asked + 1 and not runner.channel.pending
                    if unasked and await self._in_thread(self._alone):
                        await self._start_on_layer(runner, carried)
            if self.ground.deep:
                self._task(self._flatten())

    async def _start_on_layer(self, runner: Runner, carried: bytes) -> None:
        at = self.packs.at
        try:
            await self._end()
            found = await self._in_thread(self.ground.freeze, at)
            fresh = await self._begin(found, at)
            await carry.unload(fresh, carried)
            runner.move(fresh)
        except BaseException:
            await self._halt()
            raise

    def _alone(self) -> bool:
        if self.processes is None or self.processes.ended:
            raise SandboxError("the sandbox ended")
        for _ in range(20):
            with self.processes.frozen() as pids:
                if not pids:
                    return self.packs.same()
            time.sleep(LEAVING)  # what has answered may still be on its way out
        return False

    async def _flatten(self) -> None:
        with contextlib.suppress(SandboxError):  # there are only more layers than there need be
            await self._in_thread(self.ground.flatten)

    async def _begin(self, found: Stand, snapshot: str) -> Runner:
        """Start bubblewrap on the upper, which is at *snapshot* as *found* says, and wait for the runner."""
        place = await self._in_thread(self.ground.stage, self.place, found)
        check(place, self.host.owner)
        self.processes, sock = await self.host.launch(place)
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
            self._lead(self.channel, self.egress, carried=self.processes.apart)
        await self._in_thread(self.packs.start, snapshot, found)
        self.disk.begin(self.processes.init_pid, place.layers[len(self.place.layers) :])
        kill = self.processes.kill
        return Runner(
            self.channel, environment=self.environment, kill=kill, groups=self.processes.groups, disk=self.disk
        )

    def _lead(self, channel: Channel, egress: Egress, *, carried: bool) -> None:
        """Have the proxy offered inside."""
        if carried:
            self.ferry = Ferry(channel, partial(dial, egress.path))
            channel.ways = self.ferry.take
        channel.tell({"op": "ferry" if carried else "network", "id": 0})

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
        if self.ferry:
            await self.ferry.close()

    def _take(self, name: str) -> str:
        if self.processes is None or self.processes.ended:
            raise SandboxError("the sandbox ended")
        with self.processes.frozen() as pids:
            began, self.still = time.monotonic(), not pids
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
        return await asyncio.get_running_loop().run_in_executor(self.host.threads, work, *given)

    async def _close(self) -> None:
        if self.tasks:
            await asyncio.wait(self.tasks)
        await self._halt()
        if self.egress:
            await self.egress.close()
        with contextlib.suppress(OSError):  # overlayfs leaves a folder of mode 000 in it, on which `rm -r` stumbles
            await self._in_thread(remove, self.place.directory / "work")
        os.close(self.lock)

    def _runner(self) -> Runner:
        if self.runner is None or self.closing is not None:
            raise SandboxError("the sandbox is closed")
        return self.runner
