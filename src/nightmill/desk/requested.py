"""What a model was sent in a run, turn by turn, as it is asked for at a desk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["Portion", "Requested", "Requests", "Sent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """A part of a request, and its tokens, estimated."""

    name: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """A request as it was rebuilt, of *size* bytes: what was sent, byte for byte, or not; or nobody answered it."""

    turn: int
    role: str
    model: str
    size: int
    rebuilt: Literal["as sent", "differs", "no reply"]
    shares: tuple[Portion, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request with its *body*; of one that is *hidden*, what looks like a secret is not in it."""

    request: Requested
    body: str
    hidden: bool


class Requests(Protocol):
    """Where one asks for them. Each raises SettingsError if there is no such run, or it cannot be rebuilt."""

    def requested(self, run: str) -> Sequence[Requested]:
        """The requests of the finished turns of a run, those of its explorers too, in order."""
        ...

    def request(self, run: str, number: int, *, role: str) -> Sent:
        """The one of turn *number* of *role*, "": of whoever has that turn, explorers last.

        Raises:
            SettingsError: If there is none.
        """
        ...
