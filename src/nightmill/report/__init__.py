"""One self-contained page of a run, from its ledger. Takes: events. Gives: HTML."""

from __future__ import annotations

from nightmill.report.nouns import Child, Told

__all__ = ["Child", "Told"]
