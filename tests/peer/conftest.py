"""An editor that is not there, and `nightmill acp` as it starts it, by the protocol's own client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import acp
import pytest
from acp import schema

from nightmill import event as e
from nightmill.store.questions import Question
from tests.whole import MODELS, Mill, repository, wait_for

RUN, BOB = "rabcdefg", "Bob <bob@example.org>"


@dataclass
class Editor:
    """An editor: what it was shown, and what its person picks."""

    picks: str = ""
    """An option, "" for none of them; "never": nothing, until they are told to leave."""
    updates: list[Any] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    seen: asyncio.Event = field(default_factory=asyncio.Event)
    dismissed: asyncio.Event = field(default_factory=asyncio.Event)

    def on_connect(self, conn: Any) -> None: ...

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        self.updates.append(update)
        self.seen.set()

    async def request_permission(self, session_id: str, tool_call: Any, options: Any, **_: Any) -> Any:
        self.asked.append((tool_call, options))
        self.seen.set()
        if self.picks == "never":
            await self.dismissed.wait()
        if self.picks in {"", "never"}:
            return acp.RequestPermissionResponse(outcome=schema.DeniedOutcome(outcome="cancelled"))
        return acp.RequestPermissionResponse(outcome=schema.AllowedOutcome(outcome="selected", option_id=self.picks))

    def said(self) -> str:
        """All that was said to the person."""
        return "".join(each.content.text for each in self.updates if isinstance(each, schema.AgentMessageChunk))

    def tools(self) -> dict[str, str]:
        """The state of each tool call, by what it did."""
        calls = [each for each in self.updates if isinstance(each, schema.ToolCallStart | schema.ToolCallProgress)]
        titles = {each.tool_call_id: each.title for each in calls if each.title}
        ends = {each.tool_call_id: each.status for each in calls if each.status}
        return {title: ends.get(call) or "" for call, title in titles.items()}

    async def until(self, words: str) -> None:
        """Wait until *words* were said."""
        await self._until(lambda: words in self.said())

    async def until_asked(self) -> None:
        """Wait until something is asked."""
        await self._until(lambda: bool(self.asked))

    async def _until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not met():
                self.seen.clear()
                await self.seen.wait()


@pytest.fixture
def mill(tmp_path: Path) -> Mill:
    made = Mill(folder=tmp_path).given(NIGHTMILL_MODEL=MODELS["anthropic"], NIGHTMILL_PERSON="Ada <ada@example.org>")
    checkout = repository(tmp_path / "calc")
    assert not made.run("init", at=checkout).returncode
    return made


Ask = Callable[..., Awaitable[str]]


@asynccontextmanager
async def agent(mill: Mill, editor: Editor) -> AsyncIterator[tuple[Any, asyncio.subprocess.Process]]:
    """(a connection, the process) of an agent in the project."""
    with (mill.folder / "said.txt").open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            *mill.command(), "acp", cwd=mill.folder / "calc", env=mill.variables(), stderr=said, limit=1 << 24,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
    assert process.stdin is not None
    conn = acp.connect_to_agent(editor, process.stdin, process.stdout, use_unstable_protocol=True)  # type: ignore[arg-type]  # what it needs of a client
    try:
        begun = await conn.initialize(protocol_version=acp.PROTOCOL_VERSION)
        assert begun.agent_info is not None
        assert begun.agent_info.name == "nightmill"
        yield conn, process
    finally:
        await conn.close()
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def session(mill: Mill, editor: Editor) -> AsyncIterator[tuple[Ask, Callable[[], Awaitable[None]]]]:
    """(a way to prompt, a way to leave) in a session in the project."""
    async with agent(mill, editor) as (conn, _):
        name = (await conn.new_session(cwd=str(mill.folder / "calc"), mcp_servers=[])).session_id

        async def ask(*blocks: Any) -> str:
            sent = [acp.text_block(each) if isinstance(each, str) else each for each in blocks]
            return str((await conn.prompt(session_id=name, prompt=sent)).stop_reason)

        async def leave() -> None:
            await conn.cancel(session_id=name)

        yield ask, leave


def waiting_run(mill: Mill, **question: Any) -> str:
    """A run that asks something, with nobody at work on it; the question's id."""
    with mill.door() as door:
        project = door.project(mill.folder / "calc").id
        queued = e.RunQueued(run=RUN, kind="task", title="Mend \u202ethe cart", project=project, spec="s", model="m")
        door.runs.create(queued, assignment="a")
        named = {"id": f"{RUN}/look", "run": RUN, "step": "look", "kind": "approve", "title": "Merge it?"}
        return door.questions.ask(Question(**{**named, "tree": "a" * 40, "policy": "p", **question})).id


def ended(mill: Mill, question: str) -> tuple[str, str, str]:
    with mill.door() as door:
        found = door.questions.get(question)
    return found.state, found.answer, found.by


def until_decided(mill: Mill, question: str) -> None:
    wait_for("a decision", lambda: ended(mill, question)[0] != "open")
