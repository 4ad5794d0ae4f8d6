"""Containers on gVisor's kernel, made by a real podman and a real runsc."""

from __future__ import annotations

import asyncio
import platform
import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Place
from nightmill.sandbox.backends.container import ContainerSandboxes
from nightmill.sandbox.backends.engine import Engine
from nightmill.sandbox.disk.layers import remove
from tests.sandbox.box import Box, Within
from tests.sandbox.engines import ENVIRONMENT


def gvisor() -> ContainerSandboxes:
    """Sandboxes on gVisor; skips the test where there are none."""
    if why := _why_not():
        pytest.skip(why)
    return ContainerSandboxes(Engine(program="podman", environment=ENVIRONMENT, runtime="runsc"))


@cache
def _why_not() -> str:
    if not (shutil.which("podman") and shutil.which("runsc")):
        return "podman or runsc is not installed"
    directory = Path(tempfile.mkdtemp(prefix="gvisor-"))
    sandboxes = ContainerSandboxes(Engine(program="podman", environment=ENVIRONMENT, runtime="runsc"))

    async def tried() -> None:
        await (await sandboxes.open(Place(directory=directory, layers=()))).close()

    try:
        asyncio.run(tried())
    except SandboxError as error:
        return f"podman gives no sandbox on runsc here: {error.message}"
    finally:
        remove(directory)
    return ""


def test_a_command_meets_another_kernel_and_its_work_is_kept(within: Within) -> None:
    sandboxes = gvisor()

    async def first(box: Box) -> str:
        ran = await box.python("import os; print(os.uname().release); open('repo/new', 'w').write('new')")
        assert ran.text != f"{platform.release()}\n"
        assert not ran.exit
        return await box.sandbox.snapshot()

    async def second(box: Box) -> bytes:
        return await box.sandbox.read("/work/repo/new", limit=10)

    assert within(second, sandboxes=sandboxes, snapshot=within(first, sandboxes=sandboxes)) == b"new"


def test_a_snapshot_is_taken_while_a_command_writes(within: Within) -> None:
    async def scenario(box: Box) -> None:
        program = "import os\nprint(flush=True)\nwhile True:\n open('busy', 'w').write('x' * 5000)\n os.remove('busy')"
        running = asyncio.create_task(box.python(program, seconds=60))
        await asyncio.sleep(0)
        kept = await box.sandbox.snapshot()
        running.cancel()
        await asyncio.wait({running})
        assert kept

    within(scenario, sandboxes=gvisor())


def test_it_says_what_it_holds_and_a_run_that_wants_more_is_refused(within: Within) -> None:
    async def scenario(_: Box) -> None:
        return

    held = {each.name: each.held for each in asyncio.run(gvisor().guarantees())}

    assert held["kernel_isolated"]
    assert not held["live_snapshot"]
    within(scenario, sandboxes=gvisor(), requires=frozenset({"kernel_isolated"}))
    with pytest.raises(SandboxError, match="live_snapshot"):
        within(scenario, sandboxes=gvisor(), requires=frozenset({"live_snapshot"}))
