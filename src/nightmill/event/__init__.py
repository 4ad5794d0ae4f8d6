"""Everything that can happen, as frozen nouns in the past tense; the ledger holds nothing else.

An event is a fact: it is written once and never changed. `name` is the class in snake case. An event with a
`key` is recorded once per (run, key), however often a recovered run tells it again; one without is recorded
each time, because each time it really happened (a turn that was started twice was started twice).
Takes: what happened. Gives: Event.
"""

from __future__ import annotations

from nightmill.event.environment import EnvironmentBuilt, EnvironmentFailed
from nightmill.event.life import (
    RunDone,
    RunParked,
    RunPaused,
    RunQueued,
    RunRecovered,
    RunResumed,
    RunStarted,
    RunStopped,
)
from nightmill.event.proof import (
    CheckFinished,
    CommitMade,
    PullRequestMerged,
    PullRequestOpened,
    VerdictGiven,
    WorkPreserved,
)
from nightmill.event.turn import (
    AgentFinished,
    AgentNudged,
    ContextCompacted,
    DriftScored,
    ExplorerSent,
    ModelAwaited,
    ModelRetried,
    ModelSwitched,
    ReplyReceived,
    RequestMade,
    ResultReused,
    SentBack,
    TodoChanged,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    TurnStarted,
)
from nightmill.event.work import (
    NotesRecalled,
    PhaseStarted,
    PlanMade,
    ServiceEnded,
    ServiceStarted,
    TaskQueued,
    WorkspacePrepared,
    WorkspaceRestored,
)
from nightmill.happening import EVENTS, Emit, Event, from_plain

__all__ = [
    "EVENTS",
    "AgentFinished",
    "AgentNudged",
    "CheckFinished",
    "CommitMade",
    "ContextCompacted",
    "DriftScored",
    "Emit",
    "EnvironmentBuilt",
    "EnvironmentFailed",
    "Event",
    "ExplorerSent",
    "ModelAwaited",
    "ModelRetried",
    "ModelSwitched",
    "NotesRecalled",
    "PhaseStarted",
    "PlanMade",
    "PullRequestMerged",
    "PullRequestOpened",
    "ReplyReceived",
    "RequestMade",
    "ResultReused",
    "RunDone",
    "RunParked",
    "RunPaused",
    "RunQueued",
    "RunRecovered",
    "RunResumed",
    "RunStarted",
    "RunStopped",
    "SentBack",
    "ServiceEnded",
    "ServiceStarted",
    "TaskQueued",
    "TodoChanged",
    "ToolFinished",
    "ToolStarted",
    "TurnFinished",
    "TurnStarted",
    "VerdictGiven",
    "WorkPreserved",
    "WorkspacePrepared",
    "WorkspaceRestored",
    "from_plain",
]
