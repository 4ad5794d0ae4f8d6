"""A command line that makes sandboxes for us (podman, docker, kubectl): started, waited for, never with more than it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from nightmill.errors import SandboxError

__all__ = ["PATIENCE", "Client"]

PATIENCE = 60.0
"""Seconds for one short command."""

NAMES = ("PATH", "HOME", "USER", "LANG", "TMPDIR", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "KUBECONFIG")
PREFIXES = ("DOCKER_", "CONTAINER_", "CONTAINERS_", "XDG_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A program. *environment* is the operator's: the program gets what it needs of it, a sandbox nothing."""

    program: str
    environment: Mapping[str, str] = field(repr=False)

    @property
    def variables(self) -> dict[str, str]:
        """The environment of its program: what it needs to find its engine."""
        return {name: value for name, value in self.environment.items() if name in NAMES or name.startswith(PREFIXES)}

    def command(self, *words: str) -> list[str]:
        """The argument list of one call."""
        return [self.program, *words]

    async def call(self, *words: str, given: bytes = b"", seconds: float = PATIENCE) -> str:
        """Run one short command and give its output.

        Raises:
            SandboxError: If it fails; the message holds the end of what it said.
        """
        code, said = await self.ask(*words, given=given, seconds=seconds)
        if code:
            what = f"{self.program} {words[0]} failed: {said}"
            raise SandboxError(what, hint="`nightmill doctor` says what is missing")
        return said

    async def ask(self, *words: str, given: bytes = b"", seconds: float = PATIENCE) -> tuple[int, str]:
        """Exit status of one short command, and its output, or the end of its errors if it failed."""
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command(*words), stdin=pipe, stdout=pipe, stderr=pipe, env=self.variables
            )
        except OSError as error:
            hint = f"install {self.program}, or set `sandbox` to another backend"
            raise SandboxError(f"{self.program!r} cannot be started: {error.strerror}", hint=hint) from error
        try:
            out, errors = await asyncio.wait_for(process.communicate(given), seconds)
        except TimeoutError as error:
            raise SandboxError(f"{self.program} {words[0]} did not end within {seconds:.0f} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        said = errors if process.returncode else out
        return process.returncode or 0, said.decode("utf-8", "replace").strip()[-4000 if process.returncode else None :]
