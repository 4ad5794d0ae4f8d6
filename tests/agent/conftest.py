"""An agent with tools of its own making, so that a test says what they do."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from nightmill import agent
from nightmill.agent import AgentState, Brief, Told, TurnRecord
from nightmill.errors import ToolError
from nightmill.event import Event
from nightmill.model import ModelReply, Text, ToolCall, Usage
from nightmill.model.message import Part, Stop
from nightmill.sandbox import Entry, Limits, Workspace
from nightmill.tool import Answer, ToolContext, Toolset
from nightmill.tool.base import Arguments
from nightmill.tool.work import FinishWork, UpdateTodo

BRIEF = Brief(
    role="developer", model="m", system=("You build.",), anchor="Do it.", prompts={"p": "d"}, conversation="c"
)


class Scripted:
    """A tool that does what a function says."""

    description = "Does it."

    class Call(Arguments):
        word: str = ""

    arguments = Call

    def __init__(self, name: str, does: Callable[[str], Awaitable[str]], *, reads: bool) -> None:
        self.name, self.does, self.reads = name, does, reads

    def label(self, arguments: Call) -> str:
        return arguments.word

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        return Answer(text=await self.does(arguments.word), changed=not self.reads)


def call(name: str, word: str = "", *, id: str = "") -> ToolCall:
    return ToolCall(id=id or f"{name}-{word}", name=name, arguments=f'{{"word": "{word}"}}' if word else "{}")


def finish(id: str = "f1") -> ToolCall:
    return ToolCall(id=id, name="finish", arguments='{"summary": "Done it."}')


def reply(*parts: Part | str, stop: Stop | None = None, **named: Any) -> ModelReply:
    whole = tuple(Text(text=part) if isinstance(part, str) else part for part in parts)
    calls = any(isinstance(part, ToolCall) for part in whole)
    usage = named.pop("usage", Usage(input=100, output=10))
    return ModelReply(parts=whole, stop=stop or ("tools" if calls else "end"), usage=usage, model="m", **named)


class Empty:
    """A workspace without a file. No tool here has another use for one."""

    async def read(self, path: str, *, limit: int) -> bytes:
        raise ToolError(f"there is no {path} of {limit}")

    async def list(self, path: str, *, depth: int, limit: int) -> list[Entry]:
        raise ToolError(f"there is no {path} of {depth}, {limit}")


@dataclass
class Stage:
    """One agent; `turn` takes a reply through `act` and `apply`."""

    brief: Brief = BRIEF
    state: AgentState = AgentState()
    log: list[str] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)
    records: list[TurnRecord] = field(default_factory=list)
    running: int = 0
    most: int = 0
    explore: Any = None

    def __post_init__(self) -> None:
        look = Scripted("look", self.look, reads=True)
        self.tools = Toolset((look, Scripted("do", self.do, reads=False), UpdateTodo(), FinishWork()))

    async def look(self, word: str) -> str:
        self.running += 1
        self.most = max(self.most, self.running)
        for _ in range(3):
            await asyncio.sleep(0)
        self.running -= 1
        self.log.append(f"look {word}")
        return f"saw {word}"

    async def do(self, word: str) -> str:
        self.log.append(f"do {word}")
        if word == "wrong":
            raise ToolError("it cannot be done")
        return f"did {word}"

    def act(self, said: ModelReply) -> TurnRecord:
        ticks = itertools.count()
        context = ToolContext(workspace=cast("Workspace", Empty()), limits=Limits(), explore=self.explore)
        told = Told(run="r1", emit=self.told.append, clock=lambda: float(next(ticks)))
        return asyncio.run(agent.act(self.brief, self.state, said, tools=self.tools, context=context, told=told))

    def turn(self, said: ModelReply) -> TurnRecord:
        record = self.act(said)
        self.records.append(record)
        self.state = agent.apply(self.brief, self.state, record)
        return record

    def send_back(self, text: str) -> None:
        self.state = agent.send_back(self.state, text)

    def results(self) -> list[str]:
        return [part.text for part in self.state.messages[-1].parts if part.kind in {"tool_result", "text"}]  # type: ignore[union-attr]


@pytest.fixture
def stage() -> Stage:
    """An agent at its beginning."""
    return Stage()


__all__ = ["BRIEF", "Stage", "call", "finish", "replace", "reply"]
