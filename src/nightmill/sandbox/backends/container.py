"""Sandboxes made by podman or docker: the same runner, layers and packs as with bubblewrap, in a container."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightmill.errors import SandboxError
from nightmill.sandbox import Guarantee, Place, Workspace
from nightmill.sandbox.backends.engine import Engine, Traits
from nightmill.sandbox.backends.hold import of_container
from nightmill.sandbox.backends.shape import Bounds, arguments, clearing, overlay, shell
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.cgroup import Tree
from nightmill.sandbox.disk.folder import unused
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.guarantees import of_bubblewrap
from nightmill.sandbox.launch import Processes, etc
from nightmill.sandbox.network.reach import Network
from nightmill.sandbox.owner import SANDBOX_USER, Owner
from nightmill.sandbox.profile import bundle
from nightmill.sandbox.program import source

__all__ = ["ContainerSandboxes"]


class ContainerSandboxes(BubblewrapSandboxes):
    """Makes sandboxes with *engine*, in *image* or, if that is "", on the host's own /usr."""

    def __init__(
        self,
        engine: Engine,
        *,
        image: str = "",
        bounds: Bounds = Bounds(),  # noqa: B008 - a frozen value
        network: Network | None = None,
        user: int = SANDBOX_USER,
        shelf: Path | None = None,
    ) -> None:
        """*shelf* is the folder of layers. If root starts it, everything inside runs as *user*."""
        super().__init__(network=network, user=user, shelf=shelf)
        self.engine, self.image, self.bounds = engine, image, bounds
        self.known: Traits | None = None

    async def open(self, place: Place) -> Workspace:
        """Build a sandbox from *place* and wait until it and its services answer.

        Raises:
            SandboxError: If the engine cannot give one (the hint says what to change), or a snapshot is damaged.
        """
        await self._clear(place.directory)
        return await super().open(place)

    async def guarantees(self) -> tuple[Guarantee, ...]:
        """What they hold here.

        Raises:
            SandboxError: If the engine does not answer.
        """
        traits = self.known = self.known or await self.engine.traits()
        alike = of_bubblewrap(tree=Tree(), owner=self.host.owner, shelf=self.host.shelf is not None)
        return of_container(self.engine, traits, owner=self.host.owner, alike=alike)

    async def destroy(self, directory: Path) -> None:
        """Delete everything of the closed sandbox in *directory*, and layers that it alone held. Safe to repeat.

        Raises:
            SandboxError: If it is open.
        """
        await self._clear(directory)
        await super().destroy(directory)

    async def launch(self, place: Place) -> tuple[Processes, socket.socket]:
        """Start a container for *place*; gives its processes and the socket to its runner.

        Raises:
            SandboxError: If the engine cannot give one.
        """
        traits = self.known = self.known or await self.engine.traits()
        await self._image()
        _write(place, self.host.owner)
        name = _name(place.directory)
        words = arguments(
            place,
            name=name,
            engine=self.engine,
            traits=traits,
            bounds=self.bounds,
            image=self.image,
            owner=self.host.owner,
        )
        await self.engine.overlay(name, overlay(place))
        lone = traits.rootless and self.engine.podman  # docker's containers share the namespace of their daemon
        return _start(self.engine, words, place.directory, lone=lone)

    async def _clear(self, directory: Path) -> None:
        """Remove what a worker that died has left: its container ends with it, but the engine still knows of it."""
        if (directory / "box" / "started").exists():
            with unused(directory):
                await _forget(self.engine, directory)

    async def _image(self) -> None:
        if not self.image:
            await _import(self.engine)
        elif not await self.engine.has_image(self.image):
            hint = f"`{self.engine.program} pull {self.image}`: nothing is downloaded while a run waits"
            raise SandboxError(f"the image {self.image!r} is not on this machine", hint=hint)


