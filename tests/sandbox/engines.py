"""Real container engines, where there are some that work, and an ordinary user who may run them."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Place
from nightmill.sandbox.backends.container import ContainerSandboxes
from nightmill.sandbox.backends.engine import Engine
from nightmill.sandbox.disk.layers import remove

RUNTIMES = {"podman": ("", "crun", "runc"), "docker": ("",)}
"""Engines, and what is tried of each until something works."""
ENVIRONMENT = dict(os.environ)  # noqa: TID251 - they are an operator's programs


def working(program: str) -> Engine:
    """The engine *program* with the first runtime that can make a sandbox here; skips the test if none can."""
    found, why = _look(program)
    if found is None:
        pytest.skip(why)
    return found


def containers(program: str, image: str = "", **changes: Any) -> ContainerSandboxes:
    """Sandboxes of the engine *program* here."""
    return ContainerSandboxes(working(program), image=image, **changes)


@cache
def _look(program: str) -> tuple[Engine | None, str]:
    if shutil.which(program) is None:
        return None, f"{program} is not installed"
    why = ""
    for runtime in RUNTIMES[program]:
        directory = Path(tempfile.mkdtemp(prefix="engine-"))
        engine = Engine(program=program, environment=ENVIRONMENT, runtime=runtime)
        try:
            asyncio.run(_try(engine, directory))
        except SandboxError as error:
            why = f"{program} gives no sandbox here: {error.message}"
        else:
            return engine, ""
        finally:
            remove(directory)
    return None, why


async def _try(engine: Engine, directory: Path) -> None:
    await (await ContainerSandboxes(engine).open(Place(directory=directory, layers=()))).close()


@contextmanager
def ordinary() -> Iterator[tuple[Path, dict[str, Any]]]:
    """A home of a user that is not root and has sub-ids, and the keywords with which a process becomes that user."""
    user = next(iter(_with_subids()), None)
    if os.geteuid() or user is None:
        pytest.skip("root can become no user here that has sub-ids")
    home = Path(tempfile.mkdtemp(prefix="ordinary-"))
    environment = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), "PATH": ENVIRONMENT["PATH"]}
    environment |= {name: value for name, value in ENVIRONMENT.items() if name == "DOCKER_HOST"}
    become: dict[str, Any] = {
        "user": user.pw_uid,
        "group": user.pw_gid,
        "extra_groups": [],
        "env": environment,
        "cwd": home,
    }
    try:
        (home / "run").mkdir(mode=0o700)
        for path in (home, home / "run"):
            os.chown(path, user.pw_uid, user.pw_gid)
        reads = [sys.executable, "-c", "import nightmill"]
        if subprocess.run(reads, capture_output=True, check=False, **become).returncode:
            pytest.skip("that user cannot read this checkout")
        yield home, become
    finally:
        subprocess.run(["podman", "system", "migrate"], capture_output=True, check=False, **become)  # ends its helper
        remove(home)


def _with_subids() -> list[pwd.struct_passwd]:
    try:
        names = [line.partition(":")[0] for line in Path("/etc/subuid").read_text("utf-8").splitlines()]
    except OSError:
        return []
    return [user for user in pwd.getpwall() if user.pw_name in names and user.pw_uid]
