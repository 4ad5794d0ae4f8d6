"""Root's sandboxes belong to a user who is nobody else, from bubblewrap itself to the last file on disk."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Place
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.doctor import probe
from nightmill.sandbox.owner import SANDBOX_USER, give, owner
from nightmill.settings import Settings
from tests.sandbox.box import Box, Within

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a user to give its sandboxes to")

WITHOUT = """
import ctypes, sys
from pathlib import Path
CAP_SYS_ADMIN, PR_CAPBSET_DROP = 21, 24
if sys.argv[2:] != ["dropped"]:
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0)
    import os
    os.execv(sys.executable, [sys.executable, "-c", sys.argv[1], sys.argv[1], "dropped"])
from nightmill.sandbox.doctor import probe
found = {each.name: each for each in probe(Path("/"))}
print(found["user namespaces"].ok, found["user namespaces"].fix)
"""


@pytest.fixture
def shut() -> Iterator[Path]:
    """A folder that only root can enter."""
    folder = Path(tempfile.mkdtemp(prefix="nightmill-", dir="/root"))
    yield folder
    remove(folder)


@root
def test_all_of_a_sandbox_runs_as_nobody_else_and_in_folders_that_only_root_can_enter(
    within: Within, place: Place, shut: Path
) -> None:
    (shut / "run").mkdir()
    (shut / "tool").write_text("#!/bin/sh\necho shown\n")
    (shut / "tool").chmod(0o755)
    (shut / "layer").mkdir()
    (shut / "layer" / "below").write_text("below\n")
    give(shut / "layer", owner())

    async def scenario(box: Box) -> str:
        processes = box.sandbox.processes
        assert processes is not None
        pids = (processes.process.pid, processes.init_pid)
        assert {who(pid) for pid in pids} == {(SANDBOX_USER, "")}
        ran = await box.sh("echo more >> below; cat below; tool; id -u; stat -c %u below; cat /proc/self/mountinfo")
        assert ran.text.startswith(f"below\nmore\nshown\n{SANDBOX_USER}\n{SANDBOX_USER}\n")
        assert f"{shut}/run" not in ran.text
        assert not [each for each in mounts() if str(shut) in each or " stage " in each]
        return await box.sandbox.snapshot()

    run = {"directory": shut / "run", "layers": (shut / "layer",), "tools": {"tool": shut / "tool"}}
    kept = within(scenario, **run)
    assert (shut / "run" / "upper" / "below").stat().st_uid == SANDBOX_USER
    assert os.geteuid() == (shut / "run" / "packs" / kept).stat().st_uid


@root
def test_what_a_snapshot_brings_back_belongs_to_the_sandboxes_user(within: Within) -> None:
    every = "mkdir d; echo x > d/f; ln d/f d/g; ln -s f d/l; mkfifo d/p; rm -r repo/gone; cp /bin/true s; chmod 4755 s"

    async def make(box: Box) -> str:
        assert not (await box.sh(every)).exit
        return await box.sandbox.snapshot()

    async def look(box: Box) -> str:
        return (await box.sh("find /work -printf '%U\n' | sort -u; stat -c %a s; echo y > d/f; ls repo")).text

    assert within(look, snapshot=within(make)) == f"{SANDBOX_USER}\n4755\nkept.txt\n"


@root
def test_a_layer_of_someone_else_is_refused(within: Within, place: Place, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(SandboxError, match="is of user 0") as caught:
        within(nothing, layers=(*place.layers, tmp_path / "old"))
    assert "built again" in caught.value.hint


@root
def test_a_tool_that_the_user_could_not_read_is_refused(within: Within, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o700)
    with pytest.raises(SandboxError, match="its mode does not let others read it") as caught:
        within(nothing, tools={"tool": tool})
    assert str(tool) in caught.value.hint
    tool.chmod(0o755)
    within(nothing, tools={"tool": tool})


@root
def test_a_root_that_cannot_give_its_sandboxes_away_has_none() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT, WITHOUT], capture_output=True, text=True, check=False)
    assert ran.stdout.startswith("False start nightmill as an ordinary user"), ran.stderr


@root
def test_the_doctor_tells_whose_number_the_sandboxes_user_has(tmp_path: Path) -> None:
    assert {each.name: each for each in probe(tmp_path)}["user of sandboxes"].ok
    taken = {each.name: each for each in probe(tmp_path, user=65534)}["user of sandboxes"]
    assert not taken.ok
    assert "sandbox_user" in taken.fix


def test_links_are_given_and_not_followed(tmp_path: Path) -> None:
    if os.geteuid():
        assert owner() is None
        pytest.skip("only root can give files away")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "ours").write_text("")
    (tmp_path / "theirs" / "link").symlink_to(tmp_path / "ours")
    (tmp_path / "theirs" / "folder").symlink_to(tmp_path)
    give(tmp_path / "theirs", owner())
    assert (tmp_path / "theirs" / "link").lstat().st_uid == SANDBOX_USER
    assert (tmp_path / "ours").stat().st_uid == 0
    assert tmp_path.stat().st_uid == 0
    assert stat.S_ISLNK((tmp_path / "theirs" / "folder").lstat().st_mode)


def test_the_setting_is_the_number() -> None:
    assert Settings().sandbox_user == SANDBOX_USER


def who(pid: int) -> tuple[int, str]:
    """User and further groups of a process."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["Uid"].split()[0]), status["Groups"].strip()


def mounts() -> list[str]:
    """Of this process."""
    return Path("/proc/self/mountinfo").read_text().splitlines()


async def nothing(box: Box) -> None:
    """Open and close."""
