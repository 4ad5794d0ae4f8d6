"""The macOS backend on Linux, without any wall (see `unwalled`): what a place names, services, tools, hosts, and what it cannot have."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import GUARANTEES, Place, Service
from nightmill.sandbox.backends.mac import MacSandboxes
from nightmill.sandbox.backends.seatbelt import Programs
from nightmill.sandbox.network.reach import Network
from nightmill.sandbox.services import ASK
from tests.sandbox.test_egress import fetching
from tests.sandbox.unwalled import UNWALLED, Desk, given, unwalled, within
from tests.sandbox.web import web


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return given(tmp_path)


def test_services_start_answer_stop_and_are_logged(place: Place) -> None:
    program = "trap 'echo bye; exit 3' TERM; touch /work/up; echo from $PWD >&2; while :; do sleep 0.05; done"
    services = (
        Service(name="base", run=program, ready="test -e /work/up", cwd="/work"),
        Service(name="next", run="test -e /work/up && exec sleep 1000", after=("base",), cwd="/work"),
    )

    async def scenario(desk: Desk) -> None:
        held = desk.sandbox.services
        assert {each.name: each.state for each in held.states()} == {"base": "ready", "next": "ready"}
        assert (await desk.sh("until grep -q from /tmp/services/base.log; do sleep 0.01; done")).exit == 0
        assert b"from " in await held.log("base")
        assert "from" in (await desk.sh("cat /tmp/services/base.log")).text
        await held.stop()
        found = {each.name: (each.state, each.exit) for each in held.states()}
        assert found == {"base": ("ended", 3), "next": ("ended", -15)}
        assert b"bye" in await held.log("base")

    within(place, scenario, services=services)


def test_a_service_is_asked_whether_it_is_ready_also_where_there_is_no_timeout(tmp_path: Path) -> None:
    for name in ("bash", "perl", "sleep"):
        (tmp_path / name).symlink_to(
            next(path for path in (Path("/usr/bin", name), Path("/bin", name)) if path.exists())
        )
    asked = ["bash", "-c", ASK, "ready", 'test -e "$FILE" || { : > "$FILE"; exit 1; }']
    ran = subprocess.run(asked, env={"PATH": str(tmp_path), "FILE": str(tmp_path / "file")}, check=False, timeout=60)

    assert ran.returncode == 0
    assert (tmp_path / "file").exists()


def test_the_proxy_is_the_port_that_the_environment_names_and_forgets_hosts_that_are_taken_away(place: Place) -> None:
    async def scenario(desk: Desk) -> None:
        async with web([]) as port:
            desk.sandbox.egress.network = Network(private=frozenset({"localhost"}), ports=frozenset({port}))  # type: ignore[union-attr]
            urls = [f"http://localhost:{port}/", "http://denied.example/"]
            lines = (await desk.sandbox.run(fetching(urls))).text.splitlines()
            assert lines[0] == "hello"
            assert lines[1].startswith("403 denied.example:80")
            await desk.sandbox.reach(())
            assert (await desk.sandbox.run(fetching(urls[:1]))).text.startswith("403")
        assert f'(remote ip "localhost:{desk.sandbox.port}")' in (place.directory / "box" / "profile.sb").read_text()

    within(place, scenario, hosts=("localhost",))


def test_tools_and_files_are_where_they_are_named(place: Place, tmp_path: Path) -> None:
    tool, file = tmp_path / "real tool", tmp_path / "bundle"
    tool.write_text("#!/bin/sh\necho tool\n")
    tool.chmod(0o755)
    file.write_text("bundle\n")

    async def scenario(desk: Desk) -> None:
        ran = await desk.sh("it; cat /opt/nightmill/a.bundle; /opt/nightmill/bin/it")
        assert ran.text == "tool\nbundle\ntool\n"
        text = (place.directory / "box" / "profile.sb").read_text()
        assert f'(subpath "{tool}")' in text
        assert f'(subpath "{file}")' in text

    within(place, scenario, tools={"it": tool}, files={"/opt/nightmill/a.bundle": file})


def test_nothing_is_guaranteed_and_whoever_requires_something_gets_no_sandbox(place: Place) -> None:
    found = asyncio.run(unwalled().guarantees())

    assert [each.name for each in found] == list(GUARANTEES)
    assert not any(each.held for each in found)
    assert all("no Mac has run" in each.how and each.fix for each in found)
    for name in GUARANTEES:
        with pytest.raises(SandboxError, match=f"requires '{name}'"):
            within(place, nothing, requires=frozenset({name}))
    assert list(place.directory.iterdir()) == []


def refusals() -> dict[str, tuple[Callable[[Place], Place], str]]:
    return {
        "several layers": (lambda place: replace(place, layers=place.layers * 2), "several layers"),
        "credentials": (lambda place: replace(place, credentials=("forge",), hosts=("a.example",)), "credentials"),
        "no such snapshot": (lambda place: replace(place, snapshot="0123456789abcdef"), "not there"),
        "a snapshot elsewhere": (lambda place: replace(place, snapshot="../../run"), "not there"),
    }


@pytest.mark.parametrize("case", refusals())
def test_what_cannot_be_given_is_refused_before_anything_starts(place: Place, case: str) -> None:
    change, why = refusals()[case]

    with pytest.raises(SandboxError, match=why):
        within(change(place), nothing)
    assert not (place.directory / "box").exists()
    within(place, nothing)


def test_a_wall_that_refuses_is_an_error_that_says_what_it_said(place: Place) -> None:
    refusing = Programs(wall=("/bin/sh", "-c", "echo profile: not today >&2; exit 65"), clone=UNWALLED.clone)

    with pytest.raises(SandboxError, match="profile: not today"):
        within(place, nothing, sandboxes=MacSandboxes(programs=refusing))
    with pytest.raises(SandboxError, match="'/no/such' cannot be started"):
        within(place, nothing, sandboxes=MacSandboxes(programs=replace(refusing, wall=("/no/such",))))


async def nothing(desk: Desk) -> None:
    """Open and close."""
