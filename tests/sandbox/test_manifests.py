"""Kubernetes objects for sandboxes, against the schemas that Kubernetes publishes; no cluster is asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from nightmill.errors import SettingsError
from nightmill.sandbox.backends.manifests import Cluster, manifests, namespace

CLUSTER = Cluster(namespace="agents", image=f"registry.invalid/tools@sha256:{'a' * 64}", runtime_class="gvisor")
UNTIL = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
VERSIONS = ("1.30", "1.33", "1.36")

PUBLISHED = "NIGHTMILL_TEST_CRDS"
"""The folder `helm/crds` of kubernetes-sigs/agent-sandbox, where a developer has it: no package ships it."""

SANDBOX: dict[str, Any] = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "additionalProperties": False,
    "properties": {
        "apiVersion": {"const": "agents.x-k8s.io/v1beta1"},
        "kind": {"const": "Sandbox"},
        "metadata": {"type": "object"},
        "spec": {
            "type": "object",
            "required": ["podTemplate"],
            "additionalProperties": False,
            "properties": {
                "operatingMode": {"enum": ["Running", "Suspended"]},
                "service": {"type": "boolean"},
                "shutdownTime": {"type": "string", "format": "date-time"},
                "shutdownPolicy": {"enum": ["Delete", "Retain"]},
                "podTemplate": {
                    "type": "object",
                    "required": ["spec"],
                    "additionalProperties": False,
                    "properties": {
                        "metadata": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {"labels": {"type": "object"}},
                        },
                        "spec": {"type": "object"},
                    },
                },
            },
        },
    },
}
"""Our own statement of the fields that we use: agent-sandbox 0.5.6, api/v1beta1/sandbox_types.go (SandboxSpec,
SandboxBlueprint, Lifecycle, PodTemplate, PodMetadata). Compared with its definition at v0.5.6 (211b7579cabe) and at
2fd412d55eca by `test_the_published_definition_takes_what_we_make`."""

HOSTILE = ["", "-a", "a-", "A", "a/b", "a.b", "a\nb", "a: b", "../a", "a" * 64, "ä", "a\x00", "{{a}}", "$(id)"]


def made(**changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The policy and the sandbox of a cluster."""
    policy, sandbox = manifests(replace(CLUSTER, **changes), name="nightmill-1", until=UNTIL)
    return policy, sandbox


