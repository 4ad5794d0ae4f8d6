"""The architect at work on one spec: each reply is kept, told and bounded like a developer's turn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import TypeAdapter

from nightmill import event, plan
from nightmill.line import brief as briefs
from nightmill.line.assignment import price
from nightmill.line.journal import Journal
from nightmill.line.prove import plain
from nightmill.model import ModelReply, ModelRequest
from nightmill.policy import Spent, reserve

if TYPE_CHECKING:
    from nightmill.line.assignment import Assignment
    from nightmill.line.machines import Machines
    from nightmill.model import Model

__all__ = ["Architect", "Exchange", "exchanges"]


class Exchange(NamedTuple):
    """One question and its answer."""

    asked: ModelRequest
    reply: ModelReply


@cache
def exchanges() -> TypeAdapter[Exchange]:
    """Exchanges as JSON."""
    return TypeAdapter(Exchange)


@dataclass(slots=True, kw_only=True)
class Architect:
    """Live in this process for one attempt; replies of attempts before are found in the journal."""

    run: str
    assignment: Assignment
    machines: Machines
    turns: list[dict[str, Any]] = field(default_factory=list)
    _spent: Spent = Spent()

    async def plan(self) -> dict[str, Any]:
        """The plan as plain data, and what each reply on the way used: `{"plan", "turns"}`.

        Raises:
            LimitReached: If the model refuses, mends in vain, or the run's budget does not hold another request.
            ModelError: If the provider fails.
        """
        assignment, machines = self.assignment, self.machines
        model = machines.model(assignment.model, assignment.base_url)
        hub = machines.hub(assignment.project.id)
        request = await asyncio.to_thread(briefs.architect, assignment, run=self.run, hub=hub)
        journal = Journal(machines.folder(self.run) / "replies")

        async def ask(asked: ModelRequest) -> ModelReply:
            key = sha256(repr(asked).encode("utf-8", "surrogatepass")).hexdigest()
            reply = journal.find(key)
            if reply is None:
                reply = await self._reply(model, replace(asked, max_tokens=self._reserve(asked)), key)
                journal.keep(key, reply)
            self._count(reply, replace(asked, max_tokens=reply.asked))
            return reply

        drawing = await plan.draw_up(assignment.spec, request=request, ask=ask)
        return {"plan": plan.to_plain(drawing.plan), "turns": self.turns}

    def tell(self, turns: list[dict[str, Any]]) -> None:
        """Tell the ledger of *turns*, each once however often it is told."""
        for turn, used in enumerate(turns, 1):
            self.machines.ledger.emit(
                event.TurnFinished(
                    run=self.run,
                    turn=turn,
                    role="architect",
                    model=self.assignment.model,
                    record="",
                    snapshot="",
                    calls=0,
                    **used,
                )
            )

    def _count(self, reply: ModelReply, asked: ModelRequest) -> None:
        """What was paid for is told at once: a plan that never comes has its price, too."""
        kept = self.machines.blobs.put(exchanges().dump_json(Exchange(asked=asked, reply=reply)))
        self.turns.append({"usage": plain(reply.usage), "cost": reply.cost, "seconds": reply.seconds, "asked": kept})
        self.tell(self.turns)
        before = self._spent
        self._spent = Spent(
            turns=before.turns + 1,
            tokens=before.tokens + reply.usage.input + reply.usage.output,
            money=before.money + (reply.cost or 0.0),
            seconds=before.seconds + reply.seconds,
        )

    def _reserve(self, asked: ModelRequest) -> int:
        texts = [*asked.system, *(part.text for said in asked.messages for part in said.parts if hasattr(part, "text"))]
        return reserve(
            self.assignment.budget,
            self._spent,
            input_tokens=sum(map(len, texts)) // 3,
            max_tokens=asked.max_tokens,
            price=price(self.assignment),
        )

    async def _reply(self, model: Model, asked: ModelRequest, key: str) -> ModelReply:
        emit, run, turn = self.machines.ledger.emit, self.run, len(self.turns) + 1
        emit(event.TurnStarted(run=run, turn=turn, role="architect", model=self.assignment.model, request=key))

        def notice(reason: str, wait: float, attempt: int) -> None:
            emit(event.ModelRetried(run=run, turn=turn, reason=reason, wait=wait, attempt=attempt))

        reply = await model.reply(asked, notice=notice)
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
