"""A run's requests, rebuilt from its ledger and its blobs, each beside the digest of what was sent.

Nobody is asked, nothing is run: the brief, the records and the words of a proof are folded as the run folded them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from nightmill import agent, event
from nightmill.agent import AgentState, Brief
from nightmill.errors import SettingsError
from nightmill.line.architect import exchanges
from nightmill.line.assignment import models
from nightmill.line.brief import read_brief, role
from nightmill.line.record import read_record
from nightmill.model.connect import spoken
from nightmill.model.dialect import wire
from nightmill.model.history import own
from nightmill.tool import developing, exploring

if TYPE_CHECKING:
    from nightmill.line.assignment import Assignment
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

    Raises:
        SettingsError: If an external agent made them.
        EngineError: If a blob is missing or damaged.
    """
    if assignment.agent is not None and assignment.task is not None:
        raise SettingsError(
            f"the requests of {run} were made by {assignment.agent.name!r} and not by nightmill",
            hint="what it said and did: nightmill log",
        )
    replay = _Replay(assignment=assignment, blobs=blobs)
    for entry in ledger.read(run=run):
        told = entry.event()
        if isinstance(told, event.TurnFinished):
            if (made := replay.turn(told)) is not None:
                yield made
        else:
            replay.hear(told)


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
    main: str = ""

    def hear(self, told: event.Event) -> None:
        """What begins a conversation, or says something in it."""
        if isinstance(told, event.WorkspacePrepared):
            brief = read_brief(self.blobs.get(told.brief))
            self.main = brief.role
            self.folds[self.main] = _Fold(brief, developing(self.assignment.model))
        elif isinstance(told, event.ExplorerSent):
            self.folds[told.role] = _Fold(read_brief(self.blobs.get(told.brief)), exploring(), explorer=True)
        elif isinstance(told, event.SentBack):
            fold = self.folds[self.main]
            fold.state = agent.send_back(fold.state, self.blobs.get(told.words).decode())

    def turn(self, told: event.TurnFinished) -> Rebuilt | None:
        """The request of a turn; None where nothing is kept of it."""
        if told.asked:
            asked, reply = exchanges().validate_json(self.blobs.get(told.asked))
            return self._rebuilt(told, asked, reply)
        if (fold := self.folds.get(told.role)) is None:
            return None
        record = read_record(self.blobs.get(told.record))
        state = agent.warned(fold.state) if fold.explorer else fold.state
        request = agent.ask(fold.brief, state, fold.tools, max_tokens=record.reply.asked)
        shares = agent.shares(fold.brief, state, fold.tools)
        fold.state = agent.apply(fold.brief, state, record)
        return self._rebuilt(told, request, record.reply, shares)

    def _rebuilt(
        self, told: event.TurnFinished, request: ModelRequest, reply: ModelReply, shares: tuple[agent.Share, ...] = ()
    ) -> Rebuilt:
        name, _, number = told.role.partition(" ")
        known = {choice.name: choice.base_url for choice in models(self.assignment, role(name), cheap=bool(number))}
        dialect = spoken(told.model, base_url=known.get(told.model, self.assignment.base_url))
        sent = replace(request, model=told.model.partition(":")[2], messages=own(request.messages, by=told.model))
        body = wire(dialect, sent)
        return Rebuilt(role=told.role, turn=told.turn, model=told.model, body=body, sent=reply.sent, shares=shares)
