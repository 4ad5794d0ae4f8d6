"""What the store keeps, as everyone reads it: runs, what is wanted of them, what happened, what is asked of people, what is left."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Literal, NamedTuple

from nightmill.errors import SettingsError
from nightmill.event import Event, from_plain

__all__ = [
    "OVER",
    "Back",
    "Draft",
    "Entry",
    "Filed",
    "Finding",
    "Judged",
    "Kept",
    "Part",
    "Piece",
    "Question",
    "Remediation",
    "Run",
    "Settled",
    "Started",
    "State",
    "Task",
    "Wanted",
    "Wish",
    "must_be_allowed",
]

Wanted = Literal["run", "pause", "cancel"]

State = Literal["open", "granted", "refused", "answered", "expired"]
"""Of a question."""

Task = Literal["open", "started", "landed", "followed", "settled", "dropped"]
"""How a task stands that a run left."""

OVER = ("done", "stopped")
"""The states in which a run has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One row: what was asked for, what is wanted of it, and what the ledger adds up to.

    Attributes:
        kind: "spec" (plans and starts tasks) or "task".
        parent: The run that started this one, "" for none.
        assignment: Blob with what the worker needs to know.
        state: queued, running, parked, paused, done or stopped.
        why: Of a stop: limit, failed, refused or cancelled; of a parked run, what it needs: time or person.
        priced: Whether every turn had a known price, so that *cost* is the whole cost in US dollars.
        worker: The worker that has or had it.
    """

    id: str
    kind: str
    parent: str
    project: str
    title: str
    assignment: str
    created: float
    updated: float
    wanted: Wanted = "run"
    wanted_by: str = ""
    wishes: int = 0
    words: int = 0
    state: str = "queued"
    phase: str = ""
    reason: str = ""
    why: str = ""
    model: str = ""
    turns: int = 0
    tokens: int = 0
    cost: float = 0.0
    priced: bool = True
    pull_request: int = 0
    worker: str = ""

    @property
    def over(self) -> bool:
        """Whether it ended."""
        return self.state in OVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What people want of a run, who said so last ("": nobody yet), and how often anybody did; how many *words* they said.

    *watched*: somebody looks on just now, and wants to see what it writes while it is written.
    """

    wanted: Wanted
    by: str
    count: int
    words: int = 0
    watched: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row of the ledger."""

    seq: int
    at: float
    run: str
    name: str
    key: str | None
    body: str
    hash: str

    def event(self) -> Event:
        """The event as its class; `Forgotten`, if its words were deleted.

        Raises:
            EngineError: If this version does not know it.
        """
        return from_plain(name=self.name, run=self.run, body=json.loads(self.body))


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The newest part of one thing that is being written, without secrets.

    Attributes:
        kind: "thinking", "text", "call" (of a tool, its arguments as they come) or "output" (what a command prints).
        name: The tool that is called, or the command that prints.
        cut: Characters before *text* that are left out.
        by: The explorer that writes it, "" for the turn itself.
    """

    kind: str
    name: str
    text: str
    cut: int
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a run is writing just now: a turn that has not ended. It is no fact, and kept nowhere.

    Attributes:
        attempt: Another one each time that the turn is begun: what was written before has gone.
        pieces: In order; none: nothing is being written any more.
    """

    run: str
    role: str
    turn: int
    attempt: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of a run to people.

    Attributes:
        id: Made by who asks, the same however often it asks: run, step, and what makes it this question and no other.
        kind: "approve" (granted or refused) or "answer" (answered with a text).
        body: Blob with what the person should see, "" for none.
        tree: The git tree that a yes is about; *policy* the version of the policy that asks. Neither ever changes.
        change: A digest of what the tree changes of what it would be merged into, as `policy.Facts` has it.
        options: The answers to choose from; empty: any text.
        barred: Addresses, and "@domain" for all of one, that may not decide: authors and agents.
        approvers: Addresses of those who may; empty: everybody who is not barred.
        seconds: How long it may stay open from when it is asked, 0: for ever. Not stored; *expires* is.
        by: Who decided, or "clock".
        ends: Whether the run ends with any answer: nobody is asked how it goes on, only whether they have seen why not.
    """

    id: str
    run: str
    step: str
    kind: Literal["approve", "answer"]
    title: str
    body: str = ""
    tree: str = ""
    policy: str = ""
    change: str = ""
    options: tuple[str, ...] = ()
    barred: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    seconds: float = 0.0
    created: float = 0.0
    expires: float = 0.0
    state: State = "open"
    answer: str = ""
    by: str = ""
    decided: float = 0.0
    ends: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """A task that a run left.

    Attributes:
        run: That left it; *title* is that of what it worked on, *findings* counts what was open.
        head: Commit with its work so far, which has the tree *tree*.
        body: Blob with all that is known.
        child: The newest run that goes on with it, "" for none yet.
        by: Who started or dropped it last, *because* the reason of who dropped it.
        state: "open"; "started"; "landed" with a pull request of that run; "followed" by what that run left itself; "settled":
            the run that left it went on otherwise, or was cancelled; "dropped". When the run that goes on with it ends without a
            pull request, it is open again.
    """

    id: str
    run: str
    project: str
    title: str
    findings: int
    tree: str
    head: str
    body: str
    filed: float
    child: str = ""
    by: str = ""
    because: str = ""
    dropped: float = 0.0
    state: Task = "open"


