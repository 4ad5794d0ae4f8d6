"""What is asked for at a desk and what comes back, wherever the store is: here, or at a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from nightmill.desk.requested import Requests
from nightmill.kept import Back, Draft, Entry, Filed, Question, Remediation, Run, Wanted

if TYPE_CHECKING:
    from nightmill.access import Person

__all__ = [
    "Asked",
    "Comparison",
    "Desk",
    "Ended",
    "Look",
    "Part",
    "Planned",
    "Remainder",
    "Seat",
    "Side",
    "Standing",
    "Thing",
    "Tie",
    "Turn",
    "Use",
    "Verb",
    "commands",
]

Verb = Literal["approve", "refuse", "answer"]


class Thing(NamedTuple):
    """One thing that waits.

    Attributes:
        since: Unix seconds.
        reason: Why it waits, in a sentence.
        kind: "approve" and "answer" (a question with the id *question*), "parked", "merge", or "task" (left by the run).
        number: Of the pull request that is to be merged, 0 for none.
        task: Id of the task that somebody can start, "" for none.
    """

    since: float
    reason: str
    run: str
    project: str
    kind: str
    question: str = ""
    number: int = 0
    task: str = ""


class Asked(NamedTuple):
    """A question that is open, with the text that the person should see."""

    question: Question
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remainder:
    """A task that a run left, with all that is known of it.

    Attributes:
        about: The title of the spec that the run worked on.
        branch: The one that it began at, at *commit*; *target* is the one to merge into.
        model: The one that goes on with it where none is named, by *blueprint*.
        spec: The text of the spec that a run of it is started with.
    """

    task: Filed
    known: Remediation
    about: str
    branch: str
    commit: str
    target: str
    model: str
    blueprint: str
    spec: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A task of a plan, and how it stands.

    Attributes:
        criteria: Ids of those of the spec that it has to show.
        depends: Ids of the tasks that come before it.
        paths: What it is expected to touch, *symbols* likewise.
        wave: The earliest in which all that it depends on is there, from 1.
        state: That of its run, which is *run*; "planned": nobody has started it. *why* as a run has it.
    """

    id: str
    title: str
    criteria: tuple[str, ...]
    depends: tuple[str, ...]
    paths: tuple[str, ...]
    symbols: tuple[str, ...]
    wave: int
    state: str
    why: str
    run: str
    pull_request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """Two tasks that may both touch *paths*, in no order."""

    one: str
    other: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The plan of the run *run* as it is now."""

    run: str
    title: str
    state: str
    tasks: tuple[Planned, ...]
    ties: tuple[Tie, ...]


class Part(NamedTuple):
    """A part of a turn: *kind* is "thinking", "text", "call" or "result".

    Attributes:
        call: Of a call and its result: its id.
        name: Of these: the tool.
        ok: False of a result that says that the call was wrong.
    """

    kind: str
    call: str
    name: str
    text: str
    ok: bool


class Ended(NamedTuple):
    """A question that has its end: *state* is "granted", "refused" or "answered", *tree* what a yes is about."""

    question: str
    run: str
    title: str
    tree: str
    state: str
    by: str


class Look(Protocol):
    """What one sees of runs. A name of a run is its id, or its beginning.

    Each raises SettingsError if there is no such run, EngineError if the store is away.
    """

    def runs(self, *, project: str = "", parent: str = "", limit: int | None = None) -> Sequence[Run]:
        """Runs, newest first; "" means of any."""
        ...

    def run(self, name: str) -> Run:
        """One run."""
        ...

    def events(self, run: Run) -> Sequence[Entry]:
        """What happened in *run* alone, by now."""
        ...

    def entries(self, run: Run, *, wait: bool) -> Iterator[Entry | None]:
        """What happened in *run* and in what it started; with *wait* until it ends, None where nothing is new."""
        ...


class Desk(Look, Protocol):
    """A `Look` by which one acts, in one's own name."""

    def waiting(self) -> Sequence[tuple[Thing, str]]:
        """What waits for a person, oldest first, each with the command that goes on from there."""
        ...

    def asked(self, name: str) -> Sequence[Asked]:
        """What a run and its tasks ask now."""
        ...

    def want(self, name: str, wanted: Wanted) -> Run:
        """Pause, resume or cancel a run with what it started.

        Raises:
            SettingsError: If it has ended, was cancelled before, or one may not.
        """
        ...

    def say(self, name: str, text: str) -> Run:
        """Say *text* to whoever is at work in a run; gives the run that hears it.

        Raises:
            SettingsError: If nobody could hear it, or one may not.
        """
        ...

    def rewind(self, name: str, back: Back) -> Run:
        """A new run that goes on from an earlier moment of a run, as it is edited there.

        Raises:
            SettingsError: If it cannot be gone on from there, or one may not.
        """
        ...

    def compare(self, name: str, other: str) -> Comparison:
        """Two runs of one project beside each other.

        Raises:
            SettingsError: If they cannot be.
        """
        ...

    def decide(self, name: str, verb: Verb, words: str, *, question: str = "", tree: str = "") -> Ended:
        """Say yes or no (and why), or what the answer is, to the one question that a run or a task of it asks.

        With the id *question*, and about *tree*, if they are named.

        Raises:
            SettingsError: If there is none, there are several, it is about another tree by now, or one may not.
        """
        ...

    def plan(self, name: str) -> Standing:
        """The plan that a run is part of, as it is now; without tasks where there is none."""
        ...

    def tasks(self, *, project: str = "", every: bool = False) -> Sequence[Filed]:
        """What runs left and nobody has ended yet, oldest first; *every*: what is closed, too."""
        ...

    def task(self, name: str) -> Remainder:
        """A task that a run left, with all that is known of it.

        Raises:
            SettingsError: If there is none.
        """
        ...

    def drop(self, name: str, *, because: str) -> Filed:
        """Let nobody go on with a task that a run left.

        Raises:
            SettingsError: If it is no longer open, or one may not.
        """
        ...

    def idle(self) -> bool:
        """Whether it is known that no worker is alive."""
        ...


