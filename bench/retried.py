"""A spec that failed and is tried again, with what the first run noted and without: `python -m bench.known`.

The model is a policy that sees nothing but its request: it reads a file only if the request lacks it, tries the plain way
only if nothing says that it failed, and so needs whatever it needs. Repository, notes, recall and the agent's turns are
the real ones; the files are in memory.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from nightmill import agent, plan
from nightmill import spec as specs
from nightmill.agent import AgentState, Brief, Told
from nightmill.estate.file import load
from nightmill.line import brief as briefs
from nightmill.line.assignment import Assignment
from nightmill.line.knowledge import Knowledge
from nightmill.line.recall import recall
from nightmill.line.stop import Stopped
from nightmill.model import Message, ModelReply, ModelRequest, Text, ToolCall, ToolResult, Usage
from nightmill.model.anthropic import Anthropic
from nightmill.model.dialect import wire
from nightmill.policy import Budget
from nightmill.repo import Hub
from nightmill.sandbox import Limits, Workspace
from nightmill.store import Database
from nightmill.tool import Answer, ToolContext, Toolset
from nightmill.tool.command import RunCommand
from nightmill.tool.files import ReadFile, WriteFile
from nightmill.tool.work import FinishWork, Remember

if TYPE_CHECKING:
    from nightmill.line.machines import Machines

__all__ = ["Tried", "retried"]

FILES, WRONG, BOUND = 12, 9, 60
"""Modules, the one with the defect, and turns after which something hangs."""
NOBODYS = Budget(turns=0, tokens=0, money=0.0, seconds=0.0, context=0)
CHECK = "python3 -m unittest -q"
PLAIN, EXACT = "round(total + 0.005, 2)", "Decimal(str(total)).quantize(CENT, ROUND_HALF_UP)"
FOUND = f"shop/part{WRONG}.rules rounds totals for all parts, in settle()."
FAILED = f"Adding half a cent before round() in shop/part{WRONG}.rules: 2.675 still gives 2.67."
SPEC = """# Totals are rounded half up

## Problem

A total of 2.675 is charged as 2.67.

## Requirements

- R1: Each total MUST be rounded half up to cents.

## Acceptance criteria

- AC1 (R1): A total of `2.675` is charged as `2.68`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What one run took: its turns, bytes of all its requests, whether it came to its end."""

    turns: int
    sent: int
    done: bool


@dataclass
class Memory:
    """Files in memory."""

    files: dict[str, str]

    async def read(self, path: str, *, limit: int) -> bytes:
        """As a workspace reads."""
        return self.files[path.removeprefix("/work/repo/")].encode()[:limit]

    async def write(self, path: str, body: bytes) -> None:
        """As a workspace writes."""
        self.files[path.removeprefix("/work/repo/")] = body.decode()


class Checked(RunCommand):
    """The project's check, judged by what the file holds."""

    async def call(self, arguments: RunCommand.Call, context: ToolContext) -> Answer:
        """Pass only if money is counted exactly."""
        body = (await context.workspace.read(f"shop/part{WRONG}.rules", limit=1 << 20)).decode()
        good = EXACT in body
        text = "OK" if good else "FAILED (failures=1): 2.67 != 2.68"
        return Answer(text=text, changed=True, ran=((arguments.command, good, text),))


def policy(request: ModelRequest, number: int) -> ModelReply:
    """What the model says to *request*, and to nothing else."""
    text = "\n".join(_words(request))
    part = f"shop/part{WRONG}.rules"
    if f"def settle{WRONG}(" not in text:
        known = FOUND in text
        unread = (at for at in range(FILES) if f"def settle{at}(" not in text)
        call = ("read_file", {"path": part if known else f"shop/part{next(unread)}.rules"})
    elif FOUND not in text:
        call = ("remember", {"kind": "discovery", "text": FOUND})
    elif FAILED not in text and PLAIN not in text:
        call = ("write_file", {"path": part, "content": body(WRONG, PLAIN)})
    elif FAILED not in text and "FAILED (failures" not in text:
        call = ("run_command", {"command": CHECK})
    elif FAILED not in text:
        call = ("remember", {"kind": "failed_approach", "text": FAILED})
    elif EXACT not in text:
        call = ("write_file", {"path": part, "content": body(WRONG, EXACT)})
    elif "\nOK" not in text:
        call = ("run_command", {"command": CHECK})
    else:
        call = ("finish", {"summary": "Totals are rounded half up; the check passes."})
    made = ToolCall(id=f"c{number}", name=call[0], arguments=json.dumps(call[1]))
    return ModelReply(parts=(Text(text="On."), made), stop="tools", usage=Usage(), model="m", cost=0.0)


