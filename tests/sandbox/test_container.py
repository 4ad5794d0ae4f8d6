"""Sandboxes in containers, made by a real podman and a real docker: the same runner, layers, packs and proxy as with bubblewrap."""

from __future__ import annotations

import asyncio
import io
import os
import select
import subprocess
import sys
import tarfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Command, Place
from nightmill.sandbox.backends.container import ContainerSandboxes, _name
from nightmill.sandbox.backends.engine import Engine, Traits
from nightmill.sandbox.backends.shape import Bounds, arguments, overlay
from nightmill.sandbox.network.reach import Network
from nightmill.sandbox.owner import give, owner
from nightmill.sandbox.program import interpreter
from tests.sandbox.box import Box, Within
from tests.sandbox.engines import RUNTIMES, containers, ordinary, working

HOST = """
import asyncio, os, sys
from pathlib import Path
from nightmill.sandbox import Command, Place
from nightmill.sandbox.backends.container import ContainerSandboxes
from nightmill.sandbox.backends.engine import Engine

async def main():
    place = Place(directory=Path(sys.argv[1]), layers=())
    engine = Engine(program=sys.argv[3], environment=os.environ, runtime=sys.argv[2])
    sandbox = await ContainerSandboxes(engine).open(place)
    await sandbox.run(Command(argv=("bash", "-c", "setsid sleep 987655 & echo one > repo.txt"), cwd="/work"))
    print(sandbox.processes.init_pid, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""

STATUS = "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\n\\t '"


Make = Callable[..., ContainerSandboxes]


@pytest.fixture(params=RUNTIMES)
def program(request: pytest.FixtureRequest) -> str:
    """An engine that works here."""
    working(request.param)
    return str(request.param)


@pytest.fixture
def make(program: str) -> Make:
    """Sandboxes of that engine."""
    return partial(containers, program)


def known(program: str, place: Place) -> set[str]:
    """What the engine knows of the sandbox of *place*; others make containers, too."""
    return {kind for kind in ("containers", "volumes") if _name(place.directory) in names(program, kind)}


def names(program: str, kind: str) -> list[str]:
    """What the engine knows of."""
    words = {"containers": ["ps", "--all", "--format", "{{.Names}}"], "volumes": ["volume", "ls", "--quiet"]}
    return subprocess.run([program, *words[kind]], capture_output=True, text=True, check=True).stdout.split()


def test_commands_run_as_the_same_user_without_any_privilege_and_without_network(make: Make, within: Within) -> None:
    async def scenario(box: Box) -> None:
        ran = await box.sh(
            f"id -u; {STATUS}; echo; ls -A /sys/fs/cgroup; cut -d: -f1 -s /proc/net/dev | tr -d ' '; touch /proof; unshare --user true"
        )

        assert ran.text.splitlines()[:3] == [
            str(who.user if (who := owner()) else os.getuid()),
            "CapEff:0000000000000000CapBnd:0000000000000000NoNewPrivs:1Seccomp:2",
            "lo",
        ]
        assert "Read-only file system" in ran.text
        assert "Operation not permitted" in ran.text

    within(scenario, sandboxes=make())


def test_a_snapshot_of_a_live_container_comes_back_over_several_layers(
    make: Make, within: Within, place: Place, tmp_path: Path
) -> None:
    above = tmp_path / "above"
    (above / "repo").mkdir(parents=True)
    (above / "repo" / "kept.txt").write_text("from above\n")
    give(above, owner())
    layers = (*place.layers, above)

    async def first(box: Box) -> str:
        assert (await box.sh("cat repo/kept.txt")).text == "from above\n"
        await box.sh("rm -r repo/gone; echo new > repo/new.txt")
        began = asyncio.Event()
        busy = Command(argv=("bash", "-c", "echo; while :; do echo x > busy; rm busy; done"), cwd="/work/repo")
        running = asyncio.create_task(box.sandbox.run(busy, output=lambda _: began.set()))
        await began.wait()
        try:
            return await box.sandbox.snapshot()
        finally:
            running.cancel()
            await asyncio.wait({running})

    snapshot = within(first, sandboxes=make(), layers=layers)

    async def second(box: Box) -> None:
        ran = await box.sh("rm -f repo/busy; ls repo; cat repo/new.txt")
        assert ran.text == "kept.txt\nnew.txt\nnew\n"

    within(second, sandboxes=make(), layers=layers, snapshot=snapshot)
    assert within(read_new, layers=layers, snapshot=snapshot) == b"new\n"  # and bubblewrap can go on from there


async def read_new(box: Box) -> bytes:
    return await box.sandbox.read("/work/repo/new.txt", limit=100)


def test_files_of_some_megabytes_pass_both_ways(make: Make, within: Within) -> None:
    body = os.urandom(9 << 20)

    async def scenario(box: Box) -> None:
        await box.sandbox.write("/work/repo/large", body)
        assert await box.sandbox.read("/work/repo/large", limit=len(body)) == body

    within(scenario, sandboxes=make())


def test_a_command_that_takes_too_long_dies_with_all_that_it_started(make: Make, within: Within) -> None:
    async def scenario(box: Box) -> None:
        ran = await box.sh("setsid sleep 987656 & sleep 987656", seconds=0.5)

        assert ran.stopped == "timeout"
        assert (await box.sh("ps -e -o args | grep -c '^sleep 987656'")).text == "0\n"

    within(scenario, sandboxes=make())


def test_a_closed_container_leaves_nothing_with_the_engine(
    make: Make, within: Within, place: Place, program: str
) -> None:
    async def scenario(box: Box) -> tuple[int, set[str]]:
        await box.sh("setsid sleep 987657 & echo")
        return os.pidfd_open(box.sandbox.processes.init_pid), known(program, place)  # type: ignore[union-attr]

    init, during = within(scenario, sandboxes=make())

    assert during == {"containers", "volumes"}
    assert select.select([init], [], [], 0)[0]
    os.close(init)
    assert not known(program, place)
    assert str(place.directory) not in Path("/proc/self/mountinfo").read_text()


def test_killing_the_worker_ends_its_container_and_the_run_can_go_on(
    make: Make, within: Within, place: Place, program: str
) -> None:
    command = [sys.executable, "-c", HOST, str(place.directory), working(program).runtime, program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        init = os.pidfd_open(int(host.stdout.readline()))
        host.kill()

    assert select.select([init], [], [], 60)[0]
    os.close(init)
    within(nothing, sandboxes=make())
    assert not known(program, place)


async def nothing(_: Box) -> None:
    return


def test_the_allowed_hosts_are_reached_through_the_proxy_and_no_other_way(
    make: Make, within: Within, tmp_path: Path
) -> None:
    asked: list[tuple[str, bool]] = []
    network = Network(on_request=lambda _run, request: asked.append((request.host, request.allowed)))

    async def scenario(box: Box) -> str:
        fetch = "curl --silent --max-time 5 --output /dev/null --write-out '%{http_code} ' http://"
        return (await box.sh(f"{fetch}denied.invalid/; curl --noproxy '*' --max-time 5 http://1.1.1.1/; echo $?")).text

    said = within(scenario, sandboxes=make(network=network), hosts=("allowed.invalid",))

    assert said.split()[0] == "403"
    assert said.split()[-1] == "7"  # curl: cannot connect
    assert asked == [("denied.invalid", False)]


def test_tools_and_files_are_shown_and_cannot_be_changed(make: Make, within: Within, tmp_path: Path) -> None:
    tool, file = tmp_path / "tool", tmp_path / "file"
    tool.write_text("#!/bin/sh\necho worked\n")
    tool.chmod(0o755)
    file.write_text("shown\n")

    async def scenario(box: Box) -> None:
        ran = await box.sh("tool; cat /mnt/it; echo x > /mnt/it; echo x > /opt/nightmill/bin/tool")

        assert ran.text.startswith("worked\nshown\n")
        assert ran.text.count("Read-only file system") == 2

    within(scenario, sandboxes=make(), tools={"tool": tool}, files={"/mnt/it": file})


def test_an_image_by_name_is_what_a_command_sees(make: Make, within: Within, image: str) -> None:
    async def scenario(box: Box) -> None:
        assert (await box.sandbox.run(Command(argv=("cat", "/etc/made-by"), cwd="/work"))).text == "the test\n"
        await box.sandbox.write("/work/repo/x", b"x")
        await box.sandbox.snapshot()

    within(scenario, sandboxes=make(image=image))


def test_podman_is_kept_from_giving_the_runs_files_to_an_images_user(within: Within) -> None:
    make_image("podman", "localhost/nightmill-test:work", "work")

    with pytest.raises(SandboxError, match="has a folder /work of its own"):
        within(nothing, sandboxes=containers("podman", image="localhost/nightmill-test:work"))

    within(nothing, sandboxes=containers("podman"))  # and what it was tried on is as good as before


def test_a_container_is_forked_rolled_back_and_destroyed_as_any_sandbox(
    make: Make, within: Within, place: Place, tmp_path: Path
) -> None:
    sandboxes = make(shelf=tmp_path / "shelf")
    child = tmp_path / "child"

    async def parent(box: Box) -> str:
        await box.sh("echo one > repo/turn")
        first = await box.sandbox.snapshot()
        await box.sh("echo two > repo/turn; rm repo/kept.txt")
        second = await box.sandbox.snapshot()
        await box.sandbox.roll_back(first)
        assert (await box.sh("cat repo/turn; ls repo")).text == "one\ngone\nkept.txt\nturn\n"
        return await sandboxes.fork(source=place.directory, snapshot=second, directory=child)

    async def forked(box: Box) -> None:
        assert (await box.sh("cat repo/turn; ls repo")).text == "two\ngone\nturn\n"

    snapshot = within(parent, sandboxes=sandboxes)
    within(forked, sandboxes=sandboxes, directory=child, snapshot=snapshot)
    asyncio.run(sandboxes.destroy(child))
    assert not child.exists()


def test_an_image_that_is_not_there_is_not_downloaded(make: Make, within: Within, program: str) -> None:
    with pytest.raises(SandboxError, match="is not on this machine") as refused:
        within(nothing, sandboxes=make(image="localhost/nightmill-absent:1"))

    assert f"{program} pull localhost/nightmill-absent:1" in refused.value.hint


def test_an_engine_that_is_not_there_is_told_with_what_to_do(within: Within) -> None:
    with pytest.raises(SandboxError, match="cannot be started") as refused:
        within(nothing, sandboxes=ContainerSandboxes(Engine(program="/nonexistent/podman", environment={})))

    assert "install" in refused.value.hint


@pytest.mark.parametrize("character", [",", ":", '"', "\n"])
def test_a_path_that_would_become_an_option_is_refused(tmp_path: Path, character: str) -> None:
    layer = tmp_path / f"a{character}upperdir=b"

    with pytest.raises(SandboxError, match="cannot be shown in a container"):
        overlay(Place(directory=tmp_path, layers=(layer,)))


@pytest.mark.parametrize("program", ["podman", "docker"])
@pytest.mark.parametrize("rootless", ["rootless", ""])
def test_no_container_gets_a_privilege_a_network_or_the_hosts_environment(
    tmp_path: Path, program: str, rootless: str
) -> None:
    (tmp_path / "box" / "etc").mkdir(parents=True)
    engine = Engine(program=program, environment={}, runtime="runsc")
    traits = Traits(version="1", rootless=bool(rootless), limits=True)
    place = Place(directory=tmp_path, layers=(), env={"SECRET": "1"})

    words = arguments(place, name="n", engine=engine, traits=traits, bounds=Bounds(), image="", owner=None)

    text = " ".join(engine.command(*words))
    for wanted in (
        "--network none",
        "--cap-drop all",
        "--security-opt no-new-privileges",
        "--read-only",
        "--pull never",
        "--log-driver none",
        "--runtime runsc",
        f"--memory {8 << 30} --memory-swap {8 << 30}",
        "--pids-limit 4096",
    ):
        assert f" {wanted} " in f" {text} "
    for never in ("--privileged", "--cap-add", "--device", "seccomp=", "--env", "-e ", "SECRET", "host "):
        assert never not in text
    assert [word for word in words if word.startswith("type=bind") and not word.endswith(",readonly")] == []


def test_all_of_this_holds_for_an_ordinary_user() -> None:
    """Root's podman and a user's differ in nearly everything: user namespaces, storage, who mounts."""
    working("podman")
    with ordinary() as (home, become):
        here = Path(__file__).parents[2]
        words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={here}", "--basetemp", str(home / "t")]
        ran = subprocess.run(
            [sys.executable, *words, __file__, "-rs"], capture_output=True, text=True, check=False, **become
        )

        assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
        assert (
            ran.stdout.partition("%")[0].count(".") > 15
        )  # or all was skipped, because no engine gives that user anything


@pytest.fixture
def image(program: str) -> str:
    """A small image with a Python of its own, made of the host's /usr: no registry is asked."""
    make_image(program, "localhost/nightmill-test:1")
    return "localhost/nightmill-test:1"


