"""Everything that can happen, as frozen nouns in the past tense; the ledger holds nothing else.

An event is a fact: it is written once and never changed. `name` is the class in snake case. An event with a
`key` is recorded once per (run, key), however often a recovered run tells it again; one without is recorded
each time, because each time it really happened (a turn that was started twice was started twice).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nightmill.happening import EVENTS, Emit, Event, from_plain

__all__ = ["EVENTS", "Emit", "Event", "from_plain"]


# Life of a run


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


# Phases, plan, workspace


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

    *drift* says how that record differs from the one in the commit's environment.lock.json.
    """

    environment: str
    commit: str
    snapshot: str
    seconds: float
    drift: list[str] = field(default_factory=list)
    key = property(lambda self: "prepared")


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


# Turns


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted(Event):
    """The model is asked. *request* is the blob that holds the request."""

    turn: int
    role: str
    model: str
    request: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRetried(Event):
    """The provider failed and is asked again after *wait* seconds."""

    turn: int
    reason: str
    wait: float
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyReceived(Event):
    """The model's reply is complete. Seconds are from the request to the first and to the last byte."""

    turn: int
    first_seconds: float
    seconds: float
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted(Event):
    """A tool call began; *label* is what a person needs to see of it, one line."""

    turn: int
    call: str
    tool: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished(Event):
    """A tool call ended; *ok* is False when the model was shown an error."""

    turn: int
    call: str
    tool: str
    ok: bool
    label: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFinished(Event):
    """One checkpoint: the record of the turn and the snapshot of the workspace after it, together.

    *record* and *snapshot* are ids; *usage* is a plain `model.Usage`; *cost* is US dollars, None if unknown; *said* is
    the beginning of what the model wrote beside its calls.
    """

    turn: int
    role: str
    model: str
    record: str
    snapshot: str
    usage: dict[str, int]
    cost: float | None
    calls: int
    seconds: float
    said: str = ""
    key = property(lambda self: f"{self.role}/turn/{self.turn}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TodoChanged(Event):
    """The agent's list, as {"text", "state"} items; states: pending, doing, done."""

    turn: int
    items: list[dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentNudged(Event):
    """A guard saw *guard* and told the agent so."""

    turn: int
    guard: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFinished(Event):
    """The agent says that it is done; nothing is proven by that."""

    turn: int
    summary: str
    key = property(lambda self: f"finished/{self.turn}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SentBack(Event):
    """The proof failed and the agent was told why; *count* of at most *limit*."""

    count: int
    limit: int
    reason: str
    key = property(lambda self: f"sent_back/{self.count}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMade(Event):
    """The sandbox asked the network for something: one request, or *count* of one kind if there were many.

    *path* has no query and is "" in a tunnel that is not opened; *status* is what was answered, 0 if nothing; *up* and
    *down* are bytes; *reason* says why it was not *allowed* or went wrong; *credential* names what the proxy added.
    """

    host: str
    port: int
    method: str
    path: str = ""
    status: int = 0
    up: int = 0
    down: int = 0
    seconds: float = 0.0
    allowed: bool = False
    reason: str = ""
    credential: str = ""
    count: int = 1


# Proof and change


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFinished(Event):
    """One check ran on *tree*; plain `review.CheckResult` in *result*, its whole output in the blob *output*."""

    round: int
    check: str
    tree: str
    passed: bool
    result: dict[str, Any]
    output: str
    key = property(lambda self: f"check/{self.round}/{self.check}/{self.tree}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictGiven(Event):
    """The engine's judgement of *tree*: a plain `review.Verdict`."""

    round: int
    tree: str
    passed: bool
    verdict: dict[str, Any]
    key = property(lambda self: f"verdict/{self.round}/{self.tree}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkPreserved(Event):
    """Unfinished work was kept on *branch* before anything was torn down."""

    branch: str
    commit: str
    key = property(lambda self: f"preserved/{self.commit}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitMade(Event):
    """A signed commit with the proven tree."""

    commit: str
    tree: str
    branch: str
    author: str
    key = property(lambda self: f"commit/{self.commit}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestOpened(Event):
    """The pull request *number* is open on the forge."""

    number: int
    branch: str
    target: str
    title: str
    key = property(lambda self: "pull_request")


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestMerged(Event):
    """A person merged the pull request."""

    number: int
    commit: str
    by: str
    key = property(lambda self: "merged")


# Environments: of a project, so their `run` is ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentBuilt(Event):
    """A worker that had nothing else to do built the base that the newest *commit* of *project* needs."""

    project: str
    environment: str
    commit: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentFailed(Event):
    """A base could not be built ahead of its runs. Told once for each state of the project, which *mark* names."""

    project: str
    mark: str
    reason: str
    hint: str = ""
    key = property(lambda self: f"environment/{self.project}/{self.mark}")
