"""The macOS backend on Linux, without any wall (see `unwalled`): what it does with commands and their ends."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Command, Limits, Place, Service
from tests.sandbox.unwalled import Desk, given, lives, until, unwalled, within, written
from tests.whole import wait_for

HOST = """
import asyncio, sys
from pathlib import Path
from nightmill.sandbox import Command, Place
from tests.sandbox.unwalled import unwalled

async def main():
    sandbox = await unwalled().open(Place(directory=Path(sys.argv[1]), layers=()))
    await sandbox.run(Command(argv=("bash", "-c", "echo $PPID; sleep 1000 & echo $! > pids; sleep 1000"), cwd="/work"))

asyncio.run(main())
"""

POORER = """
import asyncio, importlib, pkgutil, sys
import tests.sandbox.poorer
import nightmill
for module in pkgutil.walk_packages(nightmill.__path__, "nightmill."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from pathlib import Path
from nightmill.sandbox import Command, Place, Service
from nightmill.sandbox.backends.mac import MacSandboxes
from nightmill.sandbox.backends.seatbelt import Programs

async def main():
    wall = (sys.executable, "-I", "-S", tests.sandbox.poorer.__file__)
    service = Service(name="it", run="touch up; exec sleep 1000", ready="test -e /work/up", cwd="/work")
    place = Place(directory=Path(sys.argv[1]), layers=(), hosts=("a.example",), services=(service,))
    sandbox = await MacSandboxes(programs=Programs(wall=wall, clone=("/bin/cp", "--archive"))).open(place)
    try:
        seen = bytearray()
        command = Command(argv=("sh", "-c", "cat; sleep 1000 & curl -s http://a.example -o /dev/null; exit 5"), cwd="/work", stdin=b"read ")
        ran = await sandbox.run(command)
        terminal = await sandbox.terminal(Command(argv=("stty", "size"), cwd="/"), rows=5, columns=6, output=seen.extend)
        await terminal.ended()
        kept = await sandbox.snapshot()
        await sandbox.write("/work/lost", b"")
        await sandbox.roll_back(kept)
        names = [each.path for each in await sandbox.list("/work", depth=1, limit=9)]
        states = [each.state for each in sandbox.services.states()]
        print(ran.text, ran.exit, seen.decode().strip(), names, states)
    finally:
        await sandbox.close()

asyncio.run(main())
"""

AWAY = """python3 -c '
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("away.tmp", "w").write(str(os.getpid()))
        os.rename("away.tmp", "away")
        time.sleep(1000)
    os._exit(0)
os.wait()
' </dev/null >/dev/null 2>&1; while ! test -e away; do sleep 0.01; done"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return given(tmp_path)


def number(place: Place, name: str) -> int:
    """What a program has written to /work/*name*."""
    return int((place.directory / "upper" / name).read_text())


def test_names_inside_lead_to_the_runs_folder_and_are_told_as_such(place: Place) -> None:
    async def scenario(desk: Desk) -> None:
        ran = await desk.sh(
            "cd /work/repo && pwd && ls /work/home && cat /work/repo/kept.txt; echo $HOME; echo x > /tmp/y"
        )
        assert ran.text == "/work/repo\nkept\n/work/home\n"
        assert (place.directory / "upper" / "home").is_dir()
        assert (desk.sandbox.tmp / "y").read_text() == "x\n"
        assert await desk.sandbox.read("/tmp/y", limit=9) == b"x\n"
        cut = await desk.sh("seq 1 500; pwd; seq 1 500; pwd", output=200)
        assert len(cut.output) <= 200
        assert cut.dropped > 3000
        assert cut.text.startswith("1\n2\n")
        assert cut.text.endswith("500\n/work\n")

    within(place, scenario)


def test_a_limit_ends_a_command_with_all_that_is_in_its_session(place: Place) -> None:
    async def scenario(desk: Desk) -> None:
        late = await desk.sh("set -m; sleep 1000 & echo $! > bg; nohup sleep 1000 & sleep 1000", seconds=1.5)
        assert (late.stopped, late.exit) == ("timeout", -9)
        assert not lives(number(place, "bg"))
        flood = await desk.sh("exec yes", file_size=1 << 20, output=1000)
        assert flood.stopped == "output"
        file = await desk.sh("head -c 3000000 /dev/zero > big", file_size=1 << 20)
        assert file.exit
        assert (place.directory / "upper" / "big").stat().st_size == 1 << 20
        crowd = await desk.sh("for i in $(seq 30); do sleep 1000 & done; wait", processes=10)
        assert crowd.stopped == "processes"
        hold = "import time; x = bytearray(200 << 20); time.sleep(1000)"
        heavy = await desk.sandbox.run(
            Command(argv=("python3", "-c", hold), cwd="/work", limits=Limits(memory=100 << 20))
        )
        assert heavy.stopped == "memory"
        assert (await desk.sh("echo fine")).text == "fine\n"

    within(place, scenario)


def test_what_a_command_leaves_in_its_session_is_ended_with_it(place: Place) -> None:
    async def scenario(desk: Desk) -> None:
        ran = await desk.sh("set -m; nohup sleep 1000 >/dev/null 2>&1 & echo $! > bg; exit 7")
        assert ran.exit == 7
        assert not lives(number(place, "bg"))
        task = asyncio.create_task(desk.sh("echo $$ > main; exec sleep 1000"))
        main = await written(place.directory / "upper" / "main")
        task.cancel()
        await asyncio.wait({task})
        assert not lives(main)
        several = await asyncio.gather(*(desk.sh(f"cat; echo {each}") for each in range(5)))
        assert [each.text for each in several] == [f"{each}\n" for each in range(5)]

    within(place, scenario)


def test_a_command_reads_what_it_is_given(place: Place) -> None:
    async def scenario(desk: Desk) -> None:
        body = os.urandom(3 << 20)
        ran = await desk.sandbox.run(Command(argv=("sh", "-c", "ls -A /tmp; sha256sum"), cwd="/work", stdin=body))
        assert ran.text.split()[0] == hashlib.sha256(body).hexdigest()

    within(place, scenario)


def test_a_terminal_works_and_its_end_leaves_nothing(place: Place) -> None:
    async def scenario(desk: Desk) -> None:
        shown = bytearray()
        argv = ("bash", "--norc", "-i")
        command = Command(argv=argv, cwd="/work/repo", env={"TERM": "dumb"})
        terminal = await desk.sandbox.terminal(command, rows=24, columns=90, output=shown.extend)
        terminal.type(b"stty size; tty -s && echo ter''minal; sleep 1000 & echo $! > bg; echo do''ne\n")
        await until(lambda: b"done" in shown)
        assert b"24 90" in shown
        assert b"terminal" in shown
        terminal.end()
        assert (await terminal.ended()).stopped == "cancelled"
        assert not lives(number(place, "repo/bg"))

    within(place, scenario)


def test_closing_ends_commands_and_services(place: Place) -> None:
    service = Service(name="it", run="echo $$ > it; exec sleep 1000", cwd="/work")

    async def scenario(desk: Desk) -> None:
        running = asyncio.create_task(desk.sh("echo $$ > main; exec sleep 1000"))
        begun = [await written(place.directory / "upper" / name) for name in ("main", "it")]
        assert all(map(lives, begun))
        await desk.sandbox.close()
        assert not any(map(lives, begun))
        with pytest.raises(SandboxError):
            await running

    within(place, scenario, services=(service,))


def test_what_has_hardly_begun_is_ended_too(place: Place) -> None:
    async def scenario(desk: Desk) -> None:
        begun = [asyncio.create_task(desk.sh("exec sleep 1000")) for _ in range(5)]
        await asyncio.sleep(0)
        await desk.sandbox.close()
        for ended in await asyncio.gather(*begun, return_exceptions=True):
            assert isinstance(ended, SandboxError)

    for _ in range(5):
        within(place, scenario)
        wait_for("the end of all", lambda: not holders(place))


def test_a_command_that_stops_its_keeper_is_ended_all_the_same(place: Place) -> None:
    async def scenario(desk: Desk) -> None:
        ran = await desk.sh("echo $$ > main; kill -STOP $PPID; sleep 1000", seconds=1.5)
        assert ran.stopped == "timeout"
        assert not lives(number(place, "main"))
        assert (await desk.sh("echo fine")).text == "fine\n"

    within(place, scenario)


def test_what_gets_away_is_seen_and_keeps_the_folder_until_it_has_ended(place: Place) -> None:
    async def scenario(desk: Desk) -> None:
        assert not (await desk.sh(AWAY)).exit

    within(place, scenario)
    away = number(place, "away")
    try:
        assert lives(away)
        for refused in (lambda: within(place, scenario), lambda: asyncio.run(unwalled().destroy(place.directory))):
            with pytest.raises(SandboxError, match="still runs") as caught:
                refused()
            assert "lsof" in caught.value.hint
        assert place.directory.exists()
    finally:
        os.kill(away, signal.SIGKILL)

    async def again(desk: Desk) -> None:
        assert (await desk.sh("ls repo")).text == "gone\nkept.txt\n"

    within(place, again)
    asyncio.run(unwalled().destroy(place.directory))
    assert not place.directory.exists()


def test_a_command_that_kills_the_runner_ends_the_sandbox_and_nothing_else(place: Place) -> None:
    async def scenario(desk: Desk) -> None:
        runner = desk.sandbox.processes.process.pid  # type: ignore[union-attr]
        with pytest.raises(SandboxError, match="ended"):
            await desk.sh(f"kill -9 {runner}; sleep 1000")
        with pytest.raises(SandboxError):
            await desk.sh("true")

    within(place, scenario)
    with pytest.raises(SandboxError, match="still runs"):  # its session is known to nobody now
        within(place, nothing)
    for each in holders(place):
        os.kill(each, signal.SIGKILL)

    async def again(desk: Desk) -> None:
        assert not (await desk.sh("true")).exit

    within(place, again)


def holders(place: Place) -> set[int]:
    """Who has the lifeline of *place* open, as `lsof` would say."""
    found = set()
    for each in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if each.readlink() == place.directory / "alive":
                found.add(int(each.parts[2]))
    return found


def test_the_death_of_the_worker_ends_the_sandbox(place: Place) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", HOST, str(place.directory)], cwd=root) as host:
        pids = place.directory / "upper" / "pids"
        end = time.monotonic() + 60
        while not (pids.exists() and pids.read_text().strip()):
            assert time.monotonic() < end
            time.sleep(0.01)
        host.kill()

    async def scenario(desk: Desk) -> None:
        assert not (await desk.sh("true")).exit

    left = int(pids.read_text())
    within(place, scenario)  # waits until all have ended
    assert not lives(left)


def test_nothing_is_needed_that_only_linuxs_python_has(place: Place) -> None:
    words = [sys.executable, "-c", POORER, str(place.directory)]
    ran = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=False)

    wanted = "read  5 5 6 ['/work/.nightmill-place', '/work/home', '/work/up'] ['ready']\n"
    assert (ran.stdout, ran.stderr, ran.returncode) == (wanted, "", 0)


async def nothing(desk: Desk) -> None:
    """Open and close."""
