"""Podman containers that wait as pods do and are entered as pods are, in the place of a cluster's."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from nightmill.sandbox.backends.engine import Engine
from nightmill.sandbox.backends.kubernetes import PodSandboxes
from nightmill.sandbox.backends.manifests import WAIT
from nightmill.sandbox.backends.shape import shell
from nightmill.sandbox.owner import owner
from tests.sandbox.engines import working


@dataclass(frozen=True, kw_only=True)
class PodmanPod:
    """A container that waits as a pod does, on the host's /usr; nothing of the run's folder is in it."""

    engine: Engine
    name: str

    async def start(self) -> None:
        user, group = owner() or (os.getuid(), os.getgid())
        await self.engine.call("import", "-", shell().name, given=shell().archive)
        words = [
            "run",
            "--detach",
            "--network",
            "none",
            "--cap-drop",
            "all",
            "--security-opt",
            "no-new-privileges",
            "--read-only",
        ]
        words += [
            "--name",
            self.name,
            "--user",
            f"{user}:{group}",
            "--volume",
            "/usr:/usr:ro",
            "--ulimit",
            "nofile=4096:4096",
        ]
        words += [
            "--ulimit",
            "nproc=4096:4096",
            "--log-driver",
            "none",
            *(["--userns", "keep-id"] if os.getuid() else []),
        ]
        for folder in ("tmp", "work", "opt/nightmill", "mnt/nightmill", "run/nightmill"):
            words += ["--tmpfs", f"/{folder}:rw,mode=1777,size=256m"]
        await self.engine.call(*words, "--entrypoint", "python3", shell().name, "-I", "-S", "-c", WAIT)
        # the shell has this folder, and runc gives a mount the mode of what is there
        await self.engine.call("exec", "--user", "0:0", self.name, "chmod", "1777", "/run/nightmill")

    def enter(self, *words: str) -> list[str]:
        return self.engine.command("exec", "--interactive", self.name, *words)

    async def end(self) -> None:
        await self.engine.call("rm", "--force", "--time", "0", "--ignore", self.name)


def pods(**changes: Any) -> PodSandboxes:
    """Sandboxes in such pods."""
    engine = working("podman")
    return PodSandboxes(lambda name: PodmanPod(engine=engine, name=name), environment=engine.variables, **changes)
