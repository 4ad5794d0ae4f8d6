"""The turns of one agent: each is one checkpoint, and the next turn begins while that is written.

The order is fixed: reply kept in the journal → tools run → next call starts → snapshot complete → next tools run.
The checkpoint that names the snapshot is written beside those, and only when it is stored is the call after them made.
A turn that has to run again starts from the snapshot before it, with the reply that was already paid for.
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
from nightmill.line.words import unheard
from nightmill.model.problem import CONTEXT_HINT
from nightmill.policy import FOOTPRINT, Spent
from nightmill.tool import ToolContext
from nightmill.tool.outputs import FolderOutputs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightmill.agent import Brief, Word
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """A turn under way: *stand* is to be told the snapshot that its tools begin from."""

    key: str
    taking: asyncio.Task[TurnRecord]
    stand: asyncio.Future[str]


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
    before: Spent = Spent()
    """What other conversations of the run have used."""
    listens: bool = True
    """Whether it hears what people say to the run: who judges does not, so that nobody talks a verdict into being."""
    without: frozenset[str] = frozenset()
    """What it works without, and whom it sends out, too."""
    _ahead: Ahead | None = None
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
            writing=self.control.writing,
            without=self.without,
        )

    def equip(self, tools: Toolset, *, without: frozenset[str]) -> None:
        """Have *tools* from the next turn on, and nothing of what is in *without*."""
        self.tools, self._fixed = tools, ""
        self.without = self._exploring.without = without

    async def turn(self, snapshot: str) -> dict[str, Any]:
        """Take one turn from *snapshot*: `{"record", "snapshot"}`, or what kept it from happening.

        `{"wanted"}`: a person wants something else. `{"error"}`: a plain error, of the class that says who must act.
        """
        if self.control.wanted != "run":
            await self.forget()
            return {"wanted": self.control.wanted, "by": self.control.by}
        try:
            return await self.control.unless_cancelled(self._turn(snapshot))
        except Exception as error:
            await self.forget()
            if isinstance(error, Cancelled):
                return {"wanted": "cancel", "by": self.control.by}
            if isinstance(error, LimitReached | ModelRefused | ModelUnavailable | NotYet | SandboxError):
                return {"error": error.to_plain()}
            raise

    async def forget(self) -> None:
        """Drop the turn that was begun early; whatever it did in the sandbox is in no snapshot. Hold nothing."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.taking.cancel()
            await asyncio.wait({ahead.taking})
        self.asking.rest()
        self.control.writing.clear()

    async def _turn(self, snapshot: str) -> dict[str, Any]:
        key, ahead = self._key(self.state), self._ahead
        if ahead is None or ahead.key != key:
            await self.forget()
            ahead = self._ahead = self._begin(self.state, key)
            ahead.stand.set_result(snapshot)
        record = await self._unless_told(await ahead.taking)
        self._ahead = None
        keeping = asyncio.ensure_future(self._kept(record, snapshot))
        keeping.add_done_callback(_retrieved)
        try:
            await asyncio.sleep(0)  # the sandbox has been asked to hold still before the next call is put together
            if record.ending is not None:
                self.asking.rest()
            elif self.control.wanted == "run":
                after = self.after(record)
                self._ahead = self._begin(after, self._key(after))
            return await self._checkpoint(record, keeping)
        finally:
            keeping.cancel()

    async def _checkpoint(self, record: TurnRecord, keeping: asyncio.Future[str]) -> dict[str, Any]:
        """What is stored of a turn once *keeping* is done; the next turn's tools begin before it is."""
        kept = await keeping
        reports = tuple(self._exploring.reports)
        if self._ahead is not None:
            self._ahead.stand.set_result(kept)
            await asyncio.sleep(0)
        if record.notes or reports:
            await asyncio.to_thread(self.knowledge.turn, self.state, record, role=self.brief.role, reports=reports)
        return {"record": self.machines.blobs.put(write_record(record)), "snapshot": kept}

    async def _kept(self, record: TurnRecord, snapshot: str) -> str:
        return await self.workplace.keep() if record.changed else snapshot

    # One turn

    def _begin(self, state: AgentState, key: str) -> Ahead:
        """Take the turn after *state*: its tools run as soon as it is said which snapshot it stands on."""
        stand: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        taking = asyncio.ensure_future(self._take(state, key, stand))
        taking.add_done_callback(_retrieved)
        return Ahead(key=key, taking=taking, stand=stand)

    async def _take(self, state: AgentState, key: str, stand: asyncio.Future[str]) -> TurnRecord:
        words = await self._unheard(state)
        if words:
            state = agent.hear(self.brief, state, words)
            key = self._key(state)
        try:
            reply = await self.asking.find(key) or await self._ask(state, key)
        except ModelRefused as refused:
            if refused.hint != CONTEXT_HINT or state.outgrown >= MOST_OUTGROWN:
                raise
            return replace(agent.outgrown(state, seconds=0.0), heard=words)
        return replace(await self._act(state, reply, await stand), heard=words)

    async def _unless_told(self, record: TurnRecord) -> TurnRecord:
        """*record*, without its finish if a person has said something by now: it goes on, and hears it."""
        finished = record.ending is not None and record.ending.kind == "finished"
        told = finished and await self._unheard(self.after(record), look=True)
        return replace(record, ending=None) if told else record

    async def _unheard(self, state: AgentState, *, look: bool = False) -> tuple[Word, ...]:
        if not self.listens:
            return ()
        return await unheard(self.machines, self.control, run=self.run, after=state.heard, look=look)

    async def _act(self, state: AgentState, reply: ModelReply, snapshot: str) -> TurnRecord:
        """Carry out *reply* to *state*; a sandbox that fails is built again once, from the snapshot before."""
        for last in (False, True):
            self.control.writing.go_on(role=self.brief.role, turn=state.turn + 1)
            try:
                workspace = await self.workplace.stand_at(snapshot)
                self.workplace.touched()
                if not state.turn:
                    self.workplace.first_seen()
                context = ToolContext(
                    workspace=workspace,
                    limits=self.assignment.project.limits,
                    # Each piece on its way costs something, and who comes later sees the next command.
                    watch=self.control.writing.output if self.control.watched else None,
                    news=self.workplace.news,
                    outputs=self._outputs,
                    veil=self.machines.blobs.hidden,
                    given=(self.assignment.spec.text,),
                    results=self.results,
                    within=self.brief.footprint if FOOTPRINT in self.without else (),
                )
                self.results.turn = state.turn + 1
                record = await agent.act(
                    self.brief,
                    state,
                    reply,
                    tools=self.tools,
                    context=replace(context, explore=self._exploring.of(state, context)),
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

    async def _ask(self, state: AgentState, key: str) -> ModelReply:
        spent = Spent(
            turns=self.before.turns + state.turn,
            tokens=self.before.tokens + state.usage.input + state.usage.output,
            money=self.before.money + state.cost,
            seconds=self.before.seconds + state.seconds,
        )
        most = max(LEAST_REPLY, self.assignment.max_tokens >> state.outgrown)
        request = agent.ask(self.brief, state, self.tools, max_tokens=most)
        size = agent.size(self.brief, state, self.tools)
        question = Question(key=key, turn=state.turn + 1, request=request, size=size, spent=spent, start=state.model)
        return await self.asking.reply(question)


def _retrieved(task: asyncio.Future[Any]) -> None:
    """Take a failure out of a task that nobody may await any more."""
    if not task.cancelled():
        task.exception()
