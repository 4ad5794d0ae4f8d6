"""A place on some machine in which a first process waits, and how to start others beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from nightmill.errors import SandboxError
from nightmill.sandbox.backends.client import PATIENCE, Client
from nightmill.sandbox.backends.manifests import Cluster, manifests

__all__ = ["KubernetesPod", "Pod"]

READY = 300
"""Seconds for a pod to come up: a node may be added for it, and an image be pulled."""

SANDBOXES = "sandboxes.v1beta1.agents.x-k8s.io"
"""With its version: an older one is served too, and knows fewer fields."""

CONDITIONS = "{range .status.conditions[*]}{.type}={.status} {.reason} {.message}. {end}"
WAITING = (
    '{range .status.conditions[?(@.status=="False")]}{.message} {end}'
    "{range .status.containerStatuses[*]}{.state.waiting.reason} {.state.waiting.message}{end}"
)


class Pod(Protocol):
    """Where a sandbox's programs run."""

    async def start(self) -> None:
        """Make it and wait until something can be started in it.

        Raises:
            SandboxError: If it does not come up.
        """
        ...

    def enter(self, *words: str) -> list[str]:
        """The command of this host's that starts *words* there, with its own input and output."""
        ...

    async def end(self) -> None:
        """End every process in it, and all that it wrote. Safe to repeat."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesPod:
    """A pod that the controller of agent-sandbox makes for the object *name*; its pod has that name."""

    client: Client
    cluster: Cluster
    name: str
    ready: int = READY

    async def start(self) -> None:
        """Create the policy, then the sandbox, and wait until it is ready.

        Raises:
            SandboxError: If the cluster refuses, or it does not come up; the message holds what the cluster says of it.
        """
        until = datetime.now(UTC) + timedelta(seconds=self.cluster.lifetime)
        items = manifests(self.cluster, name=self.name, until=until)
        # not `apply`: what is there already is another's; no `List`: its items' fields would not all be checked
        given = "\n---\n".join(json.dumps(each) for each in items).encode()
        await self._kubectl("create", "--filename", "-", given=given)
        words = ("--for=condition=Ready", f"--timeout={self.ready}s", f"{SANDBOXES}/{self.name}")
        try:
            await self._kubectl("wait", *words, seconds=self.ready + 30)
        except SandboxError as error:
            raise SandboxError(f"{error.message}{await self._why()}", hint=error.hint) from error

    def enter(self, *words: str) -> list[str]:
        """The command that starts *words* in the pod's container."""
        space = self.cluster.namespace
        return self.client.command(
            "exec", "--stdin", "--namespace", space, self.name, "--container", "agent", "--", *words
        )

    async def end(self) -> None:
        """Delete what `start` created, and wait until it is gone: the pod first, because the policy is its wall."""
        words = ("--ignore-not-found", "--wait", "--timeout=120s")
        # in the foreground, else only the object would be gone, and its processes go on
        await self._kubectl("delete", *words, "--cascade=foreground", f"{SANDBOXES}/{self.name}", seconds=150)
        await self._kubectl("delete", *words, f"networkpolicies.networking.k8s.io/{self.name}", seconds=150)

    async def _why(self) -> str:
        """What the cluster says of a sandbox that is not ready: its conditions, and for what its container waits."""
        found = []
        for what, path in ((SANDBOXES, CONDITIONS), ("pods", WAITING)):
            words = ("get", "--namespace", self.cluster.namespace, "--ignore-not-found", f"{what}/{self.name}")
            code, said = await self.client.ask(*words, f"--output=jsonpath={path}")
            found += [said] if said and not code else []
        return "; ".join(["", *found])

    async def _kubectl(self, verb: str, *words: str, given: bytes = b"", seconds: float = PATIENCE) -> None:
        await self.client.call(verb, "--namespace", self.cluster.namespace, *words, given=given, seconds=seconds)
