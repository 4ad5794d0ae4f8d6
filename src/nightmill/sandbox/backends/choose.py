"""Which sandboxes the operator wants, by the name of what makes them."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nightmill.errors import SettingsError
from nightmill.sandbox.backends.client import Client
from nightmill.sandbox.backends.container import ContainerSandboxes
from nightmill.sandbox.backends.engine import Engine
from nightmill.sandbox.backends.kubernetes import PodSandboxes
from nightmill.sandbox.backends.mac import MacSandboxes
from nightmill.sandbox.backends.manifests import Cluster, check
from nightmill.sandbox.backends.pod import KubernetesPod, Pod
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.guarantees import known
from nightmill.sandbox.network.reach import Network
from nightmill.sandbox.owner import SANDBOX_USER
from nightmill.settings import HERE

__all__ = ["Choice", "choose"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the operator set: `sandbox`, the settings whose names begin with that, and `require`."""

    backend: str = HERE
    image: str = ""
    runtime: str = ""
    namespace: str = "nightmill"
    user: int = SANDBOX_USER
    require: tuple[str, ...] = ()

    def engine(self, environment: Mapping[str, str]) -> Engine:
        """The container engine of that name."""
        return Engine(program=self.backend, environment=environment, runtime=self.runtime)

    def cluster(self) -> Cluster:
        """What is asked of a cluster."""
        return Cluster(namespace=self.namespace, image=self.image, runtime_class=self.runtime, user=self.user)


def choose(
    choice: Choice, *, environment: Mapping[str, str], network: Network | None = None, shelf: Path | None = None
) -> BubblewrapSandboxes:
    """Sandboxes as *choice* says; *environment* is the operator's, for the programs of container engines.

    Raises:
        SettingsError: If it asks for what its backend has not.
    """
    found = _made(choice, environment, network, shelf)
    found.requires = known(choice.require, where="the setting `require`")
    return found


def _made(
    choice: Choice, environment: Mapping[str, str], network: Network | None, shelf: Path | None
) -> BubblewrapSandboxes:
    if choice.backend == "kubernetes":
        client, cluster = Client(program="kubectl", environment=environment), choice.cluster()
        check(cluster, "any")  # its faults are told now, not in the middle of a run

        def pods(name: str) -> Pod:
            return KubernetesPod(client=client, cluster=cluster, name=name)

        return PodSandboxes(pods, environment=client.variables, network=network, user=choice.user, shelf=shelf)
    if choice.backend not in {"bubblewrap", "seatbelt"}:
        return ContainerSandboxes(
            choice.engine(environment), image=choice.image, network=network, user=choice.user, shelf=shelf
        )
    for name, value in (("sandbox_image", choice.image), ("sandbox_runtime", choice.runtime)):
        if value:
            hint = "set `sandbox` to podman or docker, or leave it empty"
            raise SettingsError(f"{choice.backend} has no use for {name} = {value!r}", hint=hint)
    if choice.backend == "seatbelt":
        return _seatbelt(network)
    return BubblewrapSandboxes(network=network, user=choice.user, shelf=shelf)


def _seatbelt(network: Network | None) -> MacSandboxes:
    if platform.system() != "Darwin":
        hint = "leave `sandbox` empty, or set it to bubblewrap"
        raise SettingsError(f"Seatbelt is a part of macOS, and this is {platform.system()}", hint=hint)
    if os.geteuid() == 0:
        raise SettingsError("started by root, everything behind Seatbelt would be root's", hint="use another user")
    return MacSandboxes(network=network)
