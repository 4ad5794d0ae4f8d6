"""Sandboxes on macOS: the same runner behind Seatbelt, on a clone of the layer; a snapshot is one more clone.

**No Mac has run it.** What is not Seatbelt, APFS or libproc is run by tests on Linux, without any wall.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
import subprocess
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from nightmill.errors import SandboxError
from nightmill.sandbox import Guarantee, Place
from nightmill.sandbox.backends.clones import alive, clone, facts, keep, kept, memory
from nightmill.sandbox.backends.hold import of_seatbelt
from nightmill.sandbox.backends.names import Names, NamesRunner, settle
from nightmill.sandbox.backends.seatbelt import MACOS, Mac, Programs, profile
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.disk.folder import unused
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.held import HeldSandbox
from nightmill.sandbox.launch import Processes
from nightmill.sandbox.live import Host
from nightmill.sandbox.network.egress import Egress
from nightmill.sandbox.network.reach import Network
from nightmill.sandbox.profile import PROXY, TRUSTED, bundle, environment
from nightmill.sandbox.program import own, unwalled

__all__ = ["MacSandbox", "MacSandboxes"]

LEAVING = 20.0
"""Seconds for a runner to end what it started, and itself."""

HOMEBREW = "/opt/homebrew/bin"


class MacSandboxes(BubblewrapSandboxes):
    """Makes sandboxes with *programs*, which are macOS' own."""

    def __init__(self, *, programs: Programs = MACOS, network: Network | None = None) -> None:
        super().__init__(network=network)
        self.host = replace(self.host, owner=None)
        self.programs = programs

    async def guarantees(self) -> tuple[Guarantee, ...]:
        """What they hold: nothing that was tried."""
        return of_seatbelt()

    def held(self, place: Place, holding: int) -> HeldSandbox:
        """The sandbox of *place*, whose folder is held by the descriptor *holding*; nothing of it is started."""
        return MacSandbox(place, holding, self.host, self.programs)

    async def fork(self, *, source: Path, snapshot: str, directory: Path) -> str:
        """Make the new folder *directory* able to open at the id that this gives: *snapshot* of the sandbox in *source*.

        Raises:
            SandboxError: If the snapshot is missing, or the disk is full.
        """
        await self._in_thread(lambda: self._fork(source, snapshot, directory))
        return snapshot

    def _fork(self, source: Path, snapshot: str, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if snapshot and not (directory / "clones" / snapshot).exists():
            keep(kept(source, snapshot), directory, snapshot, self.programs)

    def _destroy(self, directory: Path) -> None:
        if directory.is_dir():
            with unused(directory), alive(directory):
                remove(memory(directory))
                remove(directory)


class MacSandbox(HeldSandbox):
    """One sandbox: /work is the folder `upper`, whole, and its snapshots are the folders in `clones`."""

    def __init__(self, place: Place, lock: int, host: Host, programs: Programs) -> None:
        super().__init__(place, lock, network=host.network, threads=host.threads)
        self.programs = programs
        self.directory = place.directory.resolve()
        self.work, self.tmp, self.box = self.directory / "upper", memory(self.directory), self.directory / "box"
        self.names = Names(
            {
                "/work": self.work,
                "/tmp": self.tmp,  # noqa: S108 - the sandbox's own
                "/opt/nightmill/bin": self.box / "bin",
                TRUSTED: self.box / "authorities.pem",
            }
            | {path: source.resolve() for path, source in place.files.items()}
        )
        self.port, self.at = 0, ""
        self.facts: dict[str, tuple[int, ...]] = {}

    async def start(self) -> None:
        """Make /work what the place's snapshot says, and begin.

        Raises:
            SandboxError: If that cannot be done.
        """
        if self.place.credentials:
            hint = "use Linux for a project with credentials"
            raise SandboxError("any program of this Mac could use credentials through the proxy's port", hint=hint)
        if self.place.gateway:
            hint = "use Linux for external agents"
            raise SandboxError("any program of this Mac could use the gateway through the proxy's port", hint=hint)
        if self.place.hosts:
            await self._connect()
        source = self._source(self.place.snapshot)
        await self._in_thread(self._lay, source, self.place.snapshot)
        self.runner = await self._begin()

    async def _connect(self) -> None:
        """Start the proxy on a port of this Mac: few tools could be told to use a unix socket."""
        bound = socket.create_server(("127.0.0.1", 0))
        bound.setblocking(False)
        self.port = bound.getsockname()[1]
        self.egress = Egress(self.place, self.network)
        await self.egress.start(bound)
        self.place = replace(self.place, trusted=self.place.trusted + self.egress.trusted)

    async def _snapshot(self) -> str:
        async with self.packing:
            async with self._runner().still():
                if self.at and await self._in_thread(facts, self.work) == self.facts:
                    return self.at
            ran = [each.service for each in self.services.live.values() if not each.answer.done()]
            if ran:
                await self.services.stop()
            try:
                async with self._runner().still():
                    self.at = await self._in_thread(self._take, secrets.token_hex(8))
            finally:
                await self.services.start(*ran)
            return self.at

    async def _roll_back(self, snapshot: str) -> None:
        async with self.packing:
            source = self._source(snapshot)
            self._runner()
            await self._halt()
            try:
                await self._in_thread(self._lay, source, snapshot)
                self.runner = await self._begin()
                await self.services.again()
            except BaseException:
                await self._halt()
                raise

    async def _begin(self) -> NamesRunner:
        """Start the runner behind the wall, and wait for it."""
        base = environment(self.place) | (self.egress.env if self.egress else {})
        base |= {"PATH": f"{base['PATH']}:{HOMEBREW}", "TMPDIR": "/tmp"}  # noqa: S108 - as above
        here = {name: f"http://127.0.0.1:{self.port}" if value == PROXY else value for name, value in base.items()}
        self.environment = {name: self.names.words(value) for name, value in here.items()}
        processes, sock = self._launch()
        channel = await self._answering(processes, sock)
        return NamesRunner(channel, self.names, environment=self.environment, kill=processes.kill)

    def _source(self, snapshot: str) -> Path | None:
        """The folder to begin from, if there is one."""
        if snapshot:
            return kept(self.directory, snapshot)
        if len(self.place.layers) > 1:
            raise SandboxError("nothing on macOS shows several layers as one", hint="build the project's base here")
        return self.place.layers[0] if self.place.layers else None

    def _lay(self, source: Path | None, snapshot: str) -> None:
        """Make /work what *source* holds, while nothing runs in it."""
        with alive(self.directory):
            pass
        try:
            self.directory.chmod(0o700)
            for stale in (self.work, self.tmp, *self.directory.glob("clones/*.tmp")):
                remove(stale)
            if source:
                clone(self.programs, source, self.work)
            self.work.mkdir(exist_ok=True)
            settle(self.work)
            with contextlib.suppress(FileExistsError):  # or the agent put something else there
                (self.work / "home").mkdir()
            self.tmp.mkdir(mode=0o700)
        except OSError as error:
            raise SandboxError(f"the files of the sandbox cannot be laid out: {error}") from error
        self.at, self.facts = snapshot, facts(self.work)

    def _take(self, name: str) -> str:
        found = facts(self.work)  # before: what is written meanwhile is seen by the next
        keep(self.work, self.directory, name, self.programs)
        self.facts = found
        return name

    def _launch(self) -> tuple[Processes, socket.socket]:
        python, tools = own(), {name: source.resolve() for name, source in self.place.tools.items()}
        remove(self.box)
        (self.box / "bin").mkdir(parents=True)
        for name, source in tools.items():
            (self.box / "bin" / name).symlink_to(source)
        shown = (self.box, Path(python.source).resolve(), *tools.values())
        shown += tuple(source.resolve() for source in self.place.files.values())
        seatbelt = Mac(writable=(self.work, self.tmp), shown=shown, port=self.port, loopback=bool(self.place.services))
        (self.box / "profile.sb").write_text(profile(seatbelt), "utf-8")
        (self.box / "runner.py").write_text(unwalled(), "utf-8")
        if self.place.trusted:
            (self.box / "authorities.pem").write_bytes(bundle(self.place.trusted))
        words = [
            *self.programs.wall,
            str(self.box / "profile.sb"),
            python.path,
            "-I",
            "-S",
            str(self.box / "runner.py"),
        ]
        mine, theirs = socket.socketpair()
        try:
            with theirs, alive(self.directory) as lifeline, (self.directory / "errors").open("wb") as errors:
                process = subprocess.Popen(
                    [*words, str(lifeline)],
                    cwd=self.tmp,
                    env={},
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=errors,
                    pass_fds=(lifeline,),
                    start_new_session=True,
                )
        except (OSError, SandboxError) as error:
            mine.close()
            if isinstance(error, SandboxError):
                raise
            what = f"{words[0]!r} cannot be started: {error.strerror}"
            raise SandboxError(what, hint="`nightmill doctor` says what is missing") from error
        return MacProcesses(process, self.directory / "errors"), mine

    async def _tidy(self) -> None:
        with contextlib.suppress(OSError):
            await self._in_thread(remove, self.tmp)


class MacProcesses(Processes):
    """The runner, which ends what it started. Nothing here can find what got away from it; `alive` sees that it is there."""

    def __init__(self, process: subprocess.Popen[bytes], errors: Path) -> None:
        self.process, self.log = process, errors
        self.init, self.init_pid, self.told, self.errors = -1, 0, -1, -1

    async def find(self) -> None:
        """There is nothing more to take hold of."""

    @property
    def ended(self) -> bool:
        """Whether the runner has ended."""
        return self.process.poll() is not None

    def frozen(self) -> AbstractContextManager[set[int]]:
        """Nothing is held still here.

        Raises:
            SandboxError: Always.
        """
        raise SandboxError("nothing can be held still on macOS")

    def said(self) -> str:
        """The last of what the wall and the runner wrote on their standard error."""
        return self.log.read_bytes()[-2000:].decode("utf-8", "replace").strip()

    def kill(self, _: str = "") -> None:
        """Have the runner end everything, itself last."""
        if not self.ended:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGCONT)  # a command may have stopped it

    async def end(self) -> None:
        """End everything that can be found, and wait until the runner has ended."""
        self.kill()
        try:
            await asyncio.to_thread(self.process.wait, LEAVING)
        except subprocess.TimeoutExpired:
            self.process.kill()
            await asyncio.to_thread(self.process.wait)
