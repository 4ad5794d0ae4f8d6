"""What happens around the work: phases, the plan, the workspace, what is let through."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nightmill.happening import Event

__all__ = [
    "NotesRecalled",
    "PhaseStarted",
    "PlanMade",
    "ServiceEnded",
    "ServiceStarted",
    "TaskQueued",
    "WorkspacePrepared",
    "WorkspaceRestored",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStarted(Event):
    """*phase* is "plan", "prepare", "work", "prove" or "change"; *round* counts how often work was sent back."""

    phase: str
    round: int = 0
    key = property(lambda self: f"phase/{self.phase}/{self.round}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMade(Event):
    """*tasks* are plain `plan.Task` values in the order in which they run; *source* is "spec" or a role."""

    tasks: list[dict[str, Any]]
    source: str
    key = property(lambda self: "plan")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQueued(Event):
    """The spec's run started the run *child* for one task."""

    task: str
    child: str
    key = property(lambda self: f"task/{self.task}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspacePrepared(Event):
    """The sandbox holds the base commit. *environment* is the hash of the environment record and names the layer below.

    *brief* is a blob: what the agent is given, from which its requests are rebuilt. *drift* says how that record differs
    from the one in the commit's environment.lock.json.
    """

    environment: str
    commit: str
    snapshot: str
    seconds: float
    drift: list[str] = field(default_factory=list)
    brief: str = ""
    key = property(lambda self: "prepared")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesRecalled(Event):
    """The agent was given *notes* of earlier runs, {"id", "kind"} each, in *size* bytes of its first message.

    *stale* counts notes of the project that were left out because their files have changed since.
    """

    notes: list[dict[str, str]]
    stale: int
    size: int
    key = property(lambda self: "recalled")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceRestored(Event):
    """The sandbox was built again from *snapshot*, after a crash, a pause or a rewind."""

    snapshot: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStarted(Event):
    """A service runs beside the commands. *ready*: whether it answered, after *seconds*; if not, *reason* says why."""

    service: str
    ready: bool
    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEnded(Event):
    """A service ended, with status *exit* (negative: by that signal), and not because it was asked to."""

    service: str
    exit: int
    reason: str
