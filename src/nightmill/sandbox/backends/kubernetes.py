"""Sandboxes in pods: the same runner, over the input and output of `kubectl exec`; their upper is mirrored on this host."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

from nightmill.errors import SandboxError
from nightmill.sandbox import Guarantee, Place, Workspace
from nightmill.sandbox.backends.cargo import UNPACK, pack, union
from nightmill.sandbox.backends.manifests import SHOWN
from nightmill.sandbox.backends.mirror import LOOK, Mirror
from nightmill.sandbox.backends.pod import Pod
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.launch import Processes
from nightmill.sandbox.network.reach import Network
from nightmill.sandbox.owner import SANDBOX_USER
from nightmill.sandbox.profile import TRUSTED, bundle
from nightmill.sandbox.program import source

__all__ = ["PodSandboxes", "pod_name"]

BOOT = """
import os
text, left = b"", %d
while left:
    piece = os.read(0, left)
    text, left = text + piece, left - len(piece)
    if not piece:
        os._exit(1)
exec(compile(text, "runner", "exec"), {"__name__": "__main__"})
"""
"""Reads the runner from its input, and not one byte more: what follows are frames."""

TAKEN_MOST = 8 << 30

Pods = Callable[[str], Pod]
"""A name → the pod of that name, which need not be there yet."""


def pod_name(directory: Path) -> str:
    """What a cluster calls the sandbox of *directory*."""
    return f"nightmill-{hashlib.sha256(os.fsencode(directory)).hexdigest()[:20]}"


class PodSandboxes(BubblewrapSandboxes):
    """Makes sandboxes in *pods*. A pod's policy lets nothing out: the proxy is reached over the runner's frames.

    *environment* is what the program that enters pods is started with.
    """

    def __init__(
        self,
        pods: Pods,
        *,
        environment: Mapping[str, str],
        network: Network | None = None,
        user: int = SANDBOX_USER,
        shelf: Path | None = None,
    ) -> None:
        super().__init__(network=network, user=user, shelf=shelf)
        self.pods, self.variables = pods, environment

    async def open(self, place: Place) -> Workspace:
        """Build a sandbox from *place* and wait until it and its services answer.

        Raises:
            SandboxError: If the cluster cannot give one, or a snapshot is damaged.
        """
        # an image may have no certificates at all, or not where this host has them
        return await super().open(replace(place, trusted=place.trusted or b"\n") if place.connected else place)

    async def guarantees(self) -> tuple[Guarantee, ...]:
        """What they hold; what a cluster does behind its interface is its operator's word."""
        asked = "asked for in the pod's manifest: the cluster's operator must know that it holds"
        unsure = {"live_snapshot": "what was not held still while it was copied may be torn", "hard_disk_limit": asked}
        kernel = "a RuntimeClass is asked for, if the operator names one; nothing here can tell what it does"
        held = {"syscall_filter", "no_new_privileges", "fork"}
        return tuple(
            Guarantee(
                name=each.name,
                held=each.name in held and each.held,
                how=kernel if each.name == "kernel_isolated" else unsure.get(each.name, asked),
            )
            for each in await super().guarantees()
        )

    async def launch(self, place: Place) -> tuple[Processes, socket.socket]:
        """Make the pod, fill it, and start the runner.

        Raises:
            SandboxError: If the place asks for what a pod cannot have, or the cluster gives none.
        """
        shown = _shown(place)
        pod = self.pods(pod_name(place.directory))
        await pod.end()  # of a worker that died
        upper = place.directory / "upper"
        try:
            await pod.start()
            below = await asyncio.to_thread(union, place.layers)
            lower = {path: where.is_dir() and not where.is_symlink() for path, where in below.items()}
            mirror = Mirror(upper, lower, owner=self.host.owner, most=TAKEN_MOST)
            processes = PodProcesses(pod, mirror, self.variables)
            whole = await asyncio.to_thread(union, (*place.layers, upper))
            await asyncio.to_thread(processes.fill, whole, shown)
            return processes, processes.begin()
        except BaseException:
            await pod.end()
            raise

    async def destroy(self, directory: Path) -> None:
        """Delete everything of the closed sandbox in *directory*, its pod and layers that it alone held. Safe to repeat.

        Raises:
            SandboxError: If it is open.
        """
        await super().destroy(directory)
        await self.pods(pod_name(directory)).end()


