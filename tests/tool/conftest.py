"""A real sandbox over a small repository, with the tools of a developer."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from nightmill.agent import working
from nightmill.errors import ToolError
from nightmill.model import ToolCall
from nightmill.sandbox import Limits, Place, Workspace
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.owner import give, owner
from nightmill.tool import Answer, ToolContext, developing
from nightmill.tool.base import OPEN, Results, Veil
from nightmill.tool.outputs import MemoryOutputs

FILES = {
    "README.md": b"# Shop\n\nSells things.\n",
    "src/app.py": b"def hello():\n    return 'hello'\n",
    "src/deep/er/most.txt": b"needle\n",
}


@dataclass(frozen=True)
class Bench:
    """Calls of tools as a model makes them."""

    workspace: Workspace
    limits: Limits
    outputs: MemoryOutputs = field(default_factory=MemoryOutputs)
    known: dict[str, str] = field(default_factory=dict)
    veil: Veil = OPEN
    given: tuple[str, ...] = ()
    results: Results | None = None
    news: Callable[[], str] = str

    async def call(self, tool: str, **arguments: Any) -> Answer:
        tools = developing("openai:gpt-5.2")
        prepared = tools.prepare(ToolCall(id="c1", name=tool, arguments=json.dumps(arguments)))
        context = ToolContext(
            workspace=self.workspace,
            limits=self.limits,
            outputs=self.outputs,
            known=dict(self.known),
            veil=self.veil,
            given=self.given,
            results=self.results,
            news=self.news,
        )
        answer = await tools.call(prepared, context)
        working.see(self.known, answer.seen)
        return answer

    async def text(self, tool: str, **arguments: Any) -> str:
        return (await self.call(tool, **arguments)).text

    async def refused(self, tool: str, **arguments: Any) -> str:
        with pytest.raises(ToolError) as caught:
            await self.call(tool, **arguments)
        return caught.value.message

    async def sh(self, command: str) -> str:
        return await self.text("run_command", command=command)

    async def put(self, path: str, body: bytes) -> None:
        await self.workspace.write(f"/work/repo/{path}", body)

    async def get(self, path: str) -> bytes:
        return await self.workspace.read(f"/work/repo/{path}", limit=64 << 20)


Tell = Callable[[Callable[[Bench], Awaitable[None]]], None]


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    """Tell a story in a fresh sandbox."""
    layer, run = tmp_path / "layer", tmp_path / "run"
    run.mkdir()
    for name, body in FILES.items():
        path = layer / "repo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    rg = shutil.which("rg", path=str(Path(sys.executable).parent)) or shutil.which("rg")
    assert rg, "ripgrep is a dependency"
    give(layer, owner())
    place = Place(directory=run, layers=(layer,), tools={"rg": Path(rg)})

    def go(story: Callable[[Bench], Awaitable[None]]) -> None:
        async def whole() -> None:
            workspace = await BubblewrapSandboxes().open(replace(place))
            try:
                await story(Bench(workspace, Limits(seconds=60.0)))
            finally:
                await workspace.close()

        asyncio.run(whole())

    return go
