"""A run of one turn that can be gone on from: its record, and what its checkout held before and after."""

from __future__ import annotations

import json
from pathlib import Path

from nightmill import event as e
from nightmill import spec as specs
from nightmill.agent import TurnRecord
from nightmill.estate.nouns import Environment, Project
from nightmill.line import submit
from nightmill.line.assignment import Assignment, write
from nightmill.line.record import write_record
from nightmill.model import Message, ModelReply, Text, Thinking, ToolCall, ToolResult, Usage
from nightmill.plan import single
from nightmill.sandbox.disk.packs import Packs
from nightmill.settings import Settings
from tests import whole
from tests.server.conftest import House

__all__ = ["RESULT", "went"]

RESULT = "one\ntwo <b>\n"
BASE = {"calc.py": b"a\n", "image.png": b"\0PNG", "kept.txt": b"x\r\ny\r\n", "secrets/key": b"k"}


def went(house: House, folder: Path, *, said: str = "", wrote: str = "") -> str:
    """The run `rpast1` of the project `shop`, which went one turn: it changed `calc.py` and made more.

    What it *wrote* is in all that its model said, and in a file.
    """
    home, run = house.door.settings.home, "rpast1"
    path = folder / "SPEC.md"
    path.write_text(whole.SPEC.format(title=""), encoding="utf-8")
    spec = specs.read(path)
    project = Project(
        id="shop", root=folder, language="python", environment=Environment(), checks=(), protected=("secrets/**",)
    )
    assignment = Assignment(
        kind="task", project=project, spec=spec, model="anthropic:m", base_url="", base_branch="main",
        base_commit="0" * 40, target="main", budget=submit.budget(Settings()), max_tokens=1, thinking=0,
        by="Ada <ada@example.org>", task=single(spec).tasks[0],
    )  # fmt: skip
    queued = e.RunQueued(run=run, kind="task", title=f"Adding {said}", project="shop", spec="s", model="anthropic:m")
    house.door.runs.create(queued, assignment=house.door.blobs.put(write(assignment)))
    layer = home / "projects" / "shop" / "bases" / "e" / "layer" / "repo"
    for name, body in BASE.items():
        (layer / name).parent.mkdir(parents=True, exist_ok=True)
        (layer / name).write_bytes(body)
    first, second = _snapshots(home / "runs" / run / "sandbox", wrote)
    call = ToolCall(id="call_1", name="run_command", arguments='{"command": "ls"}')
    parts = (
        *((Thinking(text=wrote), Text(text=wrote)) if wrote else ()),
        call,
        *((ToolCall(id="call_2", name="write_file", arguments=json.dumps({"content": wrote})),) if wrote else ()),
    )
    reply = ModelReply(model="m", parts=parts, stop="tools", usage=Usage(input=9, output=1), cost=0.01)
    messages = (
        Message(role="assistant", parts=parts),
        Message(role="user", parts=(ToolResult(call="call_1", name="run_command", text=RESULT),)),
    )
    record = house.door.blobs.put(write_record(TurnRecord(turn=1, reply=reply, messages=messages, changed=True)))
    house.tell(
        e.WorkspacePrepared(run=run, environment="e", commit="0" * 40, snapshot=first, seconds=1.0),
        e.TurnFinished(
            run=run, turn=1, role="developer", model="m", record=record, snapshot=second, usage={"input": 9, "output": 1},
            cost=0.01, calls=1, seconds=2.0, said=f"I look {said}",
        ),
    )  # fmt: skip
    return run


def _snapshots(directory: Path, wrote: str) -> tuple[str, str]:
    """What a sandbox kept of its checkout before a turn and after it."""
    checkout = directory / "upper" / "repo"
    checkout.mkdir(parents=True)
    packs = Packs(directory, None)
    packs.start("")
    (checkout / "notes.md").write_text("n\n")
    first = packs.take(name="a" * 16, hot=set())
    (checkout / "calc.py").write_text("a\nb\n")
    if wrote:
        (checkout / "wrote.txt").write_text(f"{wrote}\n")
    (checkout / "made.bin").write_bytes(b"\xff\xfe\0")
    (checkout / "long.txt").write_text("x" * 200_000)
    (checkout / "secrets").mkdir()
    (checkout / "secrets" / "key").write_text("k2")
    (checkout / "etc").symlink_to("/etc")
    return first, packs.take(name="b" * 16, hot=set())
