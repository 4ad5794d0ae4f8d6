"""A spec's run: the plan, a run per task, stacked where tasks build on each other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nightmill import event
from nightmill.line.assignment import Assignment, read, write
from nightmill.line.whole import SpecRun
from tests import whole
from tests.line.conftest import ADA, World

TASKS = "\n## Tasks\n\n- [ ] T1 First in `a.py`\n- [ ] T2 {mark}Second in `b.py`\n- [ ] T3 {mark}Third in `c.py`\n"
STACKED = whole.SPEC.format(title="") + TASKS.format(mark="")
BESIDE = """# Three small things

## Goal

The module `calc` gets three functions that have nothing to do with each other.

## Requirements

- R1: `calc.one()` MUST return `1`.
- R2: `calc.two()` MUST return `2`.

## Acceptance criteria

- AC1 (R1): `calc.one()` returns `1`.
- AC2 (R2): `calc.two()` returns `2`.

## Tasks

- [ ] T1 [P] One, for R1
- [ ] T2 [P] Two, for R2
"""


def ended(number: int) -> dict[str, Any]:
    return {"change": number, "commit": f"{number}" * 40, "branch": f"nightmill/t{number}"}


def go(world: World, assignment: Assignment) -> dict[str, Any]:
    run = SpecRun(
        run=world.run, assignment=assignment, machines=world.machines, steps=world.steps, control=world.control
    )
    return asyncio.run(run.go())


def children(world: World) -> list[Assignment]:
    rows = sorted(world.machines.runs.list(parent="r1"), key=lambda row: row.id)
    return [read(world.machines.blobs.get(row.assignment)) for row in rows]


def test_tasks_that_build_on_each_other_are_stacked(world: World) -> None:
    world.steps.ended = [ended(1), ended(2), ended(3)]
    asked = world.assignment(STACKED)
    assert go(world, asked) == {"change": 3}

    assert world.steps.started == [("r1-1", "task"), ("r1-2", "task"), ("r1-3", "task")]
    made = children(world)
    assert [each.base_commit for each in made] == [asked.base_commit, "1" * 40, "2" * 40]
    assert [each.target for each in made] == ["main", "nightmill/t1", "nightmill/t2"]
    assert {(each.kind, each.parent, each.base_branch) for each in made} == {("task", "r1", "main")}
    assert [each.task.id for each in made if each.task] == ["T1", "T2", "T3"]


def test_tasks_that_stand_alone_all_start_from_the_base(world: World) -> None:
    world.steps.ended = [ended(1), ended(2)]
    asked = world.assignment(BESIDE)
    go(world, asked)
    made = children(world)

    assert {(each.base_commit, each.target) for each in made} == {(asked.base_commit, "main")}


def test_a_spec_can_be_one_task(world: World) -> None:
    world.steps.ended = [ended(7)]
    go(world, world.assignment(plan="single"))

    told = world.told()
    assert [each.name for each in told] == ["phase_started", "plan_made", "task_queued", "run_done"]
    assert told[-1] == event.RunDone(run="r1", change=7)
    (child,) = children(world)
    assert child.task is not None
    assert child.task.criteria == ("AC1",)


def test_a_long_spec_has_a_plan_like_any_other(world: World) -> None:
    """A checkpoint is bounded, a goal of two hundred pages is not refused."""
    long = whole.SPEC.format(title="").replace("## Requirements", f"{'It is long. ' * 8000}\n\n## Requirements")
    world.steps.ended = [ended(7)]
    assert go(world, world.assignment(long, plan="single")) == {"change": 7}

    (child,) = children(world)
    assert child.task is not None
    assert len(child.task.instruction) > 64 * 1024


def test_what_another_run_lost_does_not_end_this_one(world: World) -> None:
    """The ledger tells of a loss to whoever flushes next."""
    unsound: Any = {1, 2}
    world.machines.ledger.emit(event.PlanMade(run="r2", tasks=unsound, source="spec"))
    world.steps.ended = [ended(7)]

    assert go(world, world.assignment(plan="single")) == {"change": 7}
    assert world.machines.runs.get("r1").state == "done"


def test_the_first_task_that_stops_ends_the_run_with_its_reason(world: World) -> None:
    world.steps.ended = [ended(1), {"why": "limit", "reason": "no money", "branch": "nightmill/wip/r1-2"}]
    answer = go(world, world.assignment(STACKED))

    assert answer == {"why": "limit", "reason": "task T2 (r1-2): no money"}
    assert len(world.steps.started) == 2
    last = world.told()[-1]
    assert isinstance(last, event.RunStopped)
    assert (last.why, last.hint) == ("limit", "nightmill show r1-2")


def test_a_run_that_is_cancelled_between_tasks_starts_no_further(world: World) -> None:
    class Cancelling(type(world.steps)):  # type: ignore[misc]
        async def result(self, run: str) -> Any:
            world.control.want("cancel", ADA)
            return ended(1)

    world.steps = Cancelling()
    answer = go(world, world.assignment(STACKED))

    assert answer == {"why": "cancelled", "reason": f"cancelled by {ADA}"}
    assert [run for run, _ in world.steps.started] == ["r1-1"]


def test_a_run_that_is_cancelled_while_it_plans_asks_nobody(world: World) -> None:
    world.control.want("cancel", ADA)
    assert go(world, world.assignment())["why"] == "cancelled"
    assert world.steps.started == []


def test_a_plan_that_cannot_be_had_stops_the_run(world: World) -> None:
    """No key is in this home: the one who can set it is told so."""
    answer = go(world, world.assignment())

    assert answer["why"] == "failed"
    assert "no API key" in answer["reason"]
    last = world.told()[-1]
    assert isinstance(last, event.RunStopped)
    assert "ANTHROPIC_API_KEY" in last.hint


def test_doing_it_again_makes_no_second_child(world: World) -> None:
    """A worker that died may run a step twice: rows and events are the same afterwards."""
    asked = world.assignment(STACKED)
    for _ in range(2):
        world.steps.ended = [ended(1), ended(2), ended(3)]
        go(world, asked)

    assert len(children(world)) == 3
    assert len([each for each in world.told() if isinstance(each, event.TaskQueued)]) == 3


def test_a_pause_between_tasks_is_obeyed(world: World) -> None:
    world.want("pause")
    world.control.want("pause", ADA)
    world.steps.messages = [{"wanted": "run", "by": "Bob", "count": 2}]
    world.steps.ended = [ended(7)]

    class Resumed(type(world.steps)):  # type: ignore[misc]
        async def receive(self, topic: str, seconds: float) -> Any:
            world.control.want("run", "Bob")
            return await super().receive(topic, seconds)

    world.steps = Resumed(messages=world.steps.messages, ended=world.steps.ended)
    assert go(world, world.assignment(plan="single")) == {"change": 7}
    assert [each.name for each in world.told()][2:4] == ["run_paused", "run_resumed"]


@pytest.mark.parametrize("text", ["", STACKED])
def test_an_assignment_is_the_same_after_the_store(world: World, text: str) -> None:
    asked = world.assignment(text)

    assert read(write(asked)) == asked
