"""What happens around the work: phases, the plan, the workspace, what is let through."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nightmill.happening import Event

__all__ = [
    "FactEmitted",
    "NotesRecalled",
    "PhaseStarted",
    "PlanMade",
    "ServiceEnded",
    "ServiceStarted",
    "StepFinished",
    "TaskDropped",
    "TaskFiled",
    "TaskQueued",
    "TaskStarted",
    "WorkspacePrepared",
    "WorkspaceRestored",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStarted(Event):
    """*phase* is "plan", "prepare", "work", "prove", "review" or "change", of the step *step*; *round* is that of its loop.

    *snapshot* is that of the workspace at which the work of *role* begins.
    """

    phase: str
    round: int = 0
    step: str = ""
    role: str = ""
    snapshot: str = ""
    key = property(lambda self: f"phase/{self.phase}/{self.round}/{self.step}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished(Event):
    """A step of the run's blueprint ended, or was left out: *state* is "done", "failed" or "skipped".

    *step* is the way to it: the names of the steps that it is in, with the round of each loop, and its own. *value* is the
    blob with what later steps read of it.
    """

    step: str
    kind: str
    state: str
    title: str = ""
    reason: str = ""
    value: str = ""
    key = property(lambda self: f"step/{self.step}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FactEmitted(Event):
    """An `emit` step told a fact: *fact* says what it is about, *values* what it is."""

    step: str
    fact: str
    values: dict[str, Any]
    key = property(lambda self: f"emit/{self.step}")


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
class TaskFiled(Event):
    """The run leaves what it could not end as the task *task*, which somebody can start.

    *title* is that of its own task, *findings* counts what is open, *commit*, which has the tree *tree*, holds its work in
    the project's repository, and the blob *body* is all that is known, a plain `line.remediation.Remediation`.
    """

    task: str
    step: str
    project: str
    title: str
    findings: int
    tree: str
    commit: str
    body: str
    key = property(lambda self: f"filed/{self.task}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted(Event):
    """*by*, a person, had the run *child* go on with the task *task* that this one left."""

    task: str
    child: str
    by: str
    key = property(lambda self: f"started/{self.task}/{self.child}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDropped(Event):
    """*by*, a person, wants nobody to go on with the task *task* that this run left."""

    task: str
    by: str
    because: str
    key = property(lambda self: f"dropped/{self.task}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspacePrepared(Event):
    """The sandbox holds the base *commit*, with what the run goes on from on top of it.

    *environment* is the hash of the environment record and names the layer below. *drift* says how
    that record differs from the one in the commit's environment.lock.json.
    """

    environment: str
    commit: str
    snapshot: str
    seconds: float
    drift: list[str] = field(default_factory=list)
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
