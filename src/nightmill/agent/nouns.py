"""An agent is a fold: turn(state) → TurnRecord, apply(state, record) → state. These are its values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from nightmill.model import Message, ModelReply, Usage
from nightmill.policy import Budget
from nightmill.tool.base import Progress

__all__ = [
    "Active",
    "AgentState",
    "Beside",
    "Brief",
    "Ending",
    "Finding",
    "Layer",
    "Made",
    "Note",
    "Ran",
    "Signal",
    "Todo",
    "TurnRecord",
    "Word",
    "Working",
]

Layer = Literal["", "results", "turns", "state", "fresh"]
"""How deep a compaction went: stale results left out, old turns folded into the working state, nothing but the state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Todo:
    """One line of the agent's own list."""

    text: str
    state: Progress = "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What the agent wants to know later, whatever else is left out of its context.

    *replaces* are numbers, from 1, of notes of this kind that this one takes the place of.
    """

    kind: Literal["discovery", "failed_approach", "next"]
    text: str
    replaces: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A command that ended. *check*: it is one that verifies, as the project's own checks do."""

    command: str
    ok: bool
    turn: int
    check: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What *count* children of a turn used, beside its own reply; *cost* is US dollars, None if unknown."""

    usage: Usage
    cost: float | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """A file that the agent has read or written, as it knows it: *digest* is of the content that it saw last."""

    path: str
    digest: str
    turn: int
    edited: int = 0
    """Turn of its latest edit, 0 for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """The working state: what must not be lost with old turns.

    Attributes:
        files: The ones touched last, newest last.
        discoveries: By number, as *failed*: "" is one that was replaced, so that every other keeps the number that the
            agent was shown.
        edits: Edits since a check last passed; *touched* counts all of them.
        returned: Why the work was sent back last.
        told: The latest words of people, as they were put to it.
        past: A line for each turn that is not shown any more.
        words: The beginning of the latest words beside its calls.
    """

    files: tuple[Active, ...] = ()
    discoveries: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    next: str = ""
    checks: tuple[Ran, ...] = ()
    edits: int = 0
    touched: int = 0
    past: tuple[str, ...] = ()
    returned: str = ""
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What one turn says of where the work is going; drift is scored over the latest of them."""

    turn: int
    paths: tuple[str, ...] = ()
    edited: bool = False
    progress: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A call that was made, as the guards compare it: equal digests are the same.

    Attributes:
        call: Digest of the tool and its arguments, however they are spelled; *exact* is of the result, too.
        loose: As *exact*, but for what differs by itself: times, durations, addresses, process ids, temporary names.
        size: Characters of the result.
        tool: Its name, whatever the model called it.
        said: Digest of the result alone, as *loose* has it; "" where it is too short to tell anything.
        about: The call in a few words.
        wrong: The call itself was, not what it ran.
    """

    turn: int
    call: str
    exact: str
    loose: str
    size: int
    tool: str = ""
    said: str = ""
    about: str = ""
    wrong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a guard saw in the work and a reviewer should see, too. *test* names the test that is gone, if one is."""

    guard: str
    path: str
    what: str
    test: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an agent's work ended: "finished" (it says so), or why the loop stopped it.

    *limit* names the budget of a "limit" ending; *text* is for people, and of "finished" the agent's summary.
    """

    kind: Literal["finished", "limit", "stuck", "refused"]
    text: str
    limit: str = ""
    evidence: tuple[tuple[str, str], ...] = ()
    """Of "finished": (criterion id, what shows it, in the agent's words: test ids, commands)."""
    output: dict[str, Any] | None = None
    """Of "finished": what the step asked for, by its schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What one agent is given, once; the fixed part of each of its requests.

    Attributes:
        role: Name of the role; its instructions are in *system*.
        model: The provider's name of the model.
        system: Instructions, stable texts first.
        anchor: The task as it is put to the agent, first user message of the conversation.
        prompts: Digests of the prompt parts that *system* and *anchor* were assembled from, by name.
        conversation: Key of the provider's cache.
        objective: The task in a line or two, said again at every turn.
        checks: Commands that verify the work.
        footprint: Paths or globs that the task is expected to touch; empty: not known.
        criteria: Ids of the acceptance criteria that the work must show.
        compact_at: Tokens of a request from which older parts of it are left out.
        budget: What the run may use; None: nobody bounds it.
        others: How many other models may be asked if this one goes astray.
        tag: The sign by which the agent knows the system's own words; nobody inside can know it beforehand.
    """

    role: str
    model: str
    system: tuple[str, ...]
    anchor: str
    prompts: dict[str, str]
    conversation: str
    max_tokens: int = 8192
    thinking: int = 0
    objective: str = ""
    checks: tuple[str, ...] = ()
    footprint: tuple[str, ...] = ()
    criteria: tuple[str, ...] = ()
    compact_at: int = 80_000
    budget: Budget | None = None
    others: int = 0
    tag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a person said to the run; *number* counts them, from 1."""

    number: int
    by: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """What one turn added: never the whole history. Together with a snapshot id it is the checkpoint.

    Attributes:
        turn: From 1.
        reply: What the model said, whole.
        messages: What the turn added to the conversation: the reply, and the results or a nudge.
        todo: The list after the turn, None if unchanged.
        guards: Names of the guards that spoke.
        refused: What a call of `finish` lacked, by kind, when it was refused.
        findings: What guards saw in the work.
        tests: How many tests of a name the turn added to test files, or took away.
        model: Number of the model to ask from the next turn on, 0 if that is as it was.
        changed: Whether anything ran that may have changed the workspace.
        edited: Paths that the edit tools wrote.
        seen: (path, digest) of file contents that the agent was shown or wrote.
        ran: Commands that ended.
        late: Edits after the last of its checks.
        notes: What it wants to remember.
        explored: What explorers used that it sent out.
        compact: A compaction that was asked for at this turn, however full the context is.
        heard: Words of people that stood in its request for the first time.
        seconds: By part: "model", "tools", "first".
    """

    turn: int
    reply: ModelReply
    messages: tuple[Message, ...]
    todo: tuple[Todo, ...] | None = None
    guards: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    tests: dict[str, int] = field(default_factory=dict)
    model: int = 0
    ending: Ending | None = None
    changed: bool = False
    edited: tuple[str, ...] = ()
    seen: tuple[tuple[str, str], ...] = ()
    ran: tuple[Ran, ...] = ()
    late: int = 0
    notes: tuple[Note, ...] = ()
    explored: tuple[Beside, ...] = ()
    compact: Layer = ""
    heard: tuple[Word, ...] = ()
    seconds: dict[str, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState:
    """The fold of all records so far.

    Attributes:
        messages: The turns that are still shown, whole ones; *carried* stands for those before.
        known: Digest of each file's content as the agent saw it last, by path.
        gained: The latest gains of the work, each once: contents of files, items done, notes, ends of checks.
        density: Tokens per byte of this conversation, rather too high.
        trim: The agent was told that older turns will be left out.
        layer: How deep the latest compaction went; *compactions* counts them.
        strikes: How often each guard spoke, less what was forgiven; *clean* counts turns since that did something new.
        newest: The latest turn that did or gained something new.
        careful: The turn up to which small steps are asked for.
        model: Number of the model to ask, in the list of the role.
        refused: What `finish` lacked when it was refused, by kind, since the work was sent back; *rounds* counts that.
        tests: Tests by name that the work added, less those that it took away.
        commands: The latest commands, one line each.
        listed: The turn at which the todo list was last changed.
        heard: Number of the latest word of a person that it heard, or that was heard before it began.
    """

    messages: tuple[Message, ...] = ()
    carried: str = ""
    working: Working = Working()
    known: dict[str, str] = field(default_factory=dict)
    gained: tuple[str, ...] = ()
    signals: tuple[Signal, ...] = ()
    density: float = 0.5
    trim: bool = False
    layer: Layer = ""
    compactions: int = 0
    todo: tuple[Todo, ...] = ()
    turn: int = 0
    usage: Usage = Usage()
    cost: float = 0.0
    priced: bool = True
    """Whether every reply had a known price, so that *cost* is the whole cost."""
    explorers: int = 0
    """Sent out so far."""
    outgrown: int = 0
    """Requests in a row that the provider found too long."""
    seconds: float = 0.0
    """At work: waiting for the model and running tools."""
    context: int = 0
    """Tokens of the latest request and its reply together, 0 if what is shown has changed since."""
    digest: str = ""
    """Chained over all messages: equal digests are equal conversations."""
    idle: int = 0
    """Turns in a row without a tool call."""
    made: tuple[Made, ...] = ()
    """The latest tool calls, newest last: what the loop guards compare."""
    outputs: tuple[int, ...] = ()
    """Tokens of the latest replies, newest last."""
    strikes: dict[str, int] = field(default_factory=dict)
    clean: int = 0
    newest: int = 0
    careful: int = 0
    model: int = 0
    refused: tuple[str, ...] = ()
    rounds: int = 0
    findings: tuple[Finding, ...] = ()
    tests: dict[str, int] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    listed: int = 0
    heard: int = 0
    ending: Ending | None = None