class Started(NamedTuple):
    """The *run* that goes on with a task; *new*: nobody was first."""

    run: Run
    new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one role made of the tree: the commit that holds it in the hub, and its words about it."""

    role: str
    commit: str
    summary: str = ""
    evidence: tuple[tuple[str, str], ...] = ()
    conversation: str = ""
    """The conversation with the model in which it was made, "" for what a command did."""
    run: str = ""
    """The run in which it was made, "" for the one that has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is open: *test* is the one that has to pass, "" where none was named, *why* what its last answer lacks."""

    id: str
    title: str
    severity: str = ""
    criterion: str = ""
    test: str = ""
    expected: str = ""
    happened: str = ""
    detail: str = ""
    evidence: str = ""
    answer: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What was found and is not open any more: *state* is "fixed" or "disputed", *by* a test or a reason."""

    id: str
    title: str
    state: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What *role* said of the whole, where that was asked."""

    role: str
    approved: bool = False
    case_for: str = ""
    case_against: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remediation:
    """What the run *run*, by the blueprint *blueprint*, leaves.

    Attributes:
        commit: Has the tree *tree* and holds the work so far; *parts* says who made it.
        more: Findings that are left out here: the run itself has them.
        checks: What the checks said of the tree.
    """

    run: str
    blueprint: str
    commit: str
    tree: str
    parts: tuple[Part, ...]
    findings: tuple[Finding, ...]
    more: int = 0
    settled: tuple[Settled, ...] = ()
    approach: str = ""
    checks: str = ""
    said: tuple[Judged, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """Where to go on from, and what is to be otherwise from there on.

    Attributes:
        turn: The one after which; 0: before the first; None: where *answers* was given.
        role: Whose turn, where several roles have one of that number.
        instruction: What the agent hears first.
        files: Contents by path in the checkout.
        gone: Paths of files in the checkout that are deleted.
        results: What calls of that turn gave, by id, or by number from 1.
        answers: What a person answered, by the question or its step: one.
    """

    turn: int | None = None
    role: str = ""
    instruction: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    gone: Sequence[str] = ()
    results: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)


class Kept(NamedTuple):
    """When a secret was set, in Unix seconds, and by whom, "" where that was not said."""

    at: float
    by: str


def must_be_allowed(question: Question, by: str) -> None:
    """Let *by* ("Name <address>") decide *question*.

    Raises:
        SettingsError: If they may not: they have a part in it, or others were named.
    """
    mail = (parseaddr(by)[1]).strip().casefold()
    if "@" not in mail:
        raise SettingsError(f"{by!r} does not say who decides", hint="it has to be 'Name <address>'")
    barred = {each.casefold() for each in question.barred}
    if mail in barred or f"@{mail.rpartition('@')[2]}" in barred:
        raise SettingsError(
            f"{mail} has a part in {question.title!r}, so somebody else has to decide", hint="ask another person"
        )
    if question.approvers and mail not in {each.casefold() for each in question.approvers}:
        raise SettingsError(
            f"{mail} is not among those who decide {question.title!r}", hint=f"ask {', '.join(question.approvers)}"
        )
