"""What people let runs spend; no run, so its `run` is ""."""

from __future__ import annotations

from dataclasses import dataclass

from nightmill.happening import Event

__all__ = ["BudgetRaised"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRaised(Event):
    """*by* added *dollars* (US) to what all runs together may spend on *day* (UTC), as 2026-05-01."""

    day: str
    dollars: float
    by: str
