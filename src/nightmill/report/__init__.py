"""One self-contained page of a run, from its ledger. Takes: events. Gives: HTML."""

from __future__ import annotations

from nightmill.report.nouns import Blob, Child, Entry, Told
from nightmill.report.page import page
from nightmill.report.summary import Summary, summary

__all__ = ["Blob", "Child", "Entry", "Summary", "Told", "page", "summary"]
