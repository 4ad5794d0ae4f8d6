"""What happens in a turn, and to the conversation."""

from __future__ import annotations

from dataclasses import dataclass

from nightmill.happening import Event

__all__ = [
    "AgentFinished",
    "AgentNudged",
    "AgentStarted",
    "ContextCompacted",
    "DriftScored",
    "ExplorerSent",
    "ModelAwaited",
    "ModelRetried",
    "ModelSwitched",
    "ReplyReceived",
    "RequestForwarded",
    "RequestMade",
    "ResultReused",
    "SentBack",
    "TodoChanged",
    "ToolFinished",
    "ToolStarted",
    "TurnFinished",
    "TurnStarted",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted(Event):
    """*model* is asked. *request* is the fingerprint of the request, the same whichever model is asked."""

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
class ModelAwaited(Event):
    """The call waits in line for the rate of its key, which all runs share."""

    turn: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSwitched(Event):
    """From this turn on *model* is asked, not *before*: *reason* says what is wrong with that, "" if *model* is well again."""

    turn: int
    model: str
    before: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestForwarded(Event):
    """An external agent asked in *dialect* what the blob *asked* holds, and *model* was sent that, bounded to *allowed* tokens.

    *call* counts the calls of the run; *sent* is the SHA-256 of the body as it went.
    """

    turn: int
    call: int
    model: str
    dialect: str
    asked: str
    sent: str
    allowed: int


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
    """A tool call ended; *ok* is False when the model was shown an error, *withheld*: its role does not have the tool."""

    turn: int
    call: str
    tool: str
    ok: bool
    label: str
    seconds: float
    withheld: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultReused(Event):
    """A declared check was not run: the agent was shown how *command* ended on the same *tree* in the run *source*.

    That was at its turn *source_turn*, 0: in a proof of the system's own, and took *seconds*.
    """

    turn: int
    command: str
    tree: str
    source: str
    source_turn: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFinished(Event):
    """One checkpoint: the record of the turn and the snapshot of the workspace after it, together.

    *record* and *snapshot* are ids; *usage* is a plain `model.Usage`; *cost* is US dollars, None if unknown; *said* is
    the beginning of what the model wrote beside its calls. *asked* is a blob, the request, where no conversation gives it.
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
    asked: str = ""
    key = property(lambda self: f"{self.role}/turn/{self.turn}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TodoChanged(Event):
    """The agent's list, as {"text", "state"} items; states: pending, doing, done."""

    turn: int
    items: list[dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplorerSent(Event):
    """A turn sent an explorer out; its own turns are told under its *role*. *brief* is a blob: what it was given.

    *tools* are the names of those that it has, None: all of its role.
    """

    role: str
    question: str
    brief: str
    tools: list[str] | None = None
    key = property(lambda self: f"{self.role}/sent")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextCompacted(Event):
    """Older parts of the conversation are not shown any more; *before* and *after* are tokens of a request, estimated.

    *layer*: "results" (stale tool results), "turns" (whole old turns, folded into the working state), "state"
    (everything but the task, the working state and the latest turn), or "fresh" (that turn, too: a guard asked for it).
    """

    turn: int
    role: str
    layer: str
    before: int
    after: int
    key = property(lambda self: f"{self.role}/compacted/{self.turn}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftScored(Event):
    """The latest turns lead away from the task: *score* from 0 to 1, and the strongest sign, *why*."""

    turn: int
    role: str
    score: float
    why: str
    key = property(lambda self: f"{self.role}/drift/{self.turn}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentNudged(Event):
    """A guard saw *guard*, for which *evidence* speaks, and took a *measure*.

    "note" (people are told, the agent is not), "nudge", "firmer", "fresh" (a fresh context and small steps), "model" (the
    same, with another model), or "stop".
    """

    turn: int
    guard: str
    message: str
    measure: str = "nudge"
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStarted(Event):
    """A conversation of *role* begins with the step *step*: *brief* is the blob with what it is given.

    *tools* are the names of those that it has, None for all; *output* is the JSON schema of what it hands
    over, as it was sent: a text, because the ledger keeps no order. Its requests are rebuilt from these.
    """

    role: str
    step: str
    brief: str
    tools: list[str] | None = None
    output: str = "{}"
    key = property(lambda self: f"{self.role}/began")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFinished(Event):
    """The agent says that it is done; nothing is proven by that."""

    turn: int
    summary: str
    role: str = ""
    step: str = ""
    key = property(lambda self: f"{self.role}/finished/{self.turn}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SentBack(Event):
    """What came of its work was told to the agent that calls itself *role*, in the blob *words*; *count* of at most *limit*.

    *tools* and *output* are from now on what `AgentStarted` says.
    """

    count: int
    limit: int
    reason: str
    words: str = ""
    role: str = ""
    step: str = ""
    tools: list[str] | None = None
    output: str = "{}"
    key = property(lambda self: f"sent_back/{self.step}/{self.count}")


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
