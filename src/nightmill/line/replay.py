"""A run's requests, rebuilt from its ledger and its blobs, each beside the digest of what was sent.

Nobody is asked, nothing is run: the brief, the records and the words of a proof are folded as the run folded them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from nightmill import agent, event
from nightmill.agent import AgentState, Brief
from nightmill.errors import EngineError
from nightmill.line.architect import exchanges
from nightmill.line.assignment import models
from nightmill.line.brief import read_brief, role
from nightmill.line.forwarded import able, body_for, read_kept
from nightmill.line.record import read_record
from nightmill.model.connect import spoken
from nightmill.model.dialect import wire
from nightmill.model.history import own
from nightmill.model.route import Choice
from nightmill.tool import crewed, exploring

if TYPE_CHECKING:
    from nightmill.line.assignment import Assignment, Origin
    from nightmill.model import ModelReply, ModelRequest
    from nightmill.store.blobs import Blobs
    from nightmill.store.ledger import Ledger
    from nightmill.tool import Toolset

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
    """The requests of the finished turns of *run*, those of its explorers too, in order.

    Those of an external agent are put together from the pieces that it asked with, each sending of them, "call 1" and so
    on in place of a role.

    Raises:
        EngineError: If a blob is missing or damaged, or the run was forgotten.
    """
    replay = _Replay(assignment=assignment, blobs=blobs)
    if assignment.origin is not None:
        replay.past(assignment.origin, ledger)
    for entry in ledger.read(run=run):
        told = entry.event()
        if isinstance(told, event.Forgotten):
            raise EngineError(
                f"entry {entry.seq} of the ledger was forgotten: what {run!r} was sent cannot be rebuilt",
                hint="younger runs can be; see `nightmill ledger forget`",
            )
        if isinstance(told, event.RequestForwarded):
            yield _forwarded(told, assignment, blobs)
        elif isinstance(told, event.TurnFinished):
            if (made := replay.turn(told)) is not None:
                yield made
        else:
            replay.hear(told)


def _forwarded(told: event.RequestForwarded, assignment: Assignment, blobs: Blobs) -> Rebuilt:
    asked = read_kept(told.asked, blobs)
    known = {choice.name: choice for choice in able(assignment)}
    body = body_for(asked, known.get(told.model, Choice(told.model, "")), allowed=told.allowed)
    # Bytes of JSON, about four to a token.
    shares = [agent.Share(name, f"call {told.call}", len(json.dumps(value)) // 4) for name, value in asked.body.items()]
    ordered = tuple(sorted(shares, key=lambda share: -share.tokens))
    return Rebuilt(
        role=f"call {told.call}", turn=told.turn, model=told.model, body=body, sent=told.sent, shares=ordered
    )


@dataclass(slots=True)
class _Fold:
    """One conversation, as far as the ledger was read."""

    brief: Brief
    tools: Toolset
    explorer: bool = False
    state: AgentState = AgentState()


@dataclass(slots=True, kw_only=True)
class _Replay:
    """The conversations of a run, by role."""

    assignment: Assignment
    blobs: Blobs
    folds: dict[str, _Fold] = field(default_factory=dict)

    def past(self, origin: Origin, ledger: Ledger) -> None:
        """What happened before the moment of *origin*, as it was edited there."""
        if origin.before is not None:
            self.past(origin.before, ledger)
        for entry in ledger.read(run=origin.run) if not origin.start else ():
            told = entry.event()
            if not isinstance(told, event.TurnFinished):
                self.hear(told)
            elif told.record == origin.record:
                self.fold(replace(told, record=origin.edited or told.record))
                return
            else:
                self.fold(told)
            if isinstance(told, event.QuestionDecided) and told.question == origin.question:
                return

    def fold(self, told: event.TurnFinished) -> None:
        """A turn that nobody asks about."""
        if not told.asked and (fold := self.folds.get(told.role)) is not None:
            before = agent.warned(fold.state) if fold.explorer else fold.state
            fold.state = agent.apply(fold.brief, before, read_record(self.blobs.get(told.record)))

    def hear(self, told: event.Event) -> None:
        """What begins a conversation, or says something in it."""
        if isinstance(told, event.AgentStarted):
            brief = read_brief(self.blobs.get(told.brief))
            if brief.system:  # an external agent has instructions of its own
                tools = crewed(self.assignment.model, only=told.tools, output=json.loads(told.output))
                self.folds[told.role] = _Fold(brief, tools)
        elif isinstance(told, event.ExplorerSent):
            self.folds[told.role] = _Fold(
                read_brief(self.blobs.get(told.brief)), self._exploring(told.tools), explorer=True
            )
        elif isinstance(told, event.SentBack) and (fold := self.folds.get(told.role)) is not None:
            if told.step:
                fold.tools = crewed(self.assignment.model, only=told.tools, output=json.loads(told.output))
            fold.state = agent.send_back(fold.state, self.blobs.get(told.words).decode())

    def _exploring(self, tools: Sequence[str] | None) -> Toolset:
        return exploring().only(role("explorer", self.assignment).tools if tools is None else tools)

    def turn(self, told: event.TurnFinished) -> Rebuilt | None:
        """The request of a turn; None where nothing is kept of it."""
        if told.asked:
            asked, reply = exchanges().validate_json(self.blobs.get(told.asked))
            return self._rebuilt(told, asked, reply)
        if (fold := self.folds.get(told.role)) is None:
            return None
        record = read_record(self.blobs.get(told.record))
        before = agent.warned(fold.state) if fold.explorer else fold.state
        state = agent.hear(fold.brief, before, record.heard)
        request = agent.ask(fold.brief, state, fold.tools, max_tokens=record.reply.asked)
        shares = agent.shares(fold.brief, state, fold.tools)
        fold.state = agent.apply(fold.brief, before, record)
        return self._rebuilt(told, request, record.reply, shares)

    def _rebuilt(
        self, told: event.TurnFinished, request: ModelRequest, reply: ModelReply, shares: tuple[agent.Share, ...] = ()
    ) -> Rebuilt:
        name, _, number = told.role.partition("@")[0].partition(" ")
        known = {
            choice.name: choice.base_url
            for choice in models(self.assignment, role(name, self.assignment), cheap=bool(number))
        }
        dialect = spoken(told.model, base_url=known.get(told.model, self.assignment.base_url))
        sent = replace(request, model=told.model.partition(":")[2], messages=own(request.messages, by=told.model))
        body = wire(dialect, sent)
        return Rebuilt(role=told.role, turn=told.turn, model=told.model, body=body, sent=reply.sent, shares=shares)