def body(number: int, rounding: str) -> str:
    """A module of the project."""
    lines = "".join(f"def price_{number}_{at}(count): return count * {at}\n" for at in range(60))
    return f"{lines}\n\ndef settle{number}(total): return {rounding}\n"


@dataclass
class Shop:
    """A project in a repository, with the notes of its runs."""

    home: Path
    files: dict[str, str] = field(
        default_factory=lambda: {f"shop/part{at}.rules": body(at, "round(total, 2)") for at in range(FILES)}
    )

    def __post_init__(self) -> None:
        root = self.home / "checkout"
        about = f"language: python\nchecks:\n- {{name: tests, run: {CHECK}, format: exit}}\n"
        for path, text in {**self.files, "nightmill.yaml": about}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        named = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        for words in (("init", "-q", "-b", "main"), ("add", "-A"), (*named, "commit", "-q", "-m", "all")):
            subprocess.run(("git", *words), cwd=root, check=True)
        (self.home / "SPEC.md").write_text(SPEC)
        self.hub = Hub(self.home / "hub.git")
        self.hub.create()
        commit = self.hub.advance("main", self.hub.take(root, "main"))
        self.database = Database.open(f"sqlite:///{self.home / 'store.db'}")
        spec = specs.read(self.home / "SPEC.md")
        self.assignment = Assignment(
            kind="task", project=load(root), spec=spec, task=plan.single(spec).tasks[0], model="anthropic:m", base_url="",
            base_branch="main", base_commit=commit, target="main", budget=NOBODYS, max_tokens=8_192, thinking=0,
            by="Ada",
        )  # fmt: skip

    def attempt(self, run: str, *, bound: int = BOUND, notes: bool) -> Tried:
        """One run of at most *bound* turns, with what earlier ones noted or without."""
        recalled = recall(self.assignment, run=run, database=self.database, hub=self.hub)
        earlier = recalled.prompt if notes else briefs.NOTHING
        made = briefs.developer(self.assignment, run=run, hub=self.hub, earlier=earlier)
        machines = SimpleNamespace(hub=lambda _: self.hub, database=self.database, now=lambda: 0.0)
        knowledge = Knowledge(run=run, machines=cast("Machines", machines), assignment=self.assignment)
        tried, state = asyncio.run(self._turns(made, knowledge, bound))
        if not tried.done:
            knowledge.end(Stopped("limit", f"its budget of {bound} turns is used"), state)
        return tried

    async def _turns(self, made: Brief, knowledge: Knowledge, bound: int) -> tuple[Tried, AgentState]:
        tools = Toolset((ReadFile(), WriteFile(), Checked(), Remember(), FinishWork()))
        context = ToolContext(workspace=cast("Workspace", Memory(dict(self.files))), limits=Limits())
        told = Told(run=knowledge.run, emit=lambda _: None, clock=lambda: 0.0)
        state, sent = AgentState(), 0
        while state.ending is None and state.turn < bound:
            request = agent.ask(made, state, tools, max_tokens=8_192)
            sent += len(wire(Anthropic(), request))
            record = await agent.act(made, state, policy(request, state.turn), tools=tools, context=context, told=told)
            knowledge.turn(state, record, role=made.role, reports=())
            state = agent.apply(made, state, record)
        done = state.ending is not None and state.ending.kind == "finished"
        return Tried(turns=state.turn, sent=sent, done=done), state


def retried(home: Path) -> tuple[Tried, Tried, Tried]:
    """The run that fails, the one after it without its notes, and with them."""
    shop = Shop(home)
    first = shop.attempt("r1", bound=FILES + 2, notes=True)
    found = first, shop.attempt("r2", notes=False), shop.attempt("r3", notes=True)
    shop.database.close()
    return found


def _words(request: ModelRequest) -> list[str]:
    return [*request.system, *(text for message in request.messages for text in _texts(message)), request.tail]


def _texts(message: Message) -> list[str]:
    return [
        part.arguments if isinstance(part, ToolCall) else f"\n{part.text}"
        for part in message.parts
        if isinstance(part, Text | ToolCall | ToolResult)
    ]