class PodProcesses(Processes):
    """The program that carries the runner's frames; what it started is known by the pod alone."""

    apart, lone = True, False

    def __init__(self, pod: Pod, mirror: Mirror, environment: Mapping[str, str]) -> None:
        self.pod, self.mirror, self.variables = pod, mirror, dict(environment)
        self.init, self.init_pid, self.told = -1, 0, -1
        self.errors = os.memfd_create("errors")

    def fill(self, whole: dict[str, Path], shown: dict[str, Path]) -> None:
        """Send what the sandbox is to hold, and remember how it looks there.

        Raises:
            SandboxError: If it does not arrive.
        """
        with self._started("-c", UNPACK) as process:
            assert process.stdin is not None  # noqa: S101 - as asked for
            try:
                with process.stdin as out:
                    pack(whole, out, shown=shown)
            except BrokenPipeError:
                pass  # it says why on its errors
        self._look(self.mirror.learn, bodies=False)

    def begin(self) -> socket.socket:
        """Start the runner; gives the socket to it."""
        text = source().encode()
        mine, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                self.pod.enter("python3", "-I", "-S", "-c", BOOT % len(text)),
                env=self.variables,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self.errors,
                start_new_session=True,
            )
        mine.sendall(text)
        return mine

    async def find(self) -> None:
        """Nothing here is to be found."""

    @property
    def ended(self) -> bool:
        """Whether nothing carries frames any more."""
        return self.process.poll() is not None

    def kill(self, _: str = "") -> None:
        """Cut the frames: the runner ends with them. The rest goes with the pod."""
        self.process.kill()

    async def end(self) -> None:
        """Delete the pod, and wait until it is gone."""
        self.process.kill()
        await asyncio.to_thread(self.process.wait)
        await self.pod.end()
        if self.errors >= 0:
            os.close(self.errors)
            self.errors = -1

    @contextmanager
    def frozen(self) -> Iterator[set[int]]:
        """Bring the upper here to what is there; everything is held still there meanwhile."""
        self._look(self.mirror.take, bodies=True)
        yield {-1}  # something may run there: what is asked for stillness gets the cautious answer

    def _look(self, use: Callable[..., None], *, bodies: bool) -> None:
        with self._started("-c", LOOK) as process:
            assert process.stdin is not None  # noqa: S101
            assert process.stdout is not None  # noqa: S101
            with process.stdin as out:
                out.write(self.mirror.question(bodies=bodies))
            use(process.stdout)

    @contextmanager
    def _started(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """A program beside the runner; it must end well."""
        pipe = subprocess.PIPE
        command = self.pod.enter("python3", "-I", "-S", *words)
        with subprocess.Popen(command, env=self.variables, stdin=pipe, stdout=pipe, stderr=self.errors) as process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise SandboxError(f"a program in the pod failed: {self.said()}")


def _shown(place: Place) -> dict[str, Path]:
    """Files to be copied in, by their path there.

    Raises:
        SandboxError: If one is to be where nothing can be copied.
    """
    for path in place.files:
        if PurePosixPath(path).parts[1] not in SHOWN:
            raise SandboxError(f"{path!r} cannot be shown in a pod", hint=f"use a path below /{', /'.join(SHOWN)}")
    found = {f"/opt/nightmill/bin/{name}": where.resolve() for name, where in place.tools.items()}
    if place.trusted:
        found[TRUSTED] = place.directory / "box" / "authorities.pem"
        found[TRUSTED].parent.mkdir(exist_ok=True)
        found[TRUSTED].write_bytes(bundle(place.trusted))
    return found | {path: where.resolve() for path, where in place.files.items()}