def pod(sandbox: dict[str, Any]) -> dict[str, Any]:
    """The pod that the controller makes of it."""
    template = sandbox["spec"]["podTemplate"]
    metadata = {**template["metadata"], "name": sandbox["metadata"]["name"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_that_is_kubernetes_own_is_valid_by_its_strict_schema(version: str) -> None:
    policy, sandbox = made()

    for each in (policy, pod(sandbox), *namespace(CLUSTER)):
        kubernetes_validate.validate(each, version, strict=True)


def test_a_wrong_field_would_be_found() -> None:
    wrong = pod(made()[1])
    wrong["spec"]["automountServiceAccountTokens"] = False

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_a_sandbox_has_the_fields_of_its_kind_and_ends_by_itself() -> None:
    _, sandbox = made()

    assert (sandbox["apiVersion"], sandbox["kind"]) == ("agents.x-k8s.io/v1beta1", "Sandbox")
    jsonschema.validate(sandbox, SANDBOX, format_checker=jsonschema.FormatChecker())
    assert sandbox["spec"]["shutdownTime"] == "2030-01-02T03:04:05Z"
    assert sandbox["spec"]["shutdownPolicy"] == "Delete"
    assert sandbox["spec"]["service"] is False
    assert pod(sandbox)["spec"]["activeDeadlineSeconds"] > 0


def test_a_field_that_agent_sandbox_does_not_know_would_be_found() -> None:
    _, sandbox = made()
    sandbox["spec"]["podTemplate"]["metadata"]["finalizers"] = []

    with pytest.raises(jsonschema.ValidationError, match="finalizers"):
        jsonschema.validate(sandbox, SANDBOX)


def test_the_published_definition_takes_what_we_make() -> None:
    """Whole and strict, where somebody has it; in the repository there is only what we state ourselves."""
    folder = os.environ.get(PUBLISHED)  # noqa: TID251 - a developer's own copy
    if folder is None:
        pytest.skip(f"{PUBLISHED} names no folder of definitions")
    whole = yaml.safe_load((Path(folder) / "agents.x-k8s.io_sandboxes.yaml").read_text("utf-8"))
    versions = {each["name"]: each["schema"]["openAPIV3Schema"] for each in whole["spec"]["versions"] if each["served"]}
    schema = strict(versions["v1beta1"])
    schema["properties"]["metadata"] = {"type": "object"}
    _, sandbox = made()

    jsonschema.validate(sandbox, schema, format_checker=jsonschema.FormatChecker())
    sandbox["spec"]["podTemplate"]["spec"]["automountServiceAccountTokens"] = False
    with pytest.raises(jsonschema.ValidationError, match="automountServiceAccountTokens"):
        jsonschema.validate(sandbox, schema)


def strict(schema: Any) -> Any:
    """*schema*, in which what is not named is not allowed, as a server checks fields when it is asked to."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: strict(each) for name, each in schema.items()}
    if "properties" in found and not found.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    if found.get("x-kubernetes-int-or-string"):
        found.pop("type", None)
    return found


def test_no_pod_has_a_token_a_resolver_a_privilege_or_a_part_of_its_node() -> None:
    spec = pod(made()[1])["spec"]
    container = spec["containers"][0]

    assert spec["automountServiceAccountToken"] is False
    assert spec["terminationGracePeriodSeconds"] > 0  # else it counts as deleted while its processes run
    assert "serviceAccountName" not in spec
    assert (spec["dnsPolicy"], spec["dnsConfig"]) == ("None", {"nameservers": ["127.0.0.1"]})
    assert [spec[name] for name in ("hostNetwork", "hostPID", "hostIPC", "enableServiceLinks")] == [False] * 4
    assert spec["runtimeClassName"] == "gvisor"
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["privileged"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"cpu", "memory", "ephemeral-storage"} <= set(container["resources"]["limits"])
    assert len(spec["containers"]) == 1
    assert not {"env", "envFrom", "ports", "volumeDevices"} & set(container)
    assert all(set(each) == {"name", "emptyDir"} and each["emptyDir"]["sizeLimit"] for each in spec["volumes"])


def test_the_policy_selects_exactly_this_pod_and_lets_nothing_in_or_out() -> None:
    policy, sandbox = made()
    selected = policy["spec"]["podSelector"]["matchLabels"]

    assert selected.items() <= pod(sandbox)["metadata"]["labels"].items()
    assert "nightmill-1" in selected.values()
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert (policy["spec"]["ingress"], policy["spec"]["egress"]) == ([], [])
    assert policy["metadata"]["namespace"] == sandbox["metadata"]["namespace"]


def test_the_namespace_takes_only_restricted_pods_and_denies_by_default() -> None:
    own, policy = namespace(CLUSTER)

    assert own["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []}


@pytest.mark.parametrize("word", HOSTILE)
def test_a_hostile_name_is_refused_wherever_it_stands(word: str) -> None:
    with pytest.raises(SettingsError, match="no name"):
        manifests(CLUSTER, name=word, until=UNTIL)
    with pytest.raises(SettingsError, match="no namespace"):
        made(namespace=word)
    if word:
        with pytest.raises(SettingsError, match="no runtime class"):
            made(runtime_class=word)


@pytest.mark.parametrize("image", ["", "debian", "debian:12", f"a b@sha256:{'a' * 64}", "a@sha256:123", "-x@sha256:1"])
def test_an_image_is_named_by_its_digest(image: str) -> None:
    with pytest.raises(SettingsError, match="image"):
        made(image=image)


@pytest.mark.parametrize("user", [0, -1, 1 << 31])
def test_no_pod_runs_as_root(user: int) -> None:
    with pytest.raises(SettingsError, match="user"):
        made(user=user)


def test_the_first_process_of_a_pod_waits_and_ends_when_it_is_told() -> None:
    command = pod(made()[1])["spec"]["containers"][0]["command"]
    with subprocess.Popen([sys.executable, *command[1:]], stderr=subprocess.PIPE) as waiting:
        while not handles(waiting.pid):
            assert waiting.poll() is None
        waiting.terminate()

        assert waiting.wait(60) == 0


def handles(pid: int) -> bool:
    """Whether the process has said what to do on SIGTERM."""
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("SigCgt"))
    return bool(int(line.split()[1], 16) & 1 << signal.SIGTERM - 1)
