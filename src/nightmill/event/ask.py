"""What came of asks before there is a run; their `run` is ""."""

from __future__ import annotations

from dataclasses import dataclass

from nightmill.happening import Event

__all__ = ["DispatcherAsked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherAsked(Event):
    """A model was asked which of the blueprints *offered* an ask is for, and replied; *chosen* is "" where nothing was taken.

    *cost* is in US dollars, None if the model's price is unknown; *why* says what became of the reply.
    """

    project: str
    model: str
    offered: list[str]
    chosen: str
    why: str
    usage: dict[str, int]
    cost: float | None
