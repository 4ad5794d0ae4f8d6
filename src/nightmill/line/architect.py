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
from nightmill.line.asking import Asking, Question
from nightmill.line.journal import Journal
from nightmill.line.prove import plain
from nightmill.model import ModelReply, ModelRequest, Text
from nightmill.policy import Spent

if TYPE_CHECKING:
    from nightmill.line.assignment import Assignment
    from nightmill.line.machines import Machines
    from nightmill.line.writing import Writing
    from nightmill.store.redaction import Redaction

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
    writing: Writing
    turns: list[dict[str, Any]] = field(default_factory=list)
    _spent: Spent = Spent()

    async def plan(self) -> dict[str, Any]:
        """The plan as plain data, and what each reply on the way used: `{"plan", "turns"}`.

        Raises:
            LimitReached: If the model refuses, mends in vain, or the run's budget does not hold another request.
            ModelError: If the provider fails.
        """
        assignment, machines = self.assignment, self.machines
        hub = machines.hub(assignment.project.id)
        request = await asyncio.to_thread(briefs.architect, assignment, run=self.run, hub=hub)
        request = await asyncio.to_thread(_marked, request, machines.blobs.hidden)
        asking = Asking(
            run=self.run,
            role=briefs.role("architect", assignment),
            machines=machines,
            assignment=assignment,
            journal=Journal(machines.folder(self.run) / "replies"),
            writing=self.writing,
        )

        async def ask(asked: ModelRequest) -> ModelReply:
            key = sha256(repr(asked).encode("utf-8", "surrogatepass")).hexdigest()
            reply = await asking.find(key) or await asking.reply(self._question(asked, key))
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
                    record="",
                    snapshot="",
                    calls=0,
                    **{"model": self.assignment.model, **used},
                )
            )

    def _count(self, reply: ModelReply, asked: ModelRequest) -> None:
        """What was paid for is told at once: a plan that never comes has its price, too."""
        kept = self.machines.blobs.put(exchanges().dump_json(Exchange(asked=asked, reply=reply)))
        used = {"usage": plain(reply.usage), "cost": reply.cost, "seconds": reply.seconds, "asked": kept}
        self.turns.append(used | ({"model": reply.by} if reply.by else {}))
        self.tell(self.turns)
        before = self._spent
        self._spent = Spent(
            turns=before.turns + 1,
            tokens=before.tokens + reply.usage.input + reply.usage.output,
            money=before.money + (reply.cost or 0.0),
            seconds=before.seconds + reply.seconds,
        )

    def _question(self, asked: ModelRequest, key: str) -> Question:
        texts = [*asked.system, *(part.text for said in asked.messages for part in said.parts if hasattr(part, "text"))]
        return Question(
            key=key,
            turn=len(self.turns) + 1,
            request=asked,
            size=sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) // 2,
            spent=self._spent,
        )


def _marked(request: ModelRequest, hidden: Redaction) -> ModelRequest:
    """*request* without secrets, as the brief of an agent."""
    (asked,) = request.messages
    parts = [Text(text=hidden.marked(part.text)) for part in asked.parts if isinstance(part, Text)]
    return replace(request, messages=(replace(asked, parts=tuple(parts)),))
