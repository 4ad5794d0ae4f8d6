"""What happens to a run as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from nightmill.happening import Event

__all__ = ["RunDone", "RunParked", "RunPaused", "RunQueued", "RunRecovered", "RunResumed", "RunStarted", "RunStopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQueued(Event):
    """A run was asked for. *kind* is "spec" (plans and starts tasks) or "task"."""

    kind: str
    title: str
    project: str
    spec: str
    model: str
    parent: str = ""
    base_branch: str = ""
    base_commit: str = ""

    key = property(lambda self: "queued")


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
    key = property(lambda self: "ended")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStopped(Event):
    """The run ended without: *why* is "limit", "failed", "refused" or "cancelled"; its work is on *branch*, if any."""

    why: str
    reason: str
    hint: str = ""
    branch: str = ""
    key = property(lambda self: "ended")