class ContainerProcesses(Processes):
    """The engine's client, and the first process of its container for the sandbox in *directory*."""

    def __init__(
        self, engine: Engine, process: subprocess.Popen[bytes], errors: int, directory: Path, *, lone: bool
    ) -> None:
        super().__init__(process, -1, errors)
        self.engine, self.directory, self.name, self.lone = engine, directory, _name(directory), lone

    async def find(self) -> None:
        """Take hold of the container's first process; call it once the runner has answered.

        Raises:
            SandboxError: If that is not a process of this machine's: nothing could be frozen or proven to be gone.
        """
        pid, word = await self.engine.process(self.name)
        init = os.pidfd_open(pid)
        if word not in _words(pid):
            os.close(init)
            hint = "use an engine on this machine itself, not in a virtual machine or far away"
            raise SandboxError(f"the container of {self.engine.program} does not run on this machine", hint=hint)
        self.init, self.init_pid = init, pid
        await self._check()

    @contextmanager
    def frozen(self) -> Iterator[set[int]]:
        """Stop all that runs inside; gVisor's processes are none of the host's, so the engine is asked."""
        if not self.engine.gvisor:
            with super().frozen() as pids:
                yield pids
            return
        self._tell("pause")
        try:
            yield {self.init_pid}
        finally:
            self._tell("unpause")

    def _tell(self, word: str) -> None:
        command = self.engine.command(word, self.name)
        done = subprocess.run(command, env=self.engine.variables, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SandboxError(f"{self.engine.program} cannot {word} the sandbox: {done.stderr.strip()[-300:]}")

    async def end(self) -> None:
        """Kill everything, wait until the kernel has, and have the engine forget it."""
        await super().end()
        await _forget(self.engine, self.directory)

    async def _check(self) -> None:
        """Podman gives a volume to the owner of the folder that the image has at its place."""
        upper = self.directory / "upper"
        if _owner(upper) != _owner(self.directory / "work"):
            await self.engine.ask("unshare", "chown", "0:0", str(upper))
            hint = "use an image that has none: it is where the project's own files are shown"
            raise SandboxError("the image has a folder /work of its own", hint=hint)


async def _import(engine: Engine) -> None:
    if not await engine.has_image(shell().name):
        await engine.call("import", "-", shell().name, given=shell().archive)


async def _forget(engine: Engine, directory: Path) -> None:
    """Have the engine know nothing more of the sandbox in *directory*, whose processes have ended or are to end."""
    await engine.remove(_name(directory))
    if not await asyncio.to_thread(_cleared, directory / "work"):
        await _import(engine)
        await engine.call(*clearing(directory / "work"))
    await asyncio.to_thread((directory / "box" / "started").unlink, missing_ok=True)


def _cleared(work: Path) -> bool:
    """Empty overlayfs' own folder; False if a daemon of root's has filled it, and we are not root."""
    try:
        remove(work / "work")
    except OSError:
        return False
    return True


def _name(directory: Path) -> str:
    """What the engine calls the container and the volume of the sandbox in *directory*."""
    return f"nightmill-{hashlib.sha256(os.fsencode(directory)).hexdigest()[:20]}"


def _owner(path: Path) -> int:
    return path.stat().st_uid


def _words(pid: int) -> list[str]:
    return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")


def _write(place: Place, owner: Owner | None) -> None:
    """The files that every container of *place* is shown."""
    box = place.directory / "box"
    (box / "etc").mkdir(parents=True, exist_ok=True)
    (box / "runner.py").write_text(source(), "utf-8")
    for path, body in etc(owner).items():
        (box / "etc" / Path(path).name).write_bytes(body)
    if place.trusted:
        (box / "authorities.pem").write_bytes(bundle(place.trusted))
    (box / "started").touch()


def _start(engine: Engine, words: list[str], directory: Path, *, lone: bool) -> tuple[Processes, socket.socket]:
    mine, theirs = socket.socketpair()
    errors = os.memfd_create("errors")
    with theirs:
        try:
            process = subprocess.Popen(
                engine.command(*words),
                env=engine.variables,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=errors,
                start_new_session=True,  # a person's Ctrl-C is for nightmill
            )
        except OSError as error:
            mine.close()
            os.close(errors)
            raise SandboxError(f"{engine.program!r} cannot be started: {error.strerror}") from error
    return ContainerProcesses(engine, process, errors, directory, lone=lone), mine