class Seat(Desk, Requests, Protocol):
    """A `Desk` at which one stays, and sees what a line of the ledger does not hold."""

    def live(self, run: Run) -> Iterator[Entry | Draft | None]:
        """As `entries` with *wait*, and what *run* and what it started write meanwhile, in turns that have not ended."""
        ...

    def me(self) -> Person:
        """Who one is there, and what one may do now."""
        ...

    def turn(self, run: str, *, role: str, number: int) -> Sequence[Part]:
        """A turn of *role*, whole.

        Raises:
            SettingsError: If there is none, or it has not ended.
        """
        ...

    def diff(self, run: str) -> str:
        """What a run has changed so far, as git writes it; "" if nothing, or if that is not known where the store is."""
        ...

    def attend(self, run: str, terminal: str, *, seconds: float) -> Sequence[str]:
        """Say that one looks on from *terminal* for *seconds* more, 0: no longer; gives who else does, each once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of an agent: what it said, and its tool calls, each "tool what", with whether it went well.

    *cost* is in US dollars, None if unknown.
    """

    run: str
    role: str
    number: int
    said: str
    calls: tuple[tuple[str, bool], ...]
    tokens: int
    cost: float | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two, after they part.

    Attributes:
        turns: Its own from there on; *calls*, *tokens*, *cost* (US dollars) and *seconds* are theirs, *priced* whether all had a price.
        said: What people said to it, and what they edited where it began, a sentence each.
        checks: (name, whether it passed) of the last proof.
        findings: What roles found last, a sentence each.
        commit: What came of it, "" if nothing left its sandbox yet.
    """

    run: str
    state: str
    why: str
    reason: str
    origin: str
    turns: tuple[Turn, ...]
    calls: int
    tokens: int
    cost: float
    priced: bool
    seconds: float
    said: tuple[str, ...]
    checks: tuple[tuple[str, bool], ...]
    findings: tuple[str, ...]
    pull_request: int
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Both, after the turns that they have in *common*; *diff* is how the tree of the one becomes that of the other."""

    title: str
    project: str
    common: tuple[Turn, ...]
    left: Side
    right: Side
    diff: str
    amiss: str
    """Why there is no difference to be seen, "" if there is one or the trees are the same."""


def commands(thing: Thing | Question, *, roots: dict[str, Path] | None = None) -> list[str]:
    """The commands that go on from *thing*, the likeliest first; *roots* are projects' folders, where the caller is elsewhere."""
    if isinstance(thing, Thing) and thing.kind == "task":
        return [f"nightmill task start {thing.task}", f"nightmill task drop {thing.task} --because TEXT"]
    if thing.kind == "answer":
        return [f"nightmill answer {thing.run} TEXT"]
    if thing.kind == "approve":
        return [f"nightmill approve {thing.run}", f"nightmill refuse {thing.run} --because TEXT"]
    if isinstance(thing, Question) or thing.kind == "parked":
        return [f"nightmill resume {thing.run}"]
    root = (roots or {}).get(thing.project)
    return [f"nightmill pr show {thing.number}" + (f" --project {quote(str(root))}" if root else "")]


class Use(NamedTuple):
    """Something takes a secret.

    *by* is the credential, or the models of a provider; *host* where it goes, "" if that is not one; *projects* are ids, or "*".
    *hidden*: the environment of the server has another, which goes before it.
    """

    secret: str
    by: str
    host: str = ""
    projects: tuple[str, ...] = ("*",)
    hidden: bool = False

    def serves(self, project: str) -> bool:
        """Whether it does so for *project*."""
        return bool({project, "*"} & set(self.projects))
