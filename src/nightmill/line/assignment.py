"""What a run was asked to do, as the worker finds it: one immutable blob, named in the run's row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter

from nightmill.agent.external import External
from nightmill.blueprint import Blueprint
from nightmill.crew import Crew, Role
from nightmill.estate.nouns import Project
from nightmill.event import RunQueued
from nightmill.line.begun import Begun
from nightmill.model import Usage, connect
from nightmill.model.price import cost
from nightmill.model.route import Choice, choices
from nightmill.plan import Task
from nightmill.policy import Budget, Policy
from nightmill.spec import Spec
from nightmill.store import Blobs, Run, Runs

__all__ = ["Assignment", "Edit", "Origin", "models", "price", "queue", "queued", "read", "write"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What *by*, a person, put in the place of what there was: the blob *body*, at the moment *at* of *run*.

    *what* is the path of a file, the id of a tool call, or of a question. Without a *body*, a file was deleted.
    """

    kind: Literal["file", "result", "answer"]
    what: str
    body: str
    by: str
    run: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The moment of another run that a run goes on from: after a turn, at an answer, or, with neither, before the first turn.

    Attributes:
        snapshot: Of that run's sandbox, at that moment.
        role: Whose *turn* it was, and the blob *record* of it; *edited* is the blob that takes its place.
        question: The id of the one that was answered, when it was *created* and *decided*; *answer* takes that answer's place.
        own: What was edited at this moment; *edits* are those before it, too, in the runs that it comes from.
        before: Where *run* itself goes on from.
    """

    run: str
    snapshot: str
    turn: int = 0
    role: str = ""
    record: str = ""
    edited: str = ""
    question: str = ""
    created: float = 0.0
    decided: float = 0.0
    answer: str | None = None
    own: tuple[Edit, ...] = ()
    edits: tuple[Edit, ...] = ()
    before: Origin | None = None

    @property
    def start(self) -> bool:
        """Whether it is before the first turn."""
        return not self.record and not self.question

    @property
    def moment(self) -> str:
        """It, in a word: ROLE/TURN, a question's id, or 0."""
        return f"{self.role}/{self.turn}" if self.record else self.question or "0"

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """(path, blob) of each file that was edited here, "" for the blob of one that was deleted."""
        return tuple((each.what, each.body) for each in self.own if each.kind == "file")

    @property
    def editors(self) -> tuple[str, ...]:
        """Who edited files, here or before: they wrote part of what comes of it."""
        return tuple(dict.fromkeys(each.by for each in self.edits if each.kind == "file"))

    def ends(self, name: str, result: Any) -> bool:
        """Whether the checkpoint *name* with *result* is the last before it."""
        if self.record:
            return name == "turn" and bool(result.get("record") == self.record)
        found = result.get("decided", {}) if name == "ask" else {}
        return (found.get("state"), found.get("created"), found.get("decided")) == (
            "answered",
            self.created,
            self.decided,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Everything that decides what a run does, fixed when it was asked for.

    Attributes:
        kind: "spec" (plans, then starts a run per task) or "task".
        model: `provider:name`, of roles that name none; *fallbacks* answer when it does not, *small* does cheap steps.
        base_url: Replaces the endpoint of the provider that *model* names.
        base_branch: Where a pull request goes; *base_commit* is what the work starts from.
        target: Branch that the pull request asks to be merged into, the base branch or the task's before it.
        compact_at: Tokens of a request from which older parts of it are left out.
        by: Who asked, as "Name <mail>".
        plan: "auto" or "single", see the setting of that name.
        crew: The roles that may act in it; None, in runs asked for before there were others: the shipped ones.
        policy: What holds for what comes of it.
        blueprints: The process of a task, with all that it calls, itself first; *inputs* are what it was given.
        answers: Who answers for all of *blueprints* as they are here: the person who approved, or "the release"; "": nobody.
        values: Of an item of a map: what its steps may read beside that.
        trial: The blob that says how another run went, of one that tries a script in it; see `process.trial`.
        root: The run that a person asked for, of runs more than one level below it.
        origin: The moment of another run that it goes on from; None: it begins.
        agent: Who does the developer's work instead of our own loop; *model* is then the one that it asks.
        begun: The work that it goes on from; None: it begins at the base commit. That is what all of it is compared with.
    """

    kind: str
    project: Project
    spec: Spec
    model: str
    base_url: str
    base_branch: str
    base_commit: str
    target: str
    budget: Budget
    max_tokens: int
    thinking: int
    by: str
    plan: str = "auto"
    compact_at: int = 80_000
    fallbacks: tuple[str, ...] = ()
    small: str = ""
    task: Task | None = None
    parent: str = ""
    agent: External | None = None
    crew: Crew | None = None
    policy: Policy = Policy()
    blueprints: tuple[Blueprint, ...] = ()
    inputs: dict[str, Any] = field(default_factory=dict)
    answers: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    root: str = ""
    trial: str = ""
    origin: Origin | None = None
    begun: Begun | None = None

    @property
    def editors(self) -> tuple[str, ...]:
        """People, "Name <address>", who edited files of what it goes on from: what comes of it is theirs, too."""
        before = self.begun.editors if self.begun else ()
        return tuple(dict.fromkeys((*before, *(self.origin.editors if self.origin else ()))))

    @property
    def begins(self) -> str:
        """The commit whose tree the sandbox holds first."""
        return self.begun.commit if self.begun else self.base_commit

    @property
    def worker(self) -> str:
        """Who does the work, for people: the model, and the agent that it is in."""
        return f"acp:{self.agent.name} {self.model}" if self.agent else self.model


@cache
def _adapter() -> TypeAdapter[Assignment]:
    return TypeAdapter(Assignment)


def write(assignment: Assignment) -> bytes:
    """*assignment* as JSON."""
    return _adapter().dump_json(assignment)


def read(body: bytes) -> Assignment:
    """The assignment in *body*."""
    return _adapter().validate_json(body)


def queue(
    assignment: Assignment, *, run: str, title: str, blobs: Blobs, runs: Runs, blueprint: str | None = None
) -> Run:
    """Put *run* in the queue, which is to do *assignment* and shows people its *title*.

    It counts as one of its first blueprint, or of *blueprint*: "" where it shows nothing of a whole one.
    """
    asked = queued(assignment, run=run, title=title, blueprint=blueprint)
    return runs.create(asked, assignment=blobs.put(write(assignment)))


def queued(assignment: Assignment, *, run: str, title: str, blueprint: str | None = None) -> RunQueued:
    """That *run* was asked for, which is to do *assignment*."""
    own = assignment.blueprints[0].name if assignment.blueprints else ""
    return RunQueued(
        run=run,
        kind=assignment.kind,
        title=title,
        project=assignment.project.id,
        spec=assignment.spec.digest,
        model=assignment.worker,
        parent=assignment.parent,
        base_branch=assignment.base_branch,
        base_commit=assignment.base_commit,
        blueprint=own if blueprint is None else blueprint,
        answers=assignment.answers,
    )


def models(assignment: Assignment, role: Role, *, cheap: bool = False) -> tuple[Choice, ...]:
    """The models that may answer *role*, best first; for a *cheap* step the small one, if there is one, before all."""
    own = (role.model or assignment.model, *(role.fallbacks or (() if role.model else assignment.fallbacks)))
    names = (assignment.small, *own) if cheap else own
    return choices(names, base_url=assignment.base_url, owner=assignment.model)


def price(choice: Choice) -> Callable[[int, int], float | None]:
    """What (input, output) tokens of the model *choice* cost in US dollars at most; None if nobody knows.

    Writing input into a cache is dearer than not to cache it where it has a price of its own.
    """
    model, provider = choice.name.partition(":")[2], connect.seller(choice.name)

    @cache
    def of(given: int, made: int) -> float | None:
        rates = (Usage(input=given, output=made), Usage(input=given, cache_write=given, output=made))
        costs = [cost(usage, model=model, provider=provider, base_url=choice.base_url) for usage in rates]
        return max((each for each in costs if each is not None), default=None)

    return of
