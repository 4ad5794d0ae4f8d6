"""What is not sent or run again: `python -m bench.known`.

Reading again: a conversation in which files are read again, as it is sent and as it would be without pointers.
Trying again: the turns and bytes of a run on a spec that failed before, with the notes of then and without.
The tree: seconds to find out which tree a sandbox over 50,000 files holds, beside which a check is or is not run.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from bench.figures import spread
from bench.page import put
from bench.retried import retried
from bench.sandbox.ground import Ground, sh
from nightmill import agent
from nightmill.agent import AgentState, Brief, Told
from nightmill.agent.measure import bytes_of
from nightmill.line.results import TREE
from nightmill.model import ModelReply, Text, ToolCall, ToolResult, Usage
from nightmill.sandbox import Limits, Workspace
from nightmill.tool import ToolContext, Toolset
from nightmill.tool.files import ReadFile

FILES, LINES, ROUNDS = 6, 200, 4
"""Files, their lines, and how often an agent comes back to each."""
BEGIN, END = "<!-- bench: made by `python -m bench.known` -->", "<!-- /bench-known -->"
BRIEF = Brief(role="developer", model="m", system=("You build.",), anchor="Do it.", prompts={}, conversation="c")


@dataclass
class Memory:
    """Files in memory."""

    files: dict[str, str]

    async def read(self, path: str, *, limit: int) -> bytes:
        """As a workspace reads."""
        return self.files[path.removeprefix("/work/repo/")].encode()[:limit]


def reading() -> tuple[int, int]:
    """Bytes of all requests of the conversation: as they are sent, and without pointers."""
    memory = Memory({f"part{number}.py": _text(number, 0) for number in range(FILES)})
    state, sent, whole, more = AgentState(), 0, 0, 0
    tools = Toolset((ReadFile(),))
    context = ToolContext(workspace=cast("Workspace", memory), limits=Limits())
    told = Told(run="r", emit=lambda _: None, clock=lambda: 0.0)
    brief = replace(BRIEF, compact_at=10**9)
    for turn in range(FILES * ROUNDS):
        path = f"part{turn % FILES}.py"
        if turn % 5 == 4:  # and one of five reads comes after a change
            memory.files[path] = _text(turn % FILES, turn)
        call = ToolCall(id=str(turn), name="read_file", arguments=json.dumps({"path": path}))
        reply = ModelReply(parts=(Text(text="I look."), call), stop="tools", usage=Usage(), model="m")
        record = asyncio.run(agent.act(brief, state, reply, tools=tools, context=context, told=told))
        state = agent.apply(brief, state, record)
        (result,) = (part for part in record.messages[-1].parts if isinstance(part, ToolResult))
        if result.text.startswith("(unchanged"):
            full = asyncio.run(ReadFile().call(ReadFile.Call(path=path), context)).text
            more += len(full.encode()) - len(result.text.encode())
        size = sum(bytes_of(message.parts) for message in state.messages)
        sent, whole = sent + size, whole + size + more
    return sent, whole


def _text(number: int, version: int) -> str:
    return "".join(f"def name_{number}_{line}(): return {line * version}\n" for line in range(LINES))


async def trees(home: Path) -> tuple[float, list[float], list[float]]:
    """Seconds for the tree of a fresh sandbox, then with nothing changed, then after a change each."""
    ground = Ground(home=home)
    ground.build()
    async with ground.sandbox("tree") as sandbox:

        async def once() -> float:
            began = time.perf_counter()
            await sh(sandbox, TREE)
            return time.perf_counter() - began

        first = await once()
        same = [await once() for _ in range(10)]
        changed = []
        for number in range(10):
            await sh(sandbox, f"echo {number} >> part0/group0/0/file1.py; echo {number} > new{number}.txt")
            changed.append(await once())
    return first, same, changed


def sent() -> list[str]:
    """The table of what is not sent again."""
    small, whole = reading()
    with tempfile.TemporaryDirectory() as folder:
        _, alone, noted = retried(Path(folder))
    rows = (
        ("files are read again", "pointers to what is still shown", whole, small, ""),
        (
            "a spec that failed is tried again",
            "the notes of the first run",
            alone.sent,
            noted.sent,
            f", {noted.turns} turns in place of {alone.turns}",
        ),
    )
    return [
        "| what | with | bytes of all requests without | with | |",
        "|---|---|---|---|---|",
        *(
            f"| {what} | {by} | {much:,} | {less:,} | {1 - less / much:.0%} less{more} |"
            for what, by, much, less, more in rows
        ),
    ]


def main() -> None:
    lines = sent()
    print("\n".join(lines))
    put(lines, begin=BEGIN, end=END)
    with tempfile.TemporaryDirectory() as folder:
        first, same, changed = asyncio.run(trees(Path(folder)))
    again, after = spread(same).median, spread(changed).median
    print(f"the tree of 50,000 files: {first:.2f} s at first, {again:.2f} s again, {after:.2f} s after a change")


if __name__ == "__main__":
    main()
