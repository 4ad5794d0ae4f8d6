"""What happens to the ledger itself; no run, so its `run` is ""."""

from __future__ import annotations

from dataclasses import dataclass

from nightmill.happening import Event

__all__ = ["EntriesForgotten", "NotesForgotten"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntriesForgotten(Event):
    """*by* had the words of *count* entries up to number *upto* deleted, those told before *before* (Unix seconds).

    *digest* covers what stays of them: number, time, run, name, key and hash of each, since the last forgetting.
    """

    upto: int
    count: int
    digest: str
    before: float
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesForgotten(Event):
    """*by* deleted *count* notes that agents had made for later runs of *project*."""

    project: str
    count: int
    by: str
