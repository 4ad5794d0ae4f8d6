"""What is offered to be edited where a run is gone on from, as values."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Given", "Held", "Moment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a call of a turn gave. *amiss*: why it cannot be edited as text, "" if it can be."""

    call: str
    name: str
    about: str
    text: str
    amiss: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A file of the checkout. *what*: "added", "changed" or "removed" since the run began, or "". *amiss* as of `Given`.

    *there*: it is there, and may be deleted.
    """

    path: str
    what: str
    text: str
    amiss: str
    there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A moment of a run that it can be gone on from, with what may be edited there.

    Attributes:
        turn: After which, of *role*; 0: before the first.
        files: Those that were changed by then, and those that were asked for.
        more: Changed files that are left out.
        closed: Why no file may be edited here, "" if they may be.
    """

    run: str
    role: str
    turn: int
    said: str
    results: tuple[Given, ...]
    files: tuple[Held, ...]
    more: int
    closed: str
