"""A place on some machine in which a first process waits, and how to start others beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from nightmill.sandbox.backends.client import Client
from nightmill.sandbox.backends.manifests import Cluster, manifests

__all__ = ["KubernetesPod", "Pod"]

READY = 300
"""Seconds for a pod to come up: a node may be added for it, and an image be pulled."""


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

    async def start(self) -> None:
        """Apply the policy and the sandbox, and wait until it is ready.

        Raises:
            SandboxError: If the cluster refuses, or it does not come up.
        """
        until = datetime.now(UTC) + timedelta(seconds=self.cluster.lifetime)
        items = manifests(self.cluster, name=self.name, until=until)
        listed = {"apiVersion": "v1", "kind": "List", "items": items}
        await self.client.call("apply", "--filename", "-", given=json.dumps(listed).encode())
        kind, space = f"sandboxes.agents.x-k8s.io/{self.name}", self.cluster.namespace
        words = ("wait", "--namespace", space, "--for=condition=Ready", f"--timeout={READY}s", kind)
        await self.client.call(*words, seconds=READY + 30)

    def enter(self, *words: str) -> list[str]:
        """The command that starts *words* in the pod's container."""
        space = self.cluster.namespace
        return self.client.command(
            "exec", "--stdin", "--namespace", space, self.name, "--container", "agent", "--", *words
        )

    async def end(self) -> None:
        """Delete what `start` applied, and wait until it is gone."""
        kinds = (f"sandboxes.agents.x-k8s.io/{self.name}", f"networkpolicies.networking.k8s.io/{self.name}")
        words = ("delete", "--namespace", self.cluster.namespace, "--ignore-not-found", "--wait", "--timeout=120s")
        await self.client.call(*words, *kinds, seconds=150)
