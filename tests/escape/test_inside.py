"""Attacks from inside a sandbox, made for real by a nightmill that root started and by one that nobody in particular did.

The attacks are the functions in `inside`; each of their names is a sentence, and each is a test here.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nightmill.sandbox.layers import remove

HERE = Path(__file__).parent
FILES = ("kernel", "files", "network")
USERS = {"root": 0, "unprivileged": 65534}


def attacks(name: str) -> Iterator[str]:
    """Names of the attacks in a file."""
    for node in ast.parse((HERE / "inside" / f"{name}.py").read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            yield node.name


@cache
def made(user: str) -> dict[str, Any]:
    """What all attacks reached, made once."""
    number = USERS[user] if os.geteuid() == 0 else os.geteuid()
    if user == "root" and os.geteuid():
        pytest.skip("only root can start it as root")
    home, here = Path(tempfile.mkdtemp(prefix="escape-")), Path(tempfile.mkdtemp(prefix="attacks-"))
    try:
        os.chown(home, number, -1)
        here.chmod(0o755)
        shutil.copytree(HERE / "inside", here / "inside")
        shutil.copy(HERE / "drive.py", here)
        before = marks()
        command = [sys.executable, str(here / "drive.py"), str(home), str(here / "inside")]
        try:
            ran = subprocess.run(command, user=number, cwd="/", env={}, capture_output=True, text=True, check=False)
        except PermissionError:
            pytest.skip("the unprivileged user cannot start this Python")
        if ran.returncode and "No module named 'nightmill'" in ran.stderr:
            pytest.skip("the unprivileged user cannot read this checkout")
        assert ran.returncode == 0, ran.stderr
        found: dict[str, Any] = json.loads(ran.stdout)
        assert found["user"] == number
        return found | {"before": before, "after": marks()}
    finally:
        remove(home)
        shutil.rmtree(here)


def marks() -> dict[str, str]:
    """What an attack would change on this machine."""
    files = ("/etc/passwd", "/etc/hosts", "/usr/bin/env", "/usr/bin/cat")
    found = {path: str((os.stat(path).st_mtime_ns, os.stat(path).st_mode)) for path in files}  # noqa: PTH116
    settings = ("kernel/hostname", "kernel/core_pattern", "kernel/sysrq", "vm/overcommit_memory", "net/ipv4/ip_forward")
    return found | {name: Path("/proc/sys", name).read_text() for name in settings if Path("/proc/sys", name).exists()}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(("file", "name"), [(file, name) for file in FILES for name in attacks(file)])
def test_it_fails_and(user: str, file: str, name: str) -> None:
    assert made(user)["found"][file][name] == ""


@pytest.mark.parametrize("user", USERS)
def test_the_host_is_as_it_was(user: str) -> None:
    found = made(user)

    assert found["before"] == found["after"]
    wanted = {
        "canary": "canary: not for you",
        "mounts": False,
        "home": ["canary", "files", "kernel", "layer", "network"],
    }
    assert {name: found["host"][name] for name in wanted} == wanted
    assert found["host"]["descriptors"] <= 3  # of asyncio's own
