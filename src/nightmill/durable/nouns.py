"""The nouns of the engine: how much it does at once, where a run is, and which nobody goes on with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["WAITED_FOR", "Bounds", "State", "Stranded", "states"]

State = Literal["absent", "queued", "running", "ended", "cancelled", "given up"]
states: dict[str, State] = {
    "": "absent",
    "ENQUEUED": "queued",
    "DELAYED": "queued",
    "PENDING": "running",
    "SUCCESS": "ended",
    "ERROR": "ended",
    "CANCELLED": "cancelled",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "given up",
}


WAITED_FOR = frozenset({"", "ENQUEUED", "DELAYED", "PENDING"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """On what one process does at once.

    Attributes:
        concurrency: Runs of each workflow at once; 0: none, it only asks.
        threads: The engine's threads, and as many again in its `pool`.
        recoveries: How often one run is taken up again before it is given up, unless it was parked meanwhile.
        linger: Seconds after which a run that waits is parked: taking it up again costs reading its checkpoints.
    """

    concurrency: int
    threads: int = 8
    recoveries: int = 50
    linger: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranded:
    """A run that no worker of this version will go on with, and why; *over*: none of any other will, either."""

    run: str
    reason: str
    over: bool
