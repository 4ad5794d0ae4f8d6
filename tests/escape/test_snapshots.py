"""Snapshots and layers of hostile trees: nothing of the host gets into them, nothing on the host is touched by them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Command, Limits, Place
from nightmill.sandbox.disk.layers import freeze, remove
from nightmill.sandbox.disk.scan import Below, Seen, record, scan
from nightmill.sandbox.freeze import frozen
from nightmill.sandbox.owner import owner
from tests.sandbox.box import Box, Within
from tests.sandbox.conftest import place, within

__all__ = ["place", "within"]  # fixtures

pytestmark = pytest.mark.wall("packs")

Story = Callable[[Box], Awaitable[str]]

SECRET = "a-secret-of-the-host"

SWAP = """
import os, sys
os.chdir("/work/repo")
os.mkdir("folder"); open("folder/secret", "w").close()
print("ready", flush=True)
while True:
    os.rename("folder", "aside"); os.symlink(sys.argv[1], "folder")
    os.unlink("folder"); os.rename("aside", "folder")
"""

HEADLESS = """
import ctypes, os, sys, threading
def swap():
    exec(sys.stdin.read(), {"__name__": "swap"})
threading.Thread(target=swap).start()
ctypes.CDLL(None).pthread_exit(None)
"""

WAKERS = """
import os, signal, sys
other = os.fork()
if other == 0:
    other = os.getppid()
    exec(sys.stdin.read(), {"__name__": "swap"})
print("ready", flush=True)
while True:
    os.kill(other, signal.SIGCONT)
"""


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of the host with a secret in it."""
    made = tmp_path / "victim"
    made.mkdir()
    (made / "secret").write_text(SECRET)
    return made


def test_a_folder_swapped_for_a_link_while_it_is_scanned_leads_the_scan_nowhere(tmp_path: Path, victim: Path) -> None:
    """Were the agent's last process not stopped: the host would read its own files into the agent's snapshot."""
    upper, nothing = tmp_path / "upper", Seen({}, {}, {})
    (upper / "repo").mkdir(parents=True)
    for number in range(300):  # they are looked at between the folder's being seen and its being opened
        (upper / "repo" / f"file{number}").touch()
    program = SWAP.replace("/work", str(upper))
    with subprocess.Popen([sys.executable, "-c", program, victim], stdout=subprocess.PIPE) as swapping:
        assert swapping.stdout is not None
        swapping.stdout.readline()
        try:
            for number in range(120):
                with contextlib.suppress(OSError, SandboxError):
                    assert stat.S_ISDIR(scan(str(upper), nothing).facts["repo"][0])
                pack = tmp_path / f"pack{number}"
                with contextlib.suppress(OSError, SandboxError):
                    record(top=str(upper), target=str(pack), old=nothing, hot=set(), below=Below())
                assert not pack.exists() or SECRET.encode() not in pack.read_bytes()
        finally:
            swapping.kill()


@pytest.mark.parametrize("trick", ["plain", "headless", "wakers"])
def test_no_process_runs_on_while_a_snapshot_is_taken(within: Within, victim: Path, trick: str) -> None:
    """A thread whose process looks dead, and two processes that wake each other up again."""
    program = {"plain": SWAP, "headless": HEADLESS, "wakers": WAKERS}[trick]

    async def scenario(box: Box) -> None:
        ready = asyncio.Event()
        script = f"exec python3 -c '{program}' {victim}" + ("" if trick == "plain" else f" <<'END'\n{SWAP}\nEND\n")
        command = Command(argv=("bash", "-c", script), cwd="/work", limits=Limits(seconds=60.0))
        running = asyncio.create_task(box.sandbox.run(command, output=lambda _: ready.set()))
        await asyncio.wait_for(ready.wait(), 60)
        assert box.sandbox.processes is not None
        with frozen(box.sandbox.processes.init_pid) as pids:
            assert pids
            assert set("".join(map(states, pids))) <= set("TZ")
        await box.sandbox.snapshot()
        running.cancel()
        await asyncio.wait([running])
        for pack in (box.place.directory / "packs").iterdir():
            assert SECRET.encode() not in pack.read_bytes()

    within(scenario)
    assert [path.name for path in victim.iterdir()] == ["secret"]


def states(pid: int) -> str:
    """The state of each thread of *pid*, a letter each."""
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return "".join(each.read_text().rpartition(")")[2].split()[0] for each in threads)


def test_links_in_a_snapshot_come_back_as_links_and_are_followed_by_nobody_outside(
    within: Within, place: Place, victim: Path
) -> None:
    async def plant(box: Box) -> str:
        await box.sh(
            f"cd repo; ln -s {victim} folder; ln -s {victim}/secret file; ln -s / root; ln -s ../../.. up; mkdir d;"
            f"ln -s {victim} d/e; mkfifo pipe; ln -s /proc/self/environ environ; chmod 000 d"
        )
        return await box.sandbox.snapshot()

    async def look(box: Box) -> str:
        return (await box.sh("cat repo/folder/secret repo/file; readlink repo/folder")).text

    kept = within(plant)
    for pack in (place.directory / "packs").iterdir():
        assert SECRET.encode() not in pack.read_bytes()
    said = within(look, snapshot=kept)
    assert SECRET not in said
    assert said.endswith(f"{victim}\n")
    remove(place.directory / "upper")
    assert (victim / "secret").read_text() == SECRET


