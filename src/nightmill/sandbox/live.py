"""One live sandbox: its processes, the runner inside, what it stands on, and how these move together.

The same for every backend that starts processes on this machine: how is in `Host.launch`.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from nightmill.errors import SandboxError
from nightmill.sandbox import Place, carry
from nightmill.sandbox.channel import Channel
from nightmill.sandbox.disk.chain import Stand
from nightmill.sandbox.disk.ground import Ground, sweep
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.disk.packs import Packs
from nightmill.sandbox.disk.shelf import Shelf
from nightmill.sandbox.freeze import fine_times, mapped
from nightmill.sandbox.held import HeldSandbox
from nightmill.sandbox.launch import Processes
from nightmill.sandbox.network.egress import Egress
from nightmill.sandbox.network.ferry import Ferry, dial
from nightmill.sandbox.network.reach import Network
from nightmill.sandbox.owner import Owner, give
from nightmill.sandbox.profile import check, environment
from nightmill.sandbox.quota import Disk
from nightmill.sandbox.runner import Runner

__all__ = ["SPARE", "Host", "LiveSandbox"]

SPARE = 640 << 20
"""Bytes of memory that a sandbox may hold beside its commands and /tmp: in /dev/shm, and the runner's own."""

MANY = 2_000
"""Entries of an upper from which looking through it takes longer than a new start: some 15 ms."""

LEAVING = 0.005
"""Seconds between looks whether what has answered is gone."""

COARSE = 0.011
"""Seconds between two ticks of a kernel whose file times are not finer than that."""

ELSEWHERE = 4096
"""Processes that a user without a namespace of its own may have in other sandboxes, before commands here miss them."""

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


class LiveSandbox(HeldSandbox):
    """One sandbox whose /work is an upper over layers, and whose snapshots are packs."""

    def __init__(self, place: Place, lock: int, host: Host) -> None:
        super().__init__(place, lock, network=host.network, threads=host.threads)
        self.host = host
        self.ground = Ground(place, owner=host.owner, shelf=host.shelf)
        self.many, self.still = MANY, False
        self.ferry: Ferry | None = None
        self.disk = Disk(place.directory / "upper", quota=place.quota)

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
        self.egress = Egress(self.place, self.network)
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
        place = await self._in_thread(self.ground.stage, replace(self.place, snapshot=snapshot), found)
        check(place, self.host.owner)
        processes, sock = await self.host.launch(place)
        channel = await self._answering(processes, sock)
        if self.egress:
            self._lead(channel, self.egress, carried=processes.apart)
        await self._in_thread(self.packs.start, snapshot, found)
        self.disk.begin(processes.init_pid, place.layers[len(self.place.layers) :])
        return Runner(
            channel,
            environment=self.environment,
            kill=processes.kill,
            groups=processes.groups,
            disk=self.disk,
            elsewhere=0 if processes.lone else ELSEWHERE,
        )

    def _lead(self, channel: Channel, egress: Egress, *, carried: bool) -> None:
        """Have the proxy offered inside."""
        if carried:
            self.ferry = Ferry(channel, partial(dial, egress.path))
            channel.ways = self.ferry.take
        channel.tell({"op": "ferry" if carried else "network", "id": 0})

    async def _end(self) -> None:
        await super()._end()
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

    async def _tidy(self) -> None:
        with contextlib.suppress(OSError):  # overlayfs leaves a folder of mode 000 in it, on which `rm -r` stumbles
            await self._in_thread(remove, self.place.directory / "work")
