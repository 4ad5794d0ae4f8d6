"""The requests of an external agent, kept piece by piece: a message that is asked again is the blob that it was."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from nightmill.line.assignment import models
from nightmill.line.brief import role
from nightmill.model.allowed import MESSAGES
from nightmill.model.connect import spoken
from nightmill.model.dialect import Dialect, wire
from nightmill.model.foreign import Foreign, read_foreign
from nightmill.model.front import FRONTS
from nightmill.model.history import own
from nightmill.model.passing import sent
from nightmill.model.text import Spoken

if TYPE_CHECKING:
    from nightmill.line.assignment import Assignment
    from nightmill.model import ModelRequest
    from nightmill.model.route import Choice
    from nightmill.store.blobs import Blobs

__all__ = ["Forwarded", "able", "body_for", "read_kept", "same_dialect", "translated"]


@dataclass(slots=True)
class Forwarded:
    """What of a conversation is in the blobs already, in this process."""

    blobs: Blobs
    _known: set[str] = field(default_factory=set)

    def keep(self, asked: Foreign) -> str:
        """Keep what *asked* holds; gives the blob that names its pieces."""
        name = MESSAGES[asked.dialect]
        said = asked.body.get(name)
        pieces = said if isinstance(said, list) else [said]
        head = {**asked.body, name: None}
        plain = {
            "dialect": asked.dialect,
            "streams": asked.streams,
            "listed": isinstance(said, list),
            "head": self._put(head),
            "said": [self._put(piece) for piece in pieces],
        }
        return self._put(plain)

    def _put(self, value: Any) -> str:
        body = _dumped(value)
        digest = sha256(body).hexdigest()
        if digest not in self._known:
            self._known.add(self.blobs.put(body))
        return digest


def read_kept(digest: str, blobs: Blobs) -> Foreign:
    """The request that was kept as *digest*.

    Raises:
        EngineError: If a blob is missing or damaged.
    """
    plain = json.loads(blobs.get(digest))
    said = [json.loads(blobs.get(each)) for each in plain["said"]]
    body = json.loads(blobs.get(plain["head"]))
    body[MESSAGES[plain["dialect"]]] = said if plain["listed"] else said[0]
    return read_foreign(_dumped(body), dialect=plain["dialect"], streams=plain["streams"])


def same_dialect(asked: Foreign, dialect: Dialect) -> bool:
    """Whether who speaks *dialect* understands *asked* as it is."""
    return asked.dialect == dialect.name and not isinstance(dialect, Spoken)


def translated(asked: Foreign, choice: Choice, *, allowed: int) -> ModelRequest:
    """*asked* in our own words, for *choice*.

    Raises:
        Untranslatable: If it holds more than texts and calls.
    """
    request = FRONTS[asked.dialect].read(asked.body)
    messages = own(request.messages, by=choice.name)
    return replace(request, model=_model(choice), max_tokens=allowed, messages=messages)


def body_for(asked: Foreign, choice: Choice, *, allowed: int) -> bytes:
    """What *choice* is sent of *asked*."""
    dialect = spoken(choice.name, base_url=choice.base_url)
    if same_dialect(asked, dialect):
        return sent(asked, model=_model(choice), base_url=choice.base_url, allowed=allowed)
    return wire(dialect, translated(asked, choice, allowed=allowed))


def able(assignment: Assignment) -> tuple[Choice, ...]:
    """The models that may answer the agent, best first: its own, then the fallbacks of the developer's role."""
    return models(assignment, replace(role("developer", assignment), model=""))


def _model(choice: Choice) -> str:
    return choice.name.partition(":")[2]


def _dumped(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