@pytest.mark.wall("layers")
@pytest.mark.parametrize("name", ["redirect", "metacopy", "opaque", "whiteout", "upper", "origin"])
def test_marks_of_the_overlay_that_an_agent_forges_show_nothing_of_the_host(
    within: Within, place: Place, victim: Path, tmp_path: Path, name: str
) -> None:
    """In a layer, `user.overlay.redirect` would name another place to read from, were redirects followed."""
    forge = f"""
import os
os.mkdir("/work/repo/forged"); open("/work/repo/forged/secret", "w").close()
for space in ("user.overlay.", "trusted.overlay.", "user.overlay.overlay."):
    for path in ("/work/repo/forged", "/work/repo/forged/secret", "/work/repo", "/work"):
        for value in (b"y", b"{victim}", b"/../../../../../..{victim}", b"/"):
            try:
                os.setxattr(path, space + "{name}", value)
            except OSError:
                pass
"""

    async def plant(box: Box) -> str:
        assert (await box.python(forge)).exit == 0
        return await box.sandbox.snapshot()

    async def look(box: Box) -> str:
        return (await box.sh("grep -r '' repo/forged 2>&1; find /work -name shadow -o -name victim")).text

    kept = within(plant)
    shown = [within(look, snapshot=kept)]
    freeze(place.directory, tmp_path / "bases" / "layer")
    with contextlib.suppress(SandboxError):  # a layer of which the kernel will have nothing is no escape
        shown.append(within(look, layers=(*place.layers, tmp_path / "bases" / "layer")))
    assert not [each for each in shown if SECRET in each or "shadow" in each or "/victim" in each]


def test_a_setuid_file_of_an_agent_is_out_of_other_users_reach(within: Within, place: Place, tmp_path: Path) -> None:
    """It is one of the sandboxes' user, who is nobody else under root, on a disk that honours it."""

    async def plant(box: Box) -> str:
        await box.sh("cp /usr/bin/id repo/id; chmod 6755 repo/id; chmod 777 repo /work")
        return await box.sandbox.snapshot()

    within(plant)
    layer = tmp_path / "bases" / "one" / "layer"
    to = owner()
    assert stat.S_IMODE(place.directory.stat().st_mode) == (0o710 if to else 0o700)
    assert not to or place.directory.stat().st_gid == to.group
    freeze(place.directory, layer)
    assert stat.S_IMODE((layer / "repo" / "id").stat().st_mode) & stat.S_ISUID
    assert (layer / "repo" / "id").stat().st_uid == (to.user if to else os.getuid())
    assert stat.S_IMODE(layer.parent.stat().st_mode) == 0o700


def test_a_snapshot_gives_no_network_back(within: Within, place: Place) -> None:
    async def before(box: Box) -> str:
        await box.sh("cp -r /run/nightmill /work/kept; ln -s /run/nightmill/egress.sock /work/way; env > /work/env")
        assert (await box.sh("test -S /run/nightmill/egress.sock")).exit == 0
        return await box.sandbox.snapshot()

    async def after(box: Box) -> str:
        return (await box.sh("env | grep -ci proxy; ls /run/nightmill; cat /work/way; test -S /work/way; echo $?")).text

    kept = within(before, hosts=("localhost",))
    assert within(after, snapshot=kept).split("\n")[:2] == ["0", "runner.pyc"]
    assert not (place.directory / "net" / "egress.sock").exists()


def test_what_an_agent_calls_like_parts_of_a_pack_stays_its_own(within: Within, place: Place) -> None:
    """Names as a restore would not survive: absolute, climbing, with line ends, not text, very long."""

    async def plant(box: Box) -> str:
        program = r"""
import os
os.chdir("/work/repo")
for name in (b"..\\..\\x", b"a\nb", b"\xff\xfe", b'","mode":0,"x":"', b"x" * 255, b" ", b"-rf", b"~", b"$(id)", b"\x1b[2J"):
    os.mkdir(name); open(name + b"/" + name, "wb").write(name)
"""
        assert (await box.python(program)).exit == 0
        return await box.sandbox.snapshot()

    async def look(box: Box) -> str:
        return (await box.sh("find repo -type f | LC_ALL=C sort | sha256sum; find repo -type f | wc -l")).text

    kept, live = within(lambda box: _both(plant, look, box))
    assert within(look, snapshot=kept) == live
    assert {path.name for path in place.directory.parent.iterdir()} == {"layer", "run"}


async def _both(plant: Story, look: Story, box: Box) -> tuple[str, str]:
    return await plant(box), await look(box)


def test_files_without_end_take_no_memory_of_the_host_without_end(
    within: Within, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty ones take no space on a disk either, so no quota of bytes stops them."""
    monkeypatch.setattr("nightmill.sandbox.disk.scan.MOST", 1_000)

    async def scenario(box: Box) -> None:
        await box.sh("mkdir repo/many; touch repo/many/{1..990}")
        kept = await box.sandbox.snapshot()
        await box.sh("touch repo/many/{991..1010}")
        with pytest.raises(SandboxError, match="more than 1,000"):
            await box.sandbox.snapshot()
        await box.sh("rm -rf repo/many")
        assert await box.sandbox.snapshot() != kept

    within(scenario)
