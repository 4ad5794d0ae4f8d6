"""The `map` step: each item is a run of its own in a fork of the sandbox, so many at a time, thrown away afterwards."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from nightmill import event
from nightmill.blueprint.nouns import Blueprint, MapStep
from nightmill.line.assignment import queue
from nightmill.line.process.agents import share
from nightmill.line.process.walk import Outcome
from nightmill.line.stop import Stopped
from nightmill.policy import Budget

if TYPE_CHECKING:
    from nightmill.line.process.agents import Agents
    from nightmill.line.process.walk import At
    from nightmill.line.process.workshop import Workshop
    from nightmill.line.whole import Children

__all__ = ["Parts"]


class Item(NamedTuple):
    """One item: its value, the commit that it begins at, and what it may use."""

    value: Any
    head: str
    budget: Budget


@dataclass(slots=True, kw_only=True)
class Parts:
    """The maps of one run."""

    workshop: Workshop
    agents: Agents

    async def map(self, step: MapStep, at: At) -> Outcome:
        """Do the steps of *step* for each item.

        Raises:
            Stopped: If an item came to a bound, once the others are over: what a limit stopped did not fail.
        """
        items = await at.value(step.map)
        if not isinstance(items, list):
            return Outcome(ok=False, reason=f"`map` of {step.id!r} came to {type(items).__name__}, not to a list")
        if len(items) > step.most:
            return Outcome(ok=False, reason=f"{len(items)} items, and {step.id!r} takes {step.most} at most")
        if not items:
            return Outcome(ok=True, value={"results": [], "count": 0, "failed": 0})
        budget = share(self.workshop.assignment.budget, self.agents.spent, count=len(items))
        head = await self.workshop.current()
        if not head:
            return Outcome(ok=False, reason=f"the work cannot be taken out: {self.workshop.trouble}")
        results: list[Any] = []
        failed: list[str] = []
        limits: list[str] = []
        under_way: deque[str] = deque()
        todo = deque(enumerate(items, 1))
        while todo or under_way:
            while todo and len(under_way) < step.at_once:
                number, item = todo.popleft()
                under_way.append(await self._start(step, at, number, Item(item, head, budget)))
            ended = await self._children.result(under_way.popleft())
            amiss = limits if ended.get("why") == "limit" else failed
            amiss += [f"item {len(results) + 1}: {ended['reason']}"] if "why" in ended else []
            results.append(ended.get("outputs", {}).get("gives") if "why" not in ended else None)
        await self.workshop.waiting.attempt("items over", self._wanted)  # they ended because the run is to
        if limits:
            raise Stopped("limit", f"{step.title or step.id}: {limits[0]}"[:2000])
        value = {"results": results, "count": len(results), "failed": len(failed)}
        reason = f"{len(failed)} of {len(results)} items failed: {failed[0]}"[:2000] if failed else ""
        return Outcome(ok=not failed, value=value, reason=reason)

    @property
    def _children(self) -> Children:
        return cast("Children", self.workshop.steps)

    async def _wanted(self) -> dict[str, Any]:
        control = self.workshop.control
        return {} if control.wanted == "run" else {"wanted": control.wanted, "by": control.by}

    async def _start(self, step: MapStep, at: At, number: int, item: Item) -> str:
        shop = self.workshop
        child = f"{shop.run}-{at.path.replace('/', '-').replace('.', '-')}-{number}"
        await shop.waiting.attempt(f"queue {child}", lambda: self._queue(step, at, child, item))
        shop.tell(event.TaskQueued(run=shop.run, task=f"{at.path}/{number}", child=child))
        await self._children.start(child, "task", child)
        return child

    async def _queue(self, step: MapStep, at: At, child: str, item: Item) -> dict[str, Any]:
        """The row and the assignment of an item's run: the steps of the map, with all that they may read."""
        shop = self.workshop
        if wanted := await self._wanted():  # no item begins while the run is to rest
            return wanted
        own = Blueprint(
            name=at.blueprint.name,
            version=at.blueprint.version,
            title=step.title or step.id,
            steps=step.steps,
            outputs={"gives": step.gives} if step.gives else {},
            source=at.blueprint.source,
            digest=at.blueprint.digest,
        )
        others = tuple(each for each in shop.assignment.blueprints if each.name != own.name)
        values = {**at.values, step.each: item.value}
        assignment = replace(
            shop.assignment,
            base_commit=item.head,
            parent=shop.run,
            root=shop.assignment.root or shop.assignment.parent or shop.run,
            budget=item.budget,
            blueprints=(own, *others),
            values=json.loads(json.dumps(values)),
            begun=None,
        )
        title = f"{step.title or step.id}: {str(item.value)[:80]}"
        machines = shop.machines
        await asyncio.to_thread(
            queue, assignment, run=child, title=title, blobs=machines.blobs, runs=machines.runs, blueprint=""
        )
        return {}
