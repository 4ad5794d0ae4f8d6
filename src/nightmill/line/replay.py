"""A run's requests, rebuilt from its ledger and its blobs, each beside the digest of what was sent.

Nobody is asked, nothing is run: the brief, the records and the words of a proof are folded as the run folded them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from nightmill import agent, event
from nightmill.agent import AgentState, Brief
from nightmill.errors import SettingsError
from nightmill.line.architect import exchanges
from nightmill.line.assignment import models
from nightmill.line.brief import read_brief, role
from nightmill.line.work import read_record
from nightmill.model.connect import spoken
from nightmill.model.dialect import wire
from nightmill.model.history import own
from nightmill.tool import standard

if TYPE_CHECKING:
    from nightmill.line.assignment import Assignment
    from nightmill.model import ModelReply, ModelRequest
    from nightmill.store.blobs import Blobs
    from nightmill.store.ledger import Ledger

__all__ = ["Rebuilt", "requests"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """One request: its *body* as it goes over the wire, and the digest of the body that went.

    *sent* is "" where no reply came, as of a request that the provider found too long.
    """

    role: str
    turn: int
    model: str
    body: bytes
    sent: str
    shares: tuple[agent.Share, ...] = ()

    @property
    def same(self) -> bool:
        """Whether it is what was sent, byte for byte."""
        return sha256(self.body).hexdigest() == self.sent


def requests(run: str, *, assignment: Assignment, ledger: Ledger, blobs: Blobs) -> Iterator[Rebuilt]:
    """The requests of the finished turns of *run*, in order.

    Raises:
        SettingsError: If an external agent made them.
        EngineError: If a blob is missing or damaged.
    """
    if assignment.agent is not None and assignment.task is not None:
        raise SettingsError(
            f"the requests of {run} were made by {assignment.agent.name!r} and not by nightmill",
            hint="what it said and did: nightmill log",
        )
    tools, state = standard(), AgentState()
    brief: Brief | None = None
    for entry in ledger.read(run=run):
        told = entry.event()
        if isinstance(told, event.WorkspacePrepared):
            brief = read_brief(blobs.get(told.brief))
        elif isinstance(told, event.SentBack):
            state = agent.send_back(state, blobs.get(told.words).decode())
        elif isinstance(told, event.TurnFinished) and told.asked:
            asked, reply = exchanges().validate_json(blobs.get(told.asked))
            yield _rebuilt(told, asked, reply, assignment)
        elif isinstance(told, event.TurnFinished) and brief is not None:
            record = read_record(blobs.get(told.record))
            request = agent.ask(brief, state, tools, max_tokens=record.reply.asked)
            yield _rebuilt(told, request, record.reply, assignment, agent.shares(brief, state, tools))
            state = agent.apply(brief, state, record)


def _rebuilt(
    told: event.TurnFinished,
    request: ModelRequest,
    reply: ModelReply,
    assignment: Assignment,
    shares: tuple[agent.Share, ...] = (),
) -> Rebuilt:
    known = {choice.name: choice.base_url for choice in models(assignment, role(told.role))}
    dialect = spoken(told.model, base_url=known.get(told.model, assignment.base_url))
    sent = replace(request, model=told.model.partition(":")[2], messages=own(request.messages, by=told.model))
    return Rebuilt(
        role=told.role, turn=told.turn, model=told.model, body=wire(dialect, sent), sent=reply.sent, shares=shares
    )
