"""What a report is made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from nightmill.event import Event

__all__ = ["Blob", "Child", "Entry", "Link", "Told", "turn_id"]

Blob = Callable[[str], bytes]
"""Reads a large body by its hash."""

Link = Callable[[int, int], str]
"""The address of a turn: its lane's number, its own."""


class Entry(Protocol):
    """One line of the ledger: an event, its place and when it was told (Unix seconds)."""

    @property
    def seq(self) -> int:
        """Its place in the ledger."""
        ...

    @property
    def at(self) -> float:
        """When it was told."""
        ...

    @property
    def event(self) -> Event:
        """What happened."""
        ...


class Told(NamedTuple):
    """The plainest `Entry`. The page's footer names *hash*, the link in the ledger's chain, where an entry has one."""

    seq: int
    at: float
    event: Event
    hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A task's run below a spec's run. *diff* is git's unified text, *body* the pull request's."""

    run: str
    events: Sequence[Entry]
    diff: str = ""
    body: str = ""


def turn_id(anchor: str, lane: int, turn: int) -> str:
    """Where on the page a turn is; roles count their turns each from 1, so the number alone would not do."""
    return f"{anchor}t{lane}-{turn}"
