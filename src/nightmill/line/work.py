"""The turns of one agent: each is one checkpoint, the next model call starts while the last snapshot is written.

The order is fixed: reply kept in the journal → tools run → next call starts → snapshot complete → checkpoint that
names it → next command. A turn that has to run again starts from the snapshot before it, with the reply that was
already paid for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nightmill import agent, event
from nightmill.agent import AgentState, TurnRecord
from nightmill.errors import LimitReached, ModelRefused, ModelUnavailable, NotYet, SandboxError
from nightmill.line.asking import Question
from nightmill.line.control import Cancelled
from nightmill.line.exploring import Exploring
from nightmill.line.record import write_record
from nightmill.model.problem import CONTEXT_HINT
from nightmill.policy import Spent
from nightmill.tool import ToolContext
from nightmill.tool.outputs import FolderOutputs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightmill.agent import Brief
    from nightmill.line.asking import Asking
    from nightmill.line.assignment import Assignment
    from nightmill.line.control import Control
    from nightmill.line.knowledge import Knowledge
    from nightmill.line.machines import Machines
    from nightmill.line.results import CheckResults
    from nightmill.line.workplace import Workplace
    from nightmill.model import ModelReply
    from nightmill.tool import Toolset

__all__ = ["Work"]

LEAST_REPLY = 1024
MOST_OUTGROWN = 3
"""Requests in a row that may be too long: the first is cut to its state, and each may have a shorter reply."""


@dataclass(slots=True, kw_only=True)
class Work:
    """One agent at work on one task, live in this process. *state* is set by the run before each turn."""

    run: str
    machines: Machines
    assignment: Assignment
    brief: Brief
    tools: Toolset
    asking: Asking
    workplace: Workplace
    control: Control
    knowledge: Knowledge
    results: CheckResults
    state: AgentState = AgentState()
    _ahead: tuple[str, asyncio.Task[ModelReply]] | None = None
    _fixed: str = ""
    _outputs: FolderOutputs = field(init=False)
    _exploring: Exploring = field(init=False)

    def __post_init__(self) -> None:
        self._outputs = FolderOutputs(self.machines.folder(self.run) / "outputs")
        self._exploring = Exploring(
            run=self.run,
            machines=self.machines,
            assignment=self.assignment,
            brief=self.brief,
            journal=self.asking.journal,
        )

    async def turn(self, snapshot: str) -> dict[str, Any]:
        """Take one turn from *snapshot*: `{"record", "snapshot"}`, or what kept it from happening.

        `{"wanted"}`: a person wants something else. `{"error"}`: a plain error, of the class that says who must act.
        """
        if self.control.wanted != "run":
            await self.forget()
            return {"wanted": self.control.wanted, "by": self.control.by}
        try:
            return await self.control.unless_cancelled(self._turn(snapshot))
        except Cancelled:
            await self.forget()
            return {"wanted": "cancel", "by": self.control.by}
        except (LimitReached, ModelRefused, ModelUnavailable, NotYet, SandboxError) as error:
            await self.forget()
            return {"error": error.to_plain()}

    async def forget(self) -> None:
        """Drop the call that was started early."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead[1].cancel()
            await asyncio.wait({ahead[1]})

    async def _turn(self, snapshot: str) -> dict[str, Any]:
        try:
            reply = await self._reply()
        except ModelRefused as refused:
            if refused.hint != CONTEXT_HINT or self.state.outgrown >= MOST_OUTGROWN:
                raise
            record = agent.outgrown(self.state, seconds=0.0)
        else:
            record = await self._act(reply, snapshot)
        after = self.after(record)
        if record.ending is None and self.control.wanted == "run":
            self._start_ahead(after)
        reports = self._exploring.reports
        await asyncio.to_thread(self.knowledge.turn, self.state, record, role=self.brief.role, reports=reports)
        body = write_record(record)
        kept = await self.workplace.keep() if record.changed else snapshot
        return {"record": self.machines.blobs.put(body), "snapshot": kept}

    async def _act(self, reply: ModelReply, snapshot: str) -> TurnRecord:
        """Carry out *reply*; a sandbox that fails is built again once, from the snapshot before."""
        for last in (False, True):
            try:
                workspace = await self.workplace.stand_at(snapshot)
                self.workplace.touched()
                context = ToolContext(
                    workspace=workspace,
                    limits=self.assignment.project.limits,
                    news=self.workplace.news,
                    outputs=self._outputs,
                    results=self.results,
                )
                self.results.turn = self.state.turn + 1
                record = await agent.act(
                    self.brief,
                    self.state,
                    reply,
                    tools=self.tools,
                    context=replace(context, explore=self._exploring.of(self.state, context)),
                    told=agent.Told(run=self.run, emit=self.machines.ledger.emit, clock=self.machines.clock),
                )
            except SandboxError:
                await self.workplace.leave()
                if last:
                    raise
            else:
                if not record.changed:
                    self.workplace.untouched()
                return record
        raise AssertionError("the loop returns or raises")

    def after(self, record: TurnRecord) -> AgentState:
        """The state after *record*."""
        return agent.apply(self.brief, self.state, record)

    def moved(self, before: AgentState) -> Iterator[event.Event]:
        """What the latest turn did to the context, and where the work is going, coming from *before*."""
        after, run, role = self.state, self.run, self.brief.role
        if after.compactions > before.compactions:
            sizes = [agent.size(self.brief, state, self.tools) for state in (before, after)]
            yield event.ContextCompacted(
                run=run, turn=after.turn, role=role, layer=after.layer, before=sizes[0], after=sizes[1]
            )
        drift = agent.score(self.brief, after)
        if agent.ADRIFT <= drift.score != agent.score(self.brief, before).score:
            yield event.DriftScored(run=run, turn=after.turn, role=role, score=drift.score, why=drift.why)

    # The model call

    def _key(self, state: AgentState) -> str:
        if not self._fixed:
            self._fixed = agent.fixed(self.brief, self.tools)
        return agent.fingerprint(self._fixed, state)

    async def _reply(self) -> ModelReply:
        key = self._key(self.state)
        if (paid := await self.asking.find(key)) is not None:
            return paid
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == key:
            return await ahead[1]
        if ahead is not None:
            ahead[1].cancel()
        return await self._ask(self.state, key)

    def _start_ahead(self, state: AgentState) -> None:
        key = self._key(state)
        if self.asking.journal.find(key) is None:
            task = asyncio.ensure_future(self._ask(state, key))
            task.add_done_callback(_retrieved)
            self._ahead = (key, task)

    async def _ask(self, state: AgentState, key: str) -> ModelReply:
        spent = Spent(
            turns=state.turn,
            tokens=state.usage.input + state.usage.output,
            money=state.cost,
            seconds=state.seconds,
        )
        most = max(LEAST_REPLY, self.assignment.max_tokens >> state.outgrown)
        request = agent.ask(self.brief, state, self.tools, max_tokens=most)
        size = agent.size(self.brief, state, self.tools)
        question = Question(key=key, turn=state.turn + 1, request=request, size=size, spent=spent, start=state.model)
        return await self.asking.reply(question)


def _retrieved(task: asyncio.Task[ModelReply]) -> None:
    """Take a failure out of a task that nobody may await any more."""
    if not task.cancelled():
        task.exception()
