"""A container engine, podman or docker, by its command line: what it can do, and the few words that are asked of it."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

from nightmill.errors import SandboxError
from nightmill.sandbox.backends.client import PATIENCE, Client

__all__ = ["Engine", "Traits"]

AGAIN = 0.2
"""Seconds until it is asked once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What an engine says of itself.

    Attributes:
        rootless: It runs as the user that calls it and can do no more than that user.
        limits: It can bound the memory and the processes of a container with a control group.
    """

    version: str
    rootless: bool
    limits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine(Client):
    """podman or docker. *runtime* is the OCI runtime to use, as in "runsc"; "" is the engine's own choice."""

    runtime: str = ""

    @property
    def podman(self) -> bool:
        """Whether it has podman's options."""
        return self.program.rpartition("/")[2] == "podman"

    @property
    def gvisor(self) -> bool:
        """Whether containers have a kernel of their own, gVisor's, in a process of the host."""
        return self.runtime.rpartition("/")[2].startswith("runsc")

    def command(self, *words: str) -> list[str]:
        """The argument list of one call."""
        chosen = ["--runtime", self.runtime] if self.runtime and self.podman else []
        if chosen and self.gvisor:  # its own network stack would want one of the host's interfaces
            chosen += ["--runtime-flag", "network=none"]
        return [self.program, *chosen, *words]

    async def traits(self) -> Traits:
        """Ask it.

        Raises:
            SandboxError: If it is not there or does not answer.
        """
        said = json.loads(await self.call("info", "--format", "{{json .}}"))
        return _of_podman(said) if self.podman else _of_docker(said)

    async def process(self, name: str) -> tuple[int, str]:
        """The id, here on the host, of the first process of the container *name*, and a word of its command line."""
        said = await self.call("container", "inspect", "--format", "{{.State.Pid}} {{.Id}}", name)
        pid, _, number = said.partition(" ")
        return int(pid), number if self.gvisor else name

    async def has_image(self, image: str) -> bool:
        """Whether *image* is there without a download."""
        return (await self.ask("image", "inspect", "--format", "{{.Id}}", image))[0] == 0

    async def overlay(self, name: str, options: str) -> None:
        """Make the volume *name* an overlay mount with *options*; it is mounted while a container uses it."""
        kind = [word for each in ("type=overlay", "device=overlay", f"o={options}") for word in ("--opt", each)]
        await self.call("volume", "create", "--driver", "local", *kind, name)

    async def remove(self, name: str) -> None:
        """End the container *name* and forget its volume, if they are there.

        Raises:
            SandboxError: If they are still there afterwards.
        """
        at_once = ["--time", "0", "--ignore"] if self.podman else []
        deadline = time.monotonic() + PATIENCE
        while True:
            await self.ask("rm", "--force", "--volumes", *at_once, name)
            code, said = await self.ask("volume", "rm", "--force", name)
            if not code or "no such volume" in said.lower():
                return
            if time.monotonic() > deadline:
                raise SandboxError(f"{self.program} cannot remove the volume {name!r}: {said}")
            await asyncio.sleep(AGAIN)  # docker refuses while it removes the container by itself


def _of_podman(said: dict[str, Any]) -> Traits:
    host = said["host"]
    # On cgroup v1 without root podman would warn and go on without any limit.
    limits = {"memory", "pids"} <= set(host["cgroupControllers"] or ())
    rootless = bool(host["security"]["rootless"])
    return Traits(version=said["version"]["Version"], rootless=rootless, limits=limits)


def _of_docker(said: dict[str, Any]) -> Traits:
    if said.get("ServerErrors"):
        hint = "start the docker daemon, and let this user reach its socket"
        raise SandboxError(f"docker does not answer: {said['ServerErrors'][0]}", hint=hint)
    rootless = any("name=rootless" in each for each in said.get("SecurityOptions") or ())
    limits = bool(said.get("MemoryLimit")) and bool(said.get("PidsLimit"))
    return Traits(version=str(said.get("ServerVersion")), rootless=rootless, limits=limits)
