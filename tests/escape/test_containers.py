"""The attacks of `inside`, made from containers: of whoever runs the tests, and of an ordinary user."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nightmill.sandbox.disk.layers import remove
from scripts.attacks import Attack
from tests.escape.test_inside import HERE, INSIDE, key
from tests.sandbox.engines import ENVIRONMENT, RUNTIMES, ordinary, working

ALLOWED: dict[str, list[Any]] = {
    "devices_are_only_the_harmless_ones": ["", ["mqueue"]],  # queues of an IPC namespace of its own
    "the_mount_table_holds_no_name_but_those_of_what_is_mounted": ["", ["/sys", "/sys/fs/cgroup"]],  # both empty
    "identities_cannot_be_mapped_anew": ["", "login: 1"],  # noted by the audit system: an id of the user's own range
}
"""What attacks reach that is known, and nothing to anybody."""

DOCKERS: dict[str, list[Any]] = {
    # docker has no option that covers them; a trigger costs the kernel a little time, and tells how busy the host is
    "nothing_in_proc_that_is_the_kernels_can_be_written": [
        [f"/proc/pressure/{name}" for name in ("cpu", "io", "memory")]
    ]
}


@cache
def made(program: str, who: str) -> dict[str, Any]:
    """What all attacks reached, made once."""
    runtime = working(program).runtime
    here = Path(tempfile.mkdtemp(prefix="attacks-"))
    try:
        here.chmod(0o755)
        shutil.copytree(HERE / "inside", here / "inside")
        for name in ("drive.py", "host.py"):
            shutil.copy(HERE / name, here)
        command = [sys.executable, str(here / "drive.py"), "{home}", str(here / "inside"), f"{program}={runtime}"]
        if who == "ordinary":
            with ordinary() as (home, become):
                return _attacked(command, home / "escape", become)
        home = Path(tempfile.mkdtemp(prefix="escape-"))
        try:
            return _attacked(command, home / "escape", {"env": ENVIRONMENT, "cwd": "/"})
        finally:
            remove(home)
    finally:
        shutil.rmtree(here)


def _attacked(command: list[str], home: Path, become: dict[str, Any]) -> dict[str, Any]:
    words = [word.format(home=home) for word in command]
    ran = subprocess.run(words, capture_output=True, text=True, check=False, **become)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("who", ["caller", "ordinary"])
@pytest.mark.parametrize("program", RUNTIMES)
@pytest.mark.parametrize("each", INSIDE, ids=key)
def test_it_fails_in_a_container_and(program: str, who: str, each: Attack) -> None:
    found = made(program, who)["found"][Path(each.file).stem][each.name]

    allowed = ALLOWED.get(each.name, [""]) + DOCKERS.get(each.name, []) * (program == "docker")
    assert (sorted(ast.literal_eval(found)) if found.startswith("[") else found) in allowed


@pytest.mark.parametrize("who", ["caller", "ordinary"])
@pytest.mark.parametrize("program", RUNTIMES)
def test_the_host_is_as_it_was_after_containers(program: str, who: str) -> None:
    found = made(program, who)

    assert {file: changes for file, changes in found["changed"].items() if changes} == {}
    assert found["canary"] == "canary: not for you"
