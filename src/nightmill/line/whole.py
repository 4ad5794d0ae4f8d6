"""A spec as one durable run: the plan, then a run per task, each started from what it depends on."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from nightmill import event, plan
from nightmill.errors import NightmillError
from nightmill.line.architect import Architect
from nightmill.line.assignment import queue
from nightmill.line.prove import plain
from nightmill.line.steps import Steps, Waiting
from nightmill.line.stop import Stopped
from nightmill.store import AWAY

if TYPE_CHECKING:
    from nightmill.line.assignment import Assignment
    from nightmill.line.control import Control
    from nightmill.line.machines import Machines
    from nightmill.plan import Plan, Task

__all__ = ["Children", "SpecRun"]


class Children(Steps, Protocol):
    """Steps of a run that starts others."""

    async def start(self, run: str, workflow: str, *args: Any) -> None:
        """Put the child *run* in its queue, once."""
        ...

    async def result(self, run: str) -> Any:
        """Wait for the child *run* to end, and give what it gave."""
        ...


class SpecRun:
    """A spec, live in this process. `go` is the durable part."""

    def __init__(
        self, *, run: str, assignment: Assignment, machines: Machines, steps: Children, control: Control
    ) -> None:
        self.run = run
        self.assignment = assignment
        self.machines = machines
        self.steps = steps
        self.control = control
        self.waiting = Waiting(run=run, machines=machines, steps=steps, control=control, rest=_nothing_to_rest)

    async def go(self) -> dict[str, Any]:
        """Work until every task is a pull request, or stop at the first that is not."""
        try:
            return await self._tasks(await self._plan())
        except Stopped as stopped:
            return await self._stop(stopped)
        except AWAY:
            raise
        except NightmillError as error:
            return await self._stop(Stopped.of(error))

    async def _plan(self) -> Plan:
        made = await self.waiting.attempt("plan", self._draw_up)
        found = plan.from_plain(json.loads(self.machines.blobs.get(made["plan"])))
        self._architect().tell(made["turns"])
        tasks = [plain(task) for task in found.tasks]
        self.machines.ledger.emit(event.PlanMade(run=self.run, tasks=tasks, source=found.source))
        return found

    async def _draw_up(self) -> dict[str, Any]:
        """The plan: the spec's own, one task, or what the architect makes of it."""
        self.machines.ledger.emit(event.PhaseStarted(run=self.run, phase="plan"))
        assignment = self.assignment
        given = plan.from_spec(assignment.spec) or (
            plan.single(assignment.spec) if assignment.plan == "single" else None
        )
        if given is not None:
            made: dict[str, Any] = {"plan": plan.to_plain(given), "turns": []}
        else:
            try:
                made = await self.control.unless_cancelled(self._architect().plan())
            finally:
                self.control.writing.clear()
        # Tasks may quote their spec at length, and a checkpoint is bounded.
        return {**made, "plan": self.machines.blobs.put(json.dumps(made["plan"]).encode())}

    def _architect(self) -> Architect:
        writing = self.control.writing
        return Architect(run=self.run, assignment=self.assignment, machines=self.machines, writing=writing)

    async def _tasks(self, found: Plan) -> dict[str, Any]:
        """Run the tasks in order. Where any depends on another, each starts from the one before: a stack."""
        stacked = any(task.depends for task in found.tasks)
        commit, target, change = self.assignment.base_commit, self.assignment.base_branch, 0
        for number, task in enumerate(found.tasks, 1):
            await self._obey()
            child = f"{self.run}-{number}"
            await self.steps.step(f"queue {child}", partial(self._queue, child, task, commit, target))
            self.machines.ledger.emit(event.TaskQueued(run=self.run, task=task.id, child=child))
            await self.steps.start(child, "task", child)
            ended = await self.steps.result(child)
            if "why" in ended:
                raise Stopped(ended["why"], f"task {task.id} ({child}): {ended['reason']}", f"nightmill show {child}")
            change = ended["change"]
            if stacked:
                commit, target = ended["commit"], ended["branch"]
        await self.machines.conclude(event.RunDone(run=self.run, change=change))
        return {"change": change}

    async def _queue(self, child: str, task: Task, commit: str, target: str) -> dict[str, Any]:
        """Put the row and the assignment of the task's run where a worker and people find them."""
        assignment = replace(
            self.assignment, kind="task", task=task, base_commit=commit, target=target, parent=self.run
        )
        machines = self.machines
        await asyncio.to_thread(
            queue, assignment, run=child, title=task.title, blobs=machines.blobs, runs=machines.runs
        )
        return {}

    async def _obey(self) -> None:
        looked = await self.steps.step("look", self._look)
        if looked["wanted"] != "run":
            await self.waiting.obey(looked["wanted"], looked["by"])

    async def _look(self) -> dict[str, Any]:
        return {"wanted": self.control.wanted, "by": self.control.by}

    async def _stop(self, stopped: Stopped) -> dict[str, Any]:
        await self.machines.conclude(
            event.RunStopped(run=self.run, why=stopped.why, reason=stopped.reason, hint=stopped.hint)
        )
        return {"why": stopped.why, "reason": stopped.reason}


async def _nothing_to_rest() -> None:
    """A spec's run holds no sandbox."""
