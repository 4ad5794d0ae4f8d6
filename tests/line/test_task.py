"""A task's run between its steps: what a worker finds that takes it up, and what is done when it cannot go on."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from nightmill import event
from nightmill.agent import Brief, Ending, TurnRecord
from nightmill.line import brief as briefs
from nightmill.line.steps import FOREVER, Body
from nightmill.line.task import TaskRun
from nightmill.model import Message, ModelReply, Text, Usage
from nightmill.plan import Task
from nightmill.review import Verdict
from nightmill.store.runs import Wanted
from tests import whole
from tests.line.conftest import ADA, Script, World

WORDS = Text(text="done")
REPLY = ModelReply(parts=(WORDS,), stop="end", usage=Usage(input=10, output=5), model="m", cost=0.01)
BRIEF = Brief(role="developer", model="m", system=("You develop.",), anchor="Do it.", prompts={}, conversation="c")
TASK = Task(id="T1", title="Add", instruction="Make it add.", criteria=("AC1",))


@dataclass
class Replay(Script):
    """Steps of which the first are remembered, as the engine remembers them: by their order."""

    kept: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def step(self, name: str, body: Body) -> dict[str, Any]:
        if not self.kept:
            return await super().step(name, body)
        known, result = self.kept.pop(0)
        if known != name:
            raise RuntimeError(f"the step was {known!r} before, and is {name!r} now")
        return json.loads(json.dumps(result))  # type: ignore[no-any-return]


def prepared(world: World) -> tuple[str, dict[str, Any]]:
    return "prepare", {
        "environment": "e",
        "base_commit": "c",
        "layers": [str(world.root)],
        "bundle": False,
        "snapshot": "first",
        "seconds": 1.0,
        "drift": [],
    }


def begun(world: World) -> tuple[str, dict[str, Any]]:
    return "begin", {"brief": world.machines.blobs.put(briefs.write_brief(BRIEF)), "taken": []}


def taken_out(world: World) -> tuple[str, dict[str, Any]]:
    """The work, as a commit in the hub."""
    world.assignment()  # fills the hub
    whole.git(world.root, "switch", "-q", "-c", "work")
    (world.root / "calc.py").write_text("def add(a, b):\n    return a + b\n", encoding="utf-8")
    whole.commit(world.root, "Add")
    commit = world.hub.take(world.root, "work")
    whole.git(world.root, "switch", "-q", "main")
    return "take out", {"commit": commit, "trouble": ""}


def turned(world: World, turn: int, *, ending: Ending | None = None) -> tuple[str, dict[str, Any]]:
    record = TurnRecord(turn=turn, reply=REPLY, messages=(Message(role="assistant", parts=(WORDS,)),), ending=ending)
    body = TypeAdapter(TurnRecord).dump_json(record)
    return "turn", {"record": world.machines.blobs.put(body), "snapshot": f"after-{turn}"}


def proven(world: World, commit: str) -> tuple[str, dict[str, Any]]:
    verdict = Verdict(tree=world.hub.tree(commit), base_tree="b" * 40, passed=True, results=(), reasons=())
    body = TypeAdapter(Verdict).dump_json(verdict)
    return "prove", {"verdict": world.machines.blobs.put(body), "when": 1000}


def go(world: World, *kept: tuple[str, dict[str, Any]], **messages: Any) -> dict[str, Any]:
    world.steps = Replay(kept=list(kept), **messages)
    assignment = replace(world.assignment(), kind="task", task=TASK)
    run = TaskRun(
        run=world.run, assignment=assignment, machines=world.machines, steps=world.steps, control=world.control
    )
    return asyncio.run(run.go())


def test_a_worker_without_the_key_goes_through_what_was_done_and_then_waits_for_a_person(world: World) -> None:
    """No key is in this home: the worker that began the run had one, and it must not lose its work for that."""
    cancel = {"wanted": "cancel", "by": ADA, "count": 1}
    ended = go(world, prepared(world), begun(world), turned(world, 1), turned(world, 2), messages=[cancel])

    assert world.steps.steps == ["turn", "park", "preserve"]
    assert world.steps.waits == [FOREVER]
    assert ended["why"] == "cancelled"
    parked = next(each for each in world.told() if isinstance(each, event.RunParked))
    assert parked.needs == "person"
    assert "no API key" in parked.reason


@pytest.mark.parametrize("wanted", ["pause", "cancel"])
@pytest.mark.parametrize("step", ["prove", "land"])
def test_what_is_wanted_before_a_step_is_obeyed_before_it(world: World, wanted: Wanted, step: str) -> None:
    world.want(wanted)
    world.control.want(wanted, ADA)
    finished = turned(world, 1, ending=Ending(kind="finished", text="done"))
    out = taken_out(world)
    kept = [prepared(world), begun(world), finished, out]
    kept += [proven(world, out[1]["commit"]), ("record", {"records": []})] if step == "land" else []
    ended = go(world, *kept, messages=[{"wanted": "cancel", "by": ADA, "count": 2}])

    assert ended["why"] == "cancelled"
    assert world.steps.steps == [step, *(["pause"] if wanted == "pause" else []), "preserve"]
    assert not [each for each in world.told() if isinstance(each, event.PullRequestOpened)]


def test_a_fault_of_ours_ends_the_run_with_its_work_kept(world: World) -> None:
    damaged = world.machines.blobs.put(b"{}")
    ended = go(
        world, prepared(world), begun(world), turned(world, 1), ("turn", {"record": damaged, "snapshot": "after-2"})
    )

    assert ended["why"] == "failed"
    assert ended["reason"].startswith("ValidationError")
    assert world.steps.steps == ["preserve"]


def test_work_that_cannot_be_put_on_a_branch_is_said_to_be_where_it_is(world: World) -> None:
    """No such snapshot is there: whatever the reason, a person must be able to look for the work."""
    world.control.want("cancel", ADA)
    ended = go(world, prepared(world), begun(world), turned(world, 1))

    assert ended["branch"] == ""
    assert "its work is on no branch: " in ended["reason"]
    assert str(world.machines.folder("r1")) in ended["reason"]
    assert world.told()[-1].name == "run_stopped"
