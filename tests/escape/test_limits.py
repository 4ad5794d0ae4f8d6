"""Attacks on the machine's memory, processes and disk, from inside: started by root, and by others with and without groups."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nightmill.sandbox.cgroup import find
from nightmill.sandbox.disk.layers import remove
from tests.escape.exhaust import FILLS, PROGRAMS

pytestmark = pytest.mark.wall("limits")

HERE = Path(__file__).parent
NOBODY = 65534

USERS = ("root", "unprivileged, in groups of its own", "unprivileged, without groups")

UNCOUNTED = {"a_memfd", "shared_memory", "files_in_tmp", "a_system_v_segment", "a_pipe_full_of_pages"}
"""What is in no process's own pages: without groups only the sizes of /tmp and /dev/shm bound it."""


@contextmanager
def delegated() -> Iterator[list[str]]:
    """Groups that belong to an unprivileged user."""
    if not find().memory:
        pytest.skip("no groups that could be given away")
    with ExitStack() as stack:
        made = []
        for folder in find().folders:
            group = folder / f"attacked-{os.getpid()}"  # by another name, neighbours would sweep it while it is empty
            group.mkdir()
            stack.callback(group.rmdir)
            os.chown(group, NOBODY, NOBODY)
            os.chown(group / "cgroup.procs", NOBODY, NOBODY)
            if find().version == 2:
                os.chown(group / "cgroup.subtree_control", NOBODY, NOBODY)
                stack.callback(aside, group / "nightmill")
            made.append(str(group))
        yield made


def aside(group: Path) -> None:
    """Remove the *group* into which a nightmill stepped aside."""
    with suppress(FileNotFoundError):
        group.rmdir()


@cache
def made(who: str) -> dict[str, Any]:
    """How all attacks ended, made once."""
    user = 0 if who == "root" else NOBODY if os.geteuid() == 0 else os.geteuid()
    if os.geteuid() and who != USERS[-1]:
        pytest.skip("only root can start it so")
    home, here = Path(tempfile.mkdtemp(prefix="escape-")), Path(tempfile.mkdtemp(prefix="attacks-"))
    try:
        os.chown(home, user, -1)
        here.chmod(0o755)
        shutil.copy(HERE / "exhaust.py", here)
        with delegated() if who == USERS[1] else nullcontext([]) as groups:
            words = [sys.executable, str(here / "exhaust.py"), str(home), str(user), *groups]
            ran = subprocess.run(words, cwd="/", env={}, capture_output=True, text=True, check=False)
        if "No module named 'nightmill'" in ran.stderr or "Permission denied" in ran.stderr:
            pytest.skip("the unprivileged user cannot read this checkout")
        assert ran.returncode == 0, ran.stderr
        found: dict[str, Any] = json.loads(ran.stdout)
        assert found["user"] == user
        if who == "root" and not found["groups"]:
            pytest.skip("this root has no control groups")
        return found
    finally:
        remove(home)
        shutil.rmtree(here)


@pytest.mark.parametrize("who", USERS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_more_memory_than_allowed_is_not_had_by(who: str, name: str) -> None:
    found = made(who)
    if not found["groups"] and name in UNCOUNTED:
        pytest.skip("without groups these pages are not counted")

    assert "got it" not in found[name]["text"]
    if found["groups"] and name != "its_keeper_killed":  # that command is ended for its own sake
        assert found[name]["stopped"] == "memory"


@pytest.mark.parametrize("who", USERS)
@pytest.mark.parametrize("name", FILLS)
def test_more_disk_than_allowed_is_not_kept_by(who: str, name: str) -> None:
    found = made(who)["disk"][name]

    assert "got it" not in found["text"], found
    assert (found["stopped"], found["after"]) == ("disk", "again\n"), found


@pytest.mark.parametrize("who", USERS)
def test_a_bomb_has_no_more_processes_than_allowed(who: str) -> None:
    assert int(made(who)["bomb"]["text"].split()[0]) <= 50


@pytest.mark.parametrize("who", USERS)
def test_the_sandbox_goes_on_and_nothing_is_left(who: str) -> None:
    found = made(who)

    assert found["after"] == "alive\n3\n"  # runner, keeper, bash
    # Of the last command, which goes a moment after its answer, of the one before, and the next one, made ahead.
    assert len(set(found["left"])) <= 3
    assert found["closed"] == []
