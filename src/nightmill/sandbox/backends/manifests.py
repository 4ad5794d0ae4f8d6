"""A sandbox as Kubernetes objects: a `Sandbox` of kubernetes-sigs/agent-sandbox, and the policy that lets nothing in or out.

Pure: values in, plain objects out, so that what is asked of a cluster can be read, checked against the published
schemas and applied by hand. The structure of `Sandbox` is that of agents.x-k8s.io/v1beta1, taken from release 0.5.6.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from nightmill.errors import SettingsError
from nightmill.sandbox.owner import SANDBOX_USER
from nightmill.sandbox.profile import TRUSTED

__all__ = ["SHOWN", "WAIT", "Cluster", "check", "manifests", "namespace"]

LABEL = "nightmill/sandbox"
"""On every pod, with the sandbox's name: what the policy selects by."""

WORD = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
"""A DNS label, as names of namespaces and objects are."""

IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:-]{0,200}@sha256:[0-9a-f]{64}", re.ASCII)
"""An image by its digest: what a tag means, someone else decides."""

SHOWN = ("mnt", "opt", "srv")
"""Folders in which files of the host are shown: copied, because a pod is on another machine."""

WAIT = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
seen = time.monotonic()
while time.monotonic() - seen < 120:
    others = [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]
    seen = time.monotonic() if others else seen
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    time.sleep(1)
"""
"""The first process of a pod: collects orphans, and ends when for two minutes nobody has been there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What an operator says of the cluster that sandboxes are made in. Sizes are bytes.

    Attributes:
        image: By its digest; it holds what the project's tests need, and Python 3.8 or newer as `python3`.
        runtime_class: What keeps pods off the node's own kernel, as in "gvisor" or "kata"; "" is the cluster's default.
        disk: What /work may grow to.
        lifetime: Seconds until the cluster ends a sandbox by itself, whatever became of nightmill.
    """

    namespace: str
    image: str
    runtime_class: str
    cpu: int = 2
    memory: int = 4 << 30
    disk: int = 10 << 30
    tmp: int = 512 << 20
    lifetime: int = 4 * 3600
    user: int = SANDBOX_USER


def manifests(cluster: Cluster, *, name: str, until: datetime) -> list[dict[str, Any]]:
    """The policy, then the sandbox *name*, which the cluster deletes at *until*; to be applied in this order.

    Raises:
        SettingsError: If a name or the image is not what Kubernetes, or safety, asks for.
    """
    check(cluster, name)
    labels = {"app.kubernetes.io/managed-by": "nightmill", LABEL: name}
    metadata = {"name": name, "namespace": cluster.namespace, "labels": labels}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {
            "podSelector": {"matchLabels": {LABEL: name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [],
        },
    }
    sandbox = {
        "apiVersion": "agents.x-k8s.io/v1beta1",
        "kind": "Sandbox",
        "metadata": metadata,
        "spec": {
            "operatingMode": "Running",
            "service": False,
            "shutdownTime": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "shutdownPolicy": "Delete",
            "podTemplate": {"metadata": {"labels": labels}, "spec": _pod(cluster)},
        },
    }
    return [policy, sandbox]


def namespace(cluster: Cluster) -> list[dict[str, Any]]:
    """What the operator makes once: a namespace in which only restricted pods may be, and none reaches anything."""
    check(cluster, "every-pod")
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "every-pod", "namespace": cluster.namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []},
    }
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace, "labels": levels}}
    return [made, policy]


def _pod(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "shareProcessNamespace": False,
        # no resolver: a name would be a way out, and a policy is only as good as the cluster's network plug-in
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["127.0.0.1"]},
        "restartPolicy": "Never",
        "activeDeadlineSeconds": cluster.lifetime,
        # not 0: then a pod counts as deleted before its node has ended anything
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": cluster.user,
            "runAsGroup": cluster.user,
            "fsGroup": cluster.user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(cluster)],
        "volumes": [
            {"name": "work", "emptyDir": {"sizeLimit": str(cluster.disk)}},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": str(cluster.tmp)}},
            {"name": "shared", "emptyDir": {"medium": "Memory", "sizeLimit": str(cluster.tmp)}},
            {"name": "shown", "emptyDir": {"sizeLimit": str(cluster.disk)}},
        ],
    }
    return found | ({"runtimeClassName": cluster.runtime_class} if cluster.runtime_class else {})


def _container(cluster: Cluster) -> dict[str, Any]:
    bounds = {"cpu": str(cluster.cpu), "memory": str(cluster.memory), "ephemeral-storage": str(cluster.disk)}
    return {
        "name": "agent",
        "image": cluster.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-I", "-S", "-c", WAIT],
        "workingDir": "/work",
        "stdin": False,
        "tty": False,
        "resources": {"limits": bounds, "requests": bounds | {"cpu": "100m"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": "work", "mountPath": "/work"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the sandbox's own
            {"name": "shared", "mountPath": "/dev/shm"},  # noqa: S108 - as above
            *({"name": "shown", "mountPath": f"/{top}", "subPath": top} for top in SHOWN),
            {"name": "shown", "mountPath": str(PurePosixPath(TRUSTED).parent), "subPath": "run"},
        ],
    }


def check(cluster: Cluster, name: str) -> None:
    """Refuse what Kubernetes would not take, or what would not be safe.

    Raises:
        SettingsError: Which, and what it may be.
    """
    words: Mapping[str, str] = {"name": name, "namespace": cluster.namespace, "runtime class": cluster.runtime_class}
    for what, word in words.items():
        if not WORD.fullmatch(word) and (word or what != "runtime class"):
            hint = "use lower-case letters, digits and hyphens, at most 63"
            raise SettingsError(f"{word!r} is no {what} that Kubernetes takes", hint=hint)
    if not IMAGE.fullmatch(cluster.image):
        hint = "name it by its digest, as in registry/name@sha256:…: what a tag means can change between two runs"
        raise SettingsError(f"the image {cluster.image!r} cannot be used", hint=hint)
    if not 0 < cluster.user < 1 << 31:
        raise SettingsError(
            f"sandboxes cannot run as the user {cluster.user}", hint="set `sandbox_user` to another number"
        )
