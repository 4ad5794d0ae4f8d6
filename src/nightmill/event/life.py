"""What happens to a run as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nightmill.happening import Event

__all__ = [
    "RunDone",
    "RunForked",
    "RunParked",
    "RunPaused",
    "RunQueued",
    "RunRecovered",
    "RunResumed",
    "RunStarted",
    "RunStopped",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQueued(Event):
    """A run was asked for. *kind* is "spec" (plans and starts tasks) or "task".

    Its tasks go through *blueprint*; *answers* is the person who approved of that, "the release", or "" for nobody. *origin*
    is RUN@TURN where it goes on from a turn of another run.
    """

    kind: str
    title: str
    project: str
    spec: str
    model: str
    parent: str = ""
    base_branch: str = ""
    base_commit: str = ""
    blueprint: str = ""
    answers: str = ""
    origin: str = ""

    key = property(lambda self: "queued")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForked(Event):
    """*by* asked for the run *child*, which goes on from the moment *at* of *before*: ROLE/TURN, a question's id, or 0.

    It is of no run: to *before* nothing happened.
    """

    before: str
    child: str
    at: str
    by: str
    key = property(lambda self: f"forked/{self.child}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A worker took the run up for the first time."""

    worker: str
    key = property(lambda self: "started")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecovered(Event):
    """A worker took the run up again after the one before it died."""

    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParked(Event):
    """The run waits and spends nothing: *needs* is "time" (tries again at *until*, Unix seconds) or "person"."""

    reason: str
    needs: str
    until: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPaused(Event):
    """A person paused the run."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed(Event):
    """A paused or parked run goes on; *by* is a person or "clock"."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDone(Event):
    """The run ended with what was asked for."""

    change: int = 0
    outputs: dict[str, Any] = field(default_factory=dict)
    """What its blueprint gives, by name."""
    key = property(lambda self: "ended")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStopped(Event):
    """The run ended without: *why* is "limit", "failed", "refused" or "cancelled"; its work is on *branch*, if any."""

    why: str
    reason: str
    hint: str = ""
    branch: str = ""
    key = property(lambda self: "ended")
