"""One question of a run to whichever model of its list answers, within what the run and all runs may spend."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nightmill import event
from nightmill.line.assignment import models, price
from nightmill.model.route import Route
from nightmill.policy import least, reserve
from nightmill.policy.purse import Hold, millionths
from nightmill.store.accounts import Bound, Call

if TYPE_CHECKING:
    from nightmill.crew import Role
    from nightmill.line.assignment import Assignment
    from nightmill.line.journal import Journal
    from nightmill.line.machines import Machines
    from nightmill.line.writing import Beside, Writing
    from nightmill.model import Model, ModelReply, ModelRequest, Progress
    from nightmill.model.route import Choice, Trial
    from nightmill.policy import Spent
    from nightmill.settings import Settings

__all__ = ["Asking", "Question", "bounds", "call_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked in one turn.

    Attributes:
        key: The fingerprint under which the reply is kept, the same whichever model gives it.
        size: Tokens of the request, rather too high.
        spent: What the run has used so far.
        start: Number in the list of the model to begin with: a guard that wants another one raises it.
    """

    key: str
    turn: int
    request: ModelRequest
    size: int
    spent: Spent
    start: int = 0


@dataclass(slots=True, kw_only=True)
class Asking:
    """All questions of one role in one run, in this process."""

    run: str
    role: Role
    machines: Machines
    assignment: Assignment
    journal: Journal
    cheap: bool = False
    heard: Progress | None = None
    """Hears each reply while it streams in."""
    writing: Writing | Beside | None = None
    """What people may see of it meanwhile."""
    _asked: str = ""
    _models: dict[Choice, Model] = field(default_factory=dict)

    async def find(self, key: str) -> ModelReply | None:
        """The reply that was paid for before, in whichever process."""
        await self.machines.purse.recover(self.run, worker=self.machines.worker, paid=self._paid)
        return self.journal.find(key)

    def rest(self) -> None:
        """Hold no more than calls under way need."""
        self.machines.purse.rest(self.run)

    async def reply(self, question: Question) -> ModelReply:
        """Ask the first model of the list that is well.

        Raises:
            LimitReached: If the run or its spec may not spend what the call could cost.
            NotYet: If the day may not, or no model of several answers.
            ModelError: If the only model fails.
        """
        for trial in self._route().trials(start=question.start):
            reply = await self._try(trial, question)
            if reply is not None:
                return reply
        raise AssertionError("the last trial returns or raises")

    def _route(self) -> Route:
        choices = models(self.assignment, self.role, cheap=self.cheap)
        self._asked = self._asked or choices[0].name
        return Route(choices, self.machines.circuits)

    async def _try(self, trial: Trial, question: Question) -> ModelReply | None:
        """The reply of one model; None if another may be asked instead."""
        choice, purse = trial.choice, self.machines.purse
        hold = await self._reserve(question, choice)
        reply = None
        try:
            with trial:
                self._tell(trial, question)
                reply = await self._reply(choice, question, hold.reply)
                self.journal.keep(question.key, reply, by=hold.id)
        finally:
            if reply is None:
                purse.release(hold)
            else:
                purse.settle(hold, money=reply.cost, tokens=reply.usage.input + reply.usage.output)
        return reply

    async def _reserve(self, question: Question, choice: Choice) -> Hold:
        costs, most = price(choice), question.request.max_tokens
        allowed = reserve(
            self.assignment.budget, question.spent, input_tokens=question.size, max_tokens=most, price=costs
        )
        shared = bounds(self.assignment, self.machines.settings)
        call = call_of(self.assignment, secrets.token_hex(8), run=self.run, worker=self.machines.worker)
        return await self.machines.purse.reserve(
            call, bounds=shared, input_tokens=question.size, max_tokens=allowed, price=costs
        )

    def _tell(self, trial: Trial, question: Question) -> None:
        emit, name, turn = self.machines.ledger.emit, trial.choice.name, question.turn
        if name != self._asked:
            reason = trial.passed or ("another model was asked for" if question.start else "")
            emit(event.ModelSwitched(run=self.run, turn=turn, model=name, before=self._asked, reason=reason))
            self._asked = name
        self._begin(question)
        emit(event.TurnStarted(run=self.run, turn=turn, role=self.role.name, model=name, request=question.key))

    async def _reply(self, choice: Choice, question: Question, allowed: int) -> ModelReply:
        emit, run, turn = self.machines.ledger.emit, self.run, question.turn

        def notice(reason: str, wait: float, attempt: int) -> None:
            if attempt:
                self._begin(question)
                emit(event.ModelRetried(run=run, turn=turn, reason=reason, wait=wait, attempt=attempt))
            else:
                emit(event.ModelAwaited(run=run, turn=turn, reason=reason))

        if choice not in self._models:
            self._models[choice] = self.machines.model(choice.name, choice.base_url)
        reply = await self._models[choice].reply(
            replace(question.request, model="", max_tokens=allowed), progress=self._progress(), notice=notice
        )
        if self.writing is not None:
            self.writing.whole()
        emit(
            event.ReplyReceived(
                run=run,
                turn=turn,
                first_seconds=reply.first_seconds,
                seconds=reply.seconds,
                output_tokens=reply.usage.output,
            )
        )
        return reply

    def _begin(self, question: Question) -> None:
        """What was heard of the answer before, if there was one, counts no more."""
        if self.writing is not None:
            self.writing.begin(role=self.role.name, turn=question.turn)

    def _progress(self) -> Progress | None:
        heard, writing = self.heard, self.writing
        if writing is None:
            return heard
        if heard is None:
            return writing.hear

        def both(kind: str, text: str) -> None:
            heard(kind, text)
            writing.hear(kind, text)

        return both

    def _paid(self, call: Call) -> tuple[float | None, int] | None:
        return self.journal.paid(call.id)


def bounds(assignment: Assignment, settings: Settings) -> tuple[Bound, ...]:
    """What the runs of *assignment*'s spec, of its project and of the day may spend together."""
    budget, most = assignment.budget, assignment.policy.budgets
    return (
        Bound(scope="spec", money=millionths(budget.spec_money), tokens=budget.spec_tokens),
        Bound(scope="project", money=millionths(least(assignment.project.budget, most.project)), tokens=0),
        Bound(
            scope="day",
            money=millionths(least(settings.budget_day_money, most.day)),
            tokens=settings.budget_day_tokens,
        ),
    )


def call_of(assignment: Assignment, key: str, *, run: str, worker: str) -> Call:
    """The call *key* of *run*, as the accounts know it."""
    return Call(
        id=f"{run}/{key}",
        run=run,
        worker=worker,
        project=assignment.project.id,
        spec=assignment.root or assignment.parent or run,
    )
