"""The real `kubectl` against a small server that speaks as a cluster does; its pods are podman containers."""

from __future__ import annotations

import asyncio
import shutil
import sysconfig
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Command, Place
from nightmill.sandbox.backends.client import Client
from nightmill.sandbox.backends.kubernetes import PodSandboxes
from nightmill.sandbox.backends.manifests import Cluster as Wanted
from nightmill.sandbox.backends.pod import KubernetesPod
from nightmill.sandbox.live import LiveSandbox
from nightmill.sandbox.network.reach import Network
from tests.sandbox.box import Box
from tests.sandbox.cluster import Cluster, cluster, reply, status
from tests.sandbox.engines import ENVIRONMENT, working
from tests.sandbox.test_egress import fetching
from tests.sandbox.web import web

WANTED = Wanted(namespace="agents", image=f"registry.invalid/tools@sha256:{'a' * 64}", runtime_class="")
FOLDER = "/apis/agents.x-k8s.io/v1beta1/namespaces/agents/sandboxes"

Scenario = Callable[[Cluster, PodSandboxes, Place], Coroutine[Any, Any, None]]


@pytest.fixture
def there(tmp_path: Path, place: Place) -> Callable[[Scenario], None]:
    """Run a scenario with a cluster and the sandboxes of it; every object must be gone afterwards."""
    engine = working("podman")
    program = shutil.which("kubectl", path=sysconfig.get_path("scripts"))
    assert program is not None

    def go(scenario: Scenario, *, ready: int = 30) -> None:
        async def whole() -> None:
            async with cluster(tmp_path, engine) as (made, file):
                client = Client(program=program, environment={**ENVIRONMENT, "KUBECONFIG": str(file)})

                def pods(name: str) -> KubernetesPod:
                    return KubernetesPod(client=client, cluster=WANTED, name=name, ready=ready)

                await scenario(made, PodSandboxes(pods, environment=client.variables), place)
                assert made.objects == {}

        asyncio.run(whole())

    return go


async def opened(sandboxes: PodSandboxes, place: Place) -> Box:
    """A sandbox in a pod."""
    sandbox = await sandboxes.open(place)
    assert isinstance(sandbox, LiveSandbox)
    return Box(sandbox, place)


def test_a_sandbox_lives_in_a_pod_that_only_kubectl_reaches(there: Any) -> None:
    async def scenario(made: Cluster, sandboxes: PodSandboxes, place: Place) -> None:
        box = await opened(sandboxes, place)
        assert (await box.sh("cat repo/kept.txt; echo new > repo/new; head -c 3000000 /dev/zero | wc -c")).text == (
            "kept\n3000000\n"
        )
        kinds = sorted(each["kind"] for each in made.objects.values())
        assert kinds == ["NetworkPolicy", "Pod", "Sandbox"]
        first = await box.sandbox.snapshot()
        await box.sh("rm repo/new repo/kept.txt")
        await box.sandbox.roll_back(first)
        assert (await box.sh("cat repo/new repo/kept.txt")).text == "new\nkept\n"
        await box.sandbox.close()

        created = [each.split("?")[0] for each in made.asked if each.startswith("POST")]
        policies = "/apis/networking.k8s.io/v1/namespaces/agents/networkpolicies"
        assert created == [f"POST {policies}", f"POST {FOLDER}"] * 2  # the wall stands before there is anyone to hold
        deleted = [each.split("?")[0].rpartition("/")[0] for each in made.asked if each.startswith("DELETE")]
        assert deleted == [f"DELETE {FOLDER}", f"DELETE {policies}"] * 4  # and falls last, before each start, too

    there(scenario)


def test_the_proxy_is_reached_through_kubectl(there: Any) -> None:
    async def scenario(_: Cluster, sandboxes: PodSandboxes, place: Place) -> None:
        box = await opened(sandboxes, replace(place, hosts=("localhost",)))
        async with web([], answer=b"x" * 2_000_000) as port:
            box.sandbox.egress.network = Network(private=frozenset({"localhost"}), ports=frozenset({port}))  # type: ignore[union-attr]
            found = await box.sandbox.run(fetching([f"http://localhost:{port}/", "http://denied.example/"]))
        assert found.text.startswith("x" * 900_000) or found.dropped
        assert "403 denied.example:80" in found.text
        await box.sandbox.close()

    there(scenario)


def test_a_cluster_that_is_busy_is_asked_again_when_it_says(there: Any) -> None:
    async def scenario(made: Cluster, sandboxes: PodSandboxes, place: Place) -> None:
        busy = reply(429, status(429, "TooManyRequests", "busy"), "Retry-After: 1")
        made.faults = {f"POST {FOLDER}": busy, "DELETE /apis/networking": busy}
        box = await opened(sandboxes, place)
        await box.sandbox.close()
        assert sum(each.startswith(f"POST {FOLDER}") for each in made.asked) == 2
        assert made.faults == {}

    there(scenario)


def test_a_watch_that_is_too_old_is_begun_anew(there: Any) -> None:
    async def scenario(made: Cluster, sandboxes: PodSandboxes, place: Place) -> None:
        made.condition["status"] = "False"
        opening = asyncio.create_task(opened(sandboxes, place))
        while not any("watch=true" in each and FOLDER in each for each in made.asked):
            assert not opening.done(), opening.result()
            await asyncio.sleep(0.01)
        found = next(each for each in made.objects.values() if each["kind"] == "Sandbox")
        found["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
        await made.expire(FOLDER)
        box = await opening
        assert (await box.sh("echo up")).text == "up\n"
        await box.sandbox.close()

    there(scenario)


@pytest.mark.parametrize(
    ("code", "reason"), [(409, "AlreadyExists"), (403, "Forbidden"), (422, "Invalid"), (500, "InternalError")]
)
def test_what_a_cluster_refuses_is_told_and_nothing_stays(there: Any, code: int, reason: str) -> None:
    async def scenario(made: Cluster, sandboxes: PodSandboxes, place: Place) -> None:
        made.faults = {f"POST {FOLDER}": reply(code, status(code, reason, f"because of {code}"))}
        with pytest.raises(SandboxError, match=f"because of {code}"):
            await opened(sandboxes, place)

    there(scenario)


def test_a_pod_that_never_comes_up_is_told_with_the_clusters_reason(there: Any) -> None:
    async def scenario(made: Cluster, sandboxes: PodSandboxes, place: Place) -> None:
        made.condition |= {"status": "False", "reason": "PodFailed", "message": "no image"}
        with pytest.raises(SandboxError, match=r"timed out.*Ready=False PodFailed no image"):
            await opened(sandboxes, place)

    there(scenario, ready=1)


def test_a_connection_that_is_cut_ends_the_sandbox_and_all_that_ran_in_it(there: Any) -> None:
    async def scenario(made: Cluster, sandboxes: PodSandboxes, place: Place) -> None:
        box = await opened(sandboxes, place)
        snapshot = await box.sandbox.snapshot()
        running = asyncio.create_task(box.sandbox.run(Command(argv=("sleep", "300"), cwd="/work")))
        await box.sh("true")
        made.cut()
        with pytest.raises(SandboxError, match=r"ended|reached"):
            await running
        with pytest.raises(SandboxError):
            await box.sandbox.snapshot()
        await box.sandbox.close()

        again = await opened(sandboxes, replace(place, snapshot=snapshot))
        assert (await again.sh("cat repo/kept.txt")).text == "kept\n"
        await again.sandbox.close()

    there(scenario)
