"""Two sandboxes of one machine, and one sandbox before and after: nothing passes from the one to the other."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from nightmill.sandbox import Command, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.disk.layers import remove
from tests.sandbox.box import Box, Within
from tests.sandbox.conftest import place, within

__all__ = ["place", "within"]  # fixtures

HERE = Path(__file__).parent

OFFER = r"""
import ctypes, os, socket, sys, time
libc = ctypes.CDLL(None)
held = [socket.socket(socket.AF_UNIX), socket.create_server(("0.0.0.0", 4567)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
held[0].bind("\0neighbour"); held[0].listen()
held[2].bind(("0.0.0.0", 4567))
libc.shmget(0x6e6d, 4096, 0o1666)
for path in ("/tmp/secret", "/dev/shm/secret", "/work/home/secret", "/var/tmp/secret"):
    open(path, "w").write("secret")
libc.mq_open(b"/neighbour", 0o102, 0o600, None)
print("ready", flush=True)
time.sleep(600)
"""

TAKE = r"""
import ctypes, os, socket
libc, found = ctypes.CDLL(None), []
def attempt(name, work):
    try:
        work()
        found.append(name)
    except OSError:
        pass
attempt("abstract", lambda: socket.socket(socket.AF_UNIX).connect("\0neighbour"))
for address in ("127.0.0.1", "0.0.0.0"):
    attempt("port " + address, lambda: socket.create_connection((address, 4567), 2))
attempt("memory", lambda: libc.shmget(0x6e6d, 0, 0) < 0 and open("/absent"))
for path in ("/tmp/secret", "/dev/shm/secret", "/work/home/secret", "/var/tmp/secret", "/dev/mqueue/neighbour"):
    attempt(path, lambda: open(path))
attempt("queue", lambda: libc.mq_open(b"/neighbour", 0) < 0 and open("/absent"))
pids = [int(pid) for pid in os.listdir("/proc") if pid.isdigit()]
others = [pid for pid in pids if b"secret" in open(f"/proc/{pid}/cmdline", "rb").read() and pid != os.getpid()]
print(found, others)
"""


@pytest.mark.wall("network", "ipc", "processes", "view")
def test_two_sandboxes_of_one_project_share_a_layer_and_nothing_else(place: Place, tmp_path: Path) -> None:
    async def whole() -> tuple[str, str]:
        ready = asyncio.Event()
        sandboxes = BubblewrapSandboxes()
        (tmp_path / "other").mkdir()
        one = await sandboxes.open(place)
        other = await sandboxes.open(replace(place, directory=tmp_path / "other"))
        offer, take = (Command(argv=("/usr/bin/python3", "-c", text), cwd="/work") for text in (OFFER, TAKE))
        try:
            offering = asyncio.create_task(one.run(offer, output=lambda _: ready.set()))
            await asyncio.wait({offering, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
            assert not offering.done(), offering.result().text
            try:
                return (await other.run(take)).text, (await one.run(take)).text
            finally:
                offering.cancel()
                await asyncio.wait({offering})
        finally:
            await asyncio.gather(one.close(), other.close())

    outside, beside = asyncio.run(whole())

    assert outside == "[] []\n"
    assert beside.count("'") >= 14, f"in the same sandbox all of it is there: {beside}"


@pytest.mark.wall("packs", "empty")
def test_secrets_of_an_earlier_environment_are_in_no_snapshot(within: Within, place: Place) -> None:
    """They were in processes that have ended, or that are stopped while the upper is kept: memory is not."""
    secret = "canary" + os.urandom(8).hex()

    async def before(box: Box) -> str:
        asked = Command(argv=("bash", "-c", "echo $TOKEN $INPUT | wc -c; cat | wc -c; (sleep 600 &)"), cwd="/work")
        ran = await box.sandbox.run(replace(asked, env={"INPUT": secret}, stdin=secret.encode()))
        assert ran.text.split() == [str(2 * len(secret) + 2), str(len(secret))]
        serving = asyncio.create_task(box.sh(f"exec -a {secret} sleep 600"))
        kept = await box.sandbox.snapshot()
        serving.cancel()
        await asyncio.wait({serving})
        return kept

    async def after(box: Box) -> str:
        return (
            await box.sh("env; cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'; grep -r canary /work /tmp")
        ).text

    kept = within(before, env={"TOKEN": secret})
    for pack in (place.directory / "packs").iterdir():
        assert secret.encode() not in pack.read_bytes()
    assert secret not in within(after, snapshot=kept)


@pytest.mark.parametrize("walls", ["", "order"])
@pytest.mark.wall("order", without="order")
def test_a_link_left_in_a_snapshot_makes_a_later_start_plant_nothing_on_the_host(walls: str) -> None:
    """CVE-2026-87766: bubblewrap before 0.12 follows it when it makes a mount's destination below."""
    user = 65534 if os.geteuid() == 0 else os.geteuid()  # what root starts sees no host below /oldroot at all
    home, here = Path(tempfile.mkdtemp(prefix="plant-")), Path(tempfile.mkdtemp(prefix="planting-"))
    try:
        os.chown(home, user, -1)
        here.chmod(0o755)
        for name in ("plant.py", "weak.py"):
            shutil.copy(HERE / name, here)
        command = [sys.executable, str(here / "plant.py"), str(home), *filter(None, [walls])]
        try:
            ran = subprocess.run(command, user=user, cwd="/", env={}, capture_output=True, text=True, check=False)
        except PermissionError:
            pytest.skip("the unprivileged user cannot start this Python")
        if ran.returncode and "No module named 'nightmill'" in ran.stderr:
            pytest.skip("the unprivileged user cannot read this checkout")
        if walls and "symlink" in ran.stderr:
            pytest.skip("this bubblewrap refuses such a destination itself")
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout)["victim"] == (["planted"] if walls else [])
    finally:
        remove(home)
        shutil.rmtree(here)
