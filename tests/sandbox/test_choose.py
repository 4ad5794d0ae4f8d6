"""Which backend the operator gets, and what doctor says of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nightmill.errors import SettingsError
from nightmill.sandbox.backends.choose import Choice, choose
from nightmill.sandbox.backends.client import Client
from nightmill.sandbox.backends.container import ContainerSandboxes
from nightmill.sandbox.backends.engine import Engine
from nightmill.sandbox.backends.kubernetes import PodSandboxes
from nightmill.sandbox.backends.seatbelt import Programs
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.doctor import probe_cluster, probe_engine, probe_mac, self_test
from nightmill.settings import Settings, load
from tests.sandbox.engines import containers, working
from tests.sandbox.unwalled import UNWALLED, unwalled


def test_nothing_set_is_bubblewrap() -> None:
    assert type(choose(Choice(), environment={})) is BubblewrapSandboxes
    assert Settings().sandbox == Choice().backend


@pytest.mark.parametrize("name", ["image", "runtime"])
def test_what_bubblewrap_has_not_is_refused_and_not_overlooked(name: str) -> None:
    with pytest.raises(SettingsError, match=f"sandbox_{name} = 'x'"):
        choose(Choice(**{name: "x"}), environment={})


def test_an_engine_gets_of_the_environment_only_what_finds_it() -> None:
    given = {"PATH": "/bin", "DOCKER_HOST": "unix:///d", "ANTHROPIC_API_KEY": "secret"}

    found = choose(Choice(backend="docker", image="debian", runtime="runsc"), environment=given)

    assert isinstance(found, ContainerSandboxes)
    assert (found.image, found.engine.runtime) == ("debian", "runsc")
    assert found.engine.variables == {"PATH": "/bin", "DOCKER_HOST": "unix:///d"}


def test_pods_are_made_of_an_image_by_its_digest() -> None:
    found = choose(Choice(backend="kubernetes", image=f"i@sha256:{'a' * 64}", runtime="gvisor"), environment={})

    assert isinstance(found, PodSandboxes)
    assert found.pods("nightmill-1").enter("x")[-1] == "x"
    with pytest.raises(SettingsError, match="image"):
        choose(Choice(backend="kubernetes"), environment={})


def test_doctor_says_that_no_cluster_answers(tmp_path: Path) -> None:
    client = Client(program="kubectl", environment={"PATH": "/usr/bin:/bin", "KUBECONFIG": "/nonexistent"})

    assert "agent-sandbox" in asyncio.run(probe_cluster(tmp_path, client, namespace="agents"))[0].fix


def test_seatbelt_is_refused_where_there_is_none_and_doctor_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="part of macOS, and this is Linux"):
        choose(Choice(backend="seatbelt"), environment={})
    with pytest.raises(SettingsError, match="sandbox_image = 'x'"):
        choose(Choice(backend="seatbelt", image="x"), environment={})

    found = {each.name: each for each in probe_mac(tmp_path)}
    assert [name for name in ("system", "Seatbelt") if not found[name].ok and found[name].fix] == ["system", "Seatbelt"]
    assert "no Mac has run" in found["backend"].detail


def test_doctor_tells_a_wall_that_holds_nothing_and_a_copy_that_fails(tmp_path: Path) -> None:
    held = {each.name: each for each in probe_mac(tmp_path, programs=UNWALLED)}
    assert (held["Seatbelt"].ok, held["Seatbelt"].detail) == (False, "a program wrote where it may not")
    assert held["clones"].ok

    shut = Programs(wall=("/bin/sh", "-c", "echo no >&2; exit 1"), clone=("/bin/false",))
    found = {each.name: each for each in probe_mac(tmp_path, programs=shut)}
    assert (found["Seatbelt"].ok, found["Seatbelt"].detail, found["clones"].ok) == (False, "no", False)
    assert list(tmp_path.iterdir()) == []


def test_doctors_own_run_works_on_what_would_be_macos(tmp_path: Path) -> None:
    found = asyncio.run(self_test(tmp_path, unwalled()))

    assert found.ok, found
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_backend_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="bubblewrap or podman or docker or kubernetes or seatbelt"):
        load(file={"sandbox": "chroot"}, environment={}, flags={})


def test_doctor_looks_at_the_engine_and_opens_a_real_container(tmp_path: Path) -> None:
    sandboxes = containers("podman")
    found = [
        *asyncio.run(probe_engine(tmp_path, working("podman"), image="")),
        asyncio.run(self_test(tmp_path, sandboxes)),
    ]

    assert [each for each in found if not each.ok and each.name != "disk space"] == []
    assert {"container engine", "sandbox"} <= {each.name for each in found}
    assert list(tmp_path.iterdir()) == []


def test_doctor_says_what_to_do_without_the_engine_and_without_the_image(tmp_path: Path) -> None:
    absent = asyncio.run(probe_engine(tmp_path, Engine(program="/nonexistent/docker", environment={}), image="x"))
    assert next(each for each in absent if not each.ok).fix.startswith("install")

    without = asyncio.run(probe_engine(tmp_path, working("podman"), image="localhost/nightmill-absent:1"))
    assert "podman pull localhost/nightmill-absent:1" in next(each for each in without if each.name == "image").fix
