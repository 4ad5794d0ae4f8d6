"""A real sandbox with pytest in it and a small repository, without network."""

from __future__ import annotations

import asyncio
import importlib.metadata
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nightmill.sandbox import Command, Limits, Place, Workspace
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.owner import give, owner

PACKAGES = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")


@pytest.fixture(scope="session")
def python_layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layer whose /work/env/bin/python has this environment's pytest: what an installation would have made."""
    layer = tmp_path_factory.mktemp("python")
    site = layer / "env/site"
    site.mkdir(parents=True)
    for name in PACKAGES:
        for file in importlib.metadata.files(name) or []:
            if file.suffix != ".pyc" and ".." not in file.parts:
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), site / file)
    subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", str(site)], check=True)  # once, not in each sandbox
    program = layer / "env/bin/python"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nPYTHONPATH=/work/env/site exec /usr/bin/python3 "$@"\n')
    program.chmod(0o755)
    give(layer, owner())
    return layer


class Bench:
    """A sandbox with a repository; `commit` puts files into it and returns the tree."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    async def shell(self, script: str) -> str:
        outcome = await self.workspace.run(
            Command(argv=("bash", "-c", script), cwd="/work", limits=Limits(seconds=60.0))
        )
        assert outcome.exit == 0, outcome.text
        return outcome.text.strip()

    async def commit(self, files: dict[str, str]) -> str:
        await self.shell(
            "mkdir -p repo home && cd repo && git init -q . && git config user.email a@b && git config user.name a"
        )
        for name, text in files.items():
            await self.shell(f"mkdir -p \"$(dirname 'repo/{name}')\"")
            await self.workspace.write(f"/work/repo/{name}", text.encode())
        return await self.shell("cd repo && git add -A && git commit -q -m x && git rev-parse 'HEAD^{tree}'")


Story = Callable[[Bench], Awaitable[None]]


@pytest.fixture
def in_sandbox(tmp_path: Path, python_layer: Path) -> Callable[[Story], None]:
    """Run a story in a fresh sandbox."""

    @asynccontextmanager
    async def bench() -> AsyncIterator[Bench]:
        directory = tmp_path / "run"
        directory.mkdir()
        place = Place(
            directory=directory,
            layers=(python_layer,),
            env={"PATH": "/work/env/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        )
        workspace = await BubblewrapSandboxes().open(place)
        try:
            yield Bench(workspace)
        finally:
            await workspace.close()

    def tell(story: Story) -> None:
        async def whole() -> None:
            async with bench() as opened:
                await story(opened)

        asyncio.run(whole())

    return tell
