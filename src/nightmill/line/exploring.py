"""The explorers of one run: whom they ask, what they may spend, and what is kept of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from nightmill import agent, event
from nightmill.errors import ToolError
from nightmill.line import brief as briefs
from nightmill.line import room
from nightmill.line.asking import Asking, Question
from nightmill.line.assignment import models
from nightmill.line.record import finished, write_record
from nightmill.line.writing import Beside
from nightmill.policy import Spent
from nightmill.prompt import render
from nightmill.tool import exploring

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nightmill.agent import AgentState, Brief, TurnRecord
    from nightmill.crew import Role
    from nightmill.line.assignment import Assignment
    from nightmill.line.journal import Journal
    from nightmill.line.machines import Machines
    from nightmill.line.writing import Writing
    from nightmill.model import ModelReply
    from nightmill.tool import ToolContext
    from nightmill.tool.base import Explored
    from nightmill.tool.base import Question as Asked

__all__ = ["Exploring"]

MOST = 20
"""Explorers that one run may send out."""


@dataclass(slots=True, kw_only=True)
class Exploring:
    """Live in this process; replies of theirs that were paid for are found in the run's journal.

    *without* is what whoever sends them works without: they have no more. *reports* are those of the latest turn:
    (explorer, question, report).
    """

    run: str
    machines: Machines
    assignment: Assignment
    brief: Brief
    journal: Journal
    writing: Writing
    without: frozenset[str] = frozenset()
    reports: list[tuple[str, str, str]] = field(default_factory=list)

    def of(self, state: AgentState, context: ToolContext) -> Callable[[tuple[Asked, ...]], Awaitable[Explored]]:
        """What sends explorers out in the turn after *state*; they see what *context* shows."""
        before: list[Explored] = []
        self.reports.clear()

        async def send(questions: tuple[Asked, ...]) -> Explored:
            sent = state.explorers + sum(each.count for each in before)
            if sent + len(questions) > MOST:
                raise ToolError(f"this run may send out {MOST} explorers, and {sent} went: search and read yourself")
            party = self._party(state, context, count=len(questions), before=before)
            found = await agent.explore(questions, party=party)
            before.append(found)
            return found

        return send

    def _party(self, state: AgentState, context: ToolContext, *, count: int, before: list[Explored]) -> agent.Party:
        role = briefs.role("explorer", self.assignment)
        harness = render("agent/harness", tag=self.brief.tag)
        left = self._left(role)
        tools = exploring().only(role.tools if left is None else left)
        spent = self._spent(state, before)

        async def ask(child: Brief, at: AgentState) -> ModelReply:
            asking = Asking(
                run=self.run,
                role=replace(role, name=child.role),
                machines=self.machines,
                assignment=self.assignment,
                journal=self.journal,
                cheap=True,
                heard=lambda *_: context.workspace.rouse(),
                writing=Beside(self.writing, child.role),
            )
            key = agent.fingerprint(agent.fixed(child, tools), at)
            if (paid := await asking.find(key)) is not None:
                return paid
            request = agent.ask(child, at, tools, max_tokens=self.assignment.max_tokens)
            question = Question(
                key=key,
                turn=at.turn + 1,
                request=request,
                size=agent.size(child, at, tools),
                spent=self._share(spent, at, count),
            )
            return await asking.reply(question)

        return agent.Party(
            parent=self.brief,
            turn=state.turn + 1,
            instructions=(role.instructions, harness.text),
            model=models(self.assignment, role, cheap=True)[0].name,
            tools=tools,
            context=context,
            told=agent.Told(run=self.run, emit=self.machines.ledger.emit, clock=self.machines.clock),
            ask=ask,
            sent=partial(self._tell, left),
            kept=self._keep,
            compact_at=room.explorers(self.assignment, role),
        )

    def _spent(self, state: AgentState, before: list[Explored]) -> Spent:
        """What the run has used when they go."""
        usage = sum((each.usage for each in before), state.usage)
        money = state.cost + sum(each.cost or 0.0 for each in before)
        return Spent(turns=state.turn, tokens=usage.input + usage.output, money=money, seconds=state.seconds)

    def _share(self, spent: Spent, at: AgentState, count: int) -> Spent:
        """*spent* so that each of *count* explorers has its part of what is left, and all together cannot pass it."""
        budget = self.assignment.budget
        tokens, money = budget.tokens - spent.tokens, budget.money - spent.money
        return Spent(
            turns=spent.turns,
            tokens=budget.tokens - tokens // count + at.usage.input + at.usage.output,
            money=budget.money - money / count + at.cost,
            seconds=spent.seconds,
        )

    def _left(self, role: Role) -> list[str] | None:
        """The tools of *role* without those that whoever sends it has lost; None: all of it."""
        offered = exploring().only(role.tools).tools
        return [name for name in offered if name not in self.without] if self.without.intersection(offered) else None

    def _tell(self, tools: list[str] | None, child: Brief) -> None:
        kept = self.machines.blobs.put(briefs.write_brief(child))
        self.machines.ledger.emit(
            event.ExplorerSent(run=self.run, role=child.role, question=child.objective, brief=kept, tools=tools)
        )

    def _keep(self, child: Brief, record: TurnRecord) -> None:
        kept = self.machines.blobs.put(write_record(record))
        Beside(self.writing, child.role).end()
        emit, run = self.machines.ledger.emit, self.run
        emit(finished(record, run=run, role=child.role, model=child.model, kept=kept, snapshot=""))
        if record.ending is not None and record.ending.kind == "finished":
            self.reports.append((child.role, child.objective, record.ending.text))
