"""Attacks from inside a sandbox, made for real by a nightmill that root started and by one that nobody in particular did.

The attacks are the functions in `inside`; each of their names is a sentence, and each is a test here. Those that
name walls without which they get through are made again with those walls taken down, and must then succeed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nightmill.sandbox.disk.layers import remove
from scripts.attacks import WALLS, Attack, attacks

HERE = Path(__file__).parent
USERS = {"root": 0, "unprivileged": 65534}
ALL = list(attacks())
INSIDE = [each for each in ALL if each.inside]
PROVEN = [each for each in INSIDE if each.without]


def key(each: Attack) -> str:
    """The file and the name, as the driver takes them."""
    return f"{Path(each.file).stem}.{each.name}"


@cache
def made(user: str, walls: str = "", *names: str) -> dict[str, Any]:
    """What all attacks reached, or with *walls* taken down those of *names*; made once."""
    number = USERS[user] if os.geteuid() == 0 else os.geteuid()
    if user == "root" and os.geteuid():
        pytest.skip("only root can start it as root")
    home, here = Path(tempfile.mkdtemp(prefix="escape-")), Path(tempfile.mkdtemp(prefix="attacks-"))
    try:
        os.chown(home, number, -1)
        here.chmod(0o755)
        shutil.copytree(HERE / "inside", here / "inside")
        for program in ("drive.py", "host.py", "weak.py"):
            shutil.copy(HERE / program, here)
        command = [sys.executable, str(here / "drive.py"), str(home), str(here / "inside"), walls, *names]
        try:
            ran = subprocess.run(command, user=number, cwd="/", env={}, capture_output=True, text=True, check=False)
        except PermissionError:
            pytest.skip("the unprivileged user cannot start this Python")
        if ran.returncode and "No module named 'nightmill'" in ran.stderr:
            pytest.skip("the unprivileged user cannot read this checkout")
        assert ran.returncode == 0, ran.stderr
        found: dict[str, Any] = json.loads(ran.stdout)
        assert found["user"] == number
        return found
    finally:
        remove(home)
        shutil.rmtree(here)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("each", INSIDE, ids=key)
def test_it_fails_and(user: str, each: Attack) -> None:
    assert made(user)["found"][Path(each.file).stem][each.name] == ""


@pytest.mark.parametrize("user", USERS)
def test_the_host_is_as_it_was(user: str) -> None:
    found = made(user)

    assert {file: changes for file, changes in found["changed"].items() if changes} == {}
    assert found["canary"] == "canary: not for you"
    assert found["home"] == sorted({"canary", "layer"} | {Path(each.file).stem for each in INSIDE})


@pytest.mark.parametrize("each", PROVEN, ids=key)
def test_without_its_walls_it_gets_through(each: Attack) -> None:
    walls = ",".join(each.without)
    alike = [key(other) for other in PROVEN if other.without == each.without]

    found = made("unprivileged", walls, *alike)["found"][Path(each.file).stem][each.name]

    assert found
    assert not found.startswith("broken"), found


def test_walls_are_known_by_their_names() -> None:
    named = {wall for each in ALL for wall in each.walls + each.without}

    assert named <= WALLS.keys()
    assert all(set(each.without) <= set(each.walls) for each in ALL), "what stops it is what it gets through without"