@cache
def make_image(program: str, name: str, *folders: str) -> None:
    """Give the engine *program* the image *name*."""
    working(program)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path in python_files():
            archive.add(path, recursive=False)
        for link in ("bin", "lib", "lib64"):
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, f"usr/{link}"
            archive.addfile(entry)
        for folder in folders:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        body = b"the test\n"
        entry = tarfile.TarInfo("etc/made-by")
        entry.size = len(body)
        archive.addfile(entry, io.BytesIO(body))
    subprocess.run([program, "import", "-", name], input=out.getvalue(), capture_output=True, check=True)


def python_files() -> list[str]:
    """Files of a Python and a `cat` that run without the rest of the host."""
    if interpreter().prefix:
        pytest.skip("no /usr/bin/python3 here to make an image of")
    programs = [os.path.realpath("/usr/bin/python3"), "/usr/bin/python3", "/usr/bin/cat"]
    asked = [programs[0], "-I", "-S", "-c", "import os; print(os.path.dirname(os.__file__))"]
    library = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    kept = [
        str(each)
        for each in library.rglob("*")
        if each.suffix in {".py", ".so"} and not {"test", "dist-packages"} & set(each.parts)
    ]
    found = [*programs, *kept]
    for each in [*programs, *(path for path in kept if path.endswith(".so"))]:
        said = subprocess.run(["ldd", each], capture_output=True, text=True, check=False).stdout
        found += [word for line in said.splitlines() for word in line.split() if word.startswith("/")]
    found = [
        str(Path(path).parent.resolve() / Path(path).name) for path in found
    ]  # links themselves, not through links
    return list(dict.fromkeys([*found, *(os.path.realpath(path) for path in found)]))
