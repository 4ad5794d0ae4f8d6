"""One task as one durable run: its blueprint, gone through step by step, in a sandbox of its own.

Between its steps this does nothing whose outcome could differ when it is run again: whatever looks at the world is
inside a step, and what a step gives is plain data.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

from nightmill import event
from nightmill.agent import AgentState
from nightmill.errors import NightmillError
from nightmill.line.knowledge import Knowledge
from nightmill.line.past import Past
from nightmill.line.process.agents import Agents
from nightmill.line.process.deeds import Deeds
from nightmill.line.process.taking import take_over
from nightmill.line.process.trial import Trial
from nightmill.line.process.walk import walk
from nightmill.line.process.workshop import Workshop
from nightmill.line.stop import Stopped
from nightmill.store import AWAY

if TYPE_CHECKING:
    from nightmill.line.assignment import Assignment
    from nightmill.line.control import Control
    from nightmill.line.machines import Machines
    from nightmill.line.process.walk import Doer, Ended
    from nightmill.line.whole import Children

__all__ = ["TaskRun"]

log = logging.getLogger(__name__)


class TaskRun:
    """A task, live in this process. `go` is the durable part."""

    def __init__(
        self, *, run: str, assignment: Assignment, machines: Machines, steps: Children, control: Control
    ) -> None:
        self.run = run
        self.assignment = assignment
        self.machines = machines
        self.past = Past(steps, begun=self._begun) if assignment.origin else None
        self.workshop = Workshop(
            run=run, assignment=assignment, machines=machines, control=control, steps=self.past or steps
        )
        self.knowledge = Knowledge(run=run, machines=machines, assignment=assignment)
        self.agents = Agents(workshop=self.workshop, knowledge=self.knowledge)
        self.workshop.resting = self.agents.rest

    async def go(self) -> dict[str, Any]:
        """Work until the blueprint ends: what its change is, `{"change", "commit", "branch"}`, or `{"why", "reason"}`."""
        try:
            return await self._done(await self._walk())
        except Stopped as stopped:
            return await self._stop(stopped)
        except AWAY:
            raise  # no end of the run: the engine lets it go on once the store is back
        except NightmillError as error:
            return await self._stop(Stopped.of(error))
        except Exception as error:
            log.exception("run %s failed", self.run)
            return await self._stop(Stopped.of(error))
        finally:
            await self.workshop.rest()

    async def _walk(self) -> Ended:
        assignment = self.assignment
        if self.past is not None:
            await take_over(self.workshop, self.past)
        await self.workshop.prepare()
        deeds = Deeds(workshop=self.workshop, agents=self.agents)
        doer: Doer = deeds
        if assignment.trial:
            doer = Trial(deeds=deeds, **json.loads(self.machines.blobs.get(assignment.trial)))
        blueprints = {each.name: each for each in assignment.blueprints}
        return await walk(
            assignment.blueprints[0],
            assignment.inputs,
            doer=doer,
            blueprints=blueprints,
            told=deeds.told,
            values=assignment.values,
        )

    def _begun(self) -> None:
        self.agents.anew()

    async def _done(self, ended: Ended) -> dict[str, Any]:
        """Tell how the walk ended, with the change that it made, if it made one.

        Raises:
            Stopped: If it did not come to its end.
        """
        if ended.kind != "done":
            raise Stopped("failed", ended.reason, f"the step {ended.step} says why: nightmill log {self.run}")
        landed = self.workshop.landed
        await self.machines.conclude(
            event.RunDone(run=self.run, change=landed.get("number", 0), outputs=dict(ended.outputs))
        )
        found: dict[str, Any] = {"change": landed.get("number", 0), "outputs": dict(ended.outputs)}
        return found | ({"commit": landed["commit"], "branch": landed["branch"]} if landed else {})

    async def _stop(self, stopped: Stopped) -> dict[str, Any]:
        """Keep the work on a branch before anything is torn down, then end."""
        await self.agents.rest()
        if self.agents.live is not None:
            state: AgentState = self.agents.live.state
            await asyncio.to_thread(self.knowledge.end, stopped, state)
        branch, why = await self.workshop.preserve()
        reason = f"{stopped.reason} ({why})" if why else stopped.reason
        await self.machines.conclude(
            event.RunStopped(run=self.run, why=stopped.why, reason=reason, hint=stopped.hint, branch=branch)
        )
        return {"why": stopped.why, "reason": reason, "branch": branch}
