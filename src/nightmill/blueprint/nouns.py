"""What a blueprint is made of. The file's shape, its JSON schema and these values are one thing.

Texts that hold `{{ … }}` are templates; `when`, `until`, `map`, `gives`, `env`, `outputs` and every value of `inputs`
and `data` are expressions. Both see `inputs`, `steps` and what the run is given, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

__all__ = [
    "KINDS",
    "SEVERITIES",
    "AgentStep",
    "ApproveStep",
    "AskStep",
    "Blueprint",
    "CallStep",
    "ChangeStep",
    "CheckStep",
    "EmitStep",
    "Input",
    "MapStep",
    "Most",
    "PythonStep",
    "RepeatStep",
    "ReviewStep",
    "RunStep",
    "Severity",
    "Step",
    "StopStep",
    "kind",
    "walk",
]

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""Of steps and inputs: expressions read them as words, so there is no '-' in them."""
Title = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Expression = Annotated[str, Field(max_length=2_000)]
Template = Annotated[str, Field(max_length=20_000)]
Severity = Literal["critical", "major", "minor", "note"]
SEVERITIES: tuple[Severity, ...] = ("critical", "major", "minor", "note")
"""Worst first."""

STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A value that whoever starts the blueprint gives. Without a default it has to be given."""

    __pydantic_config__ = STRICT

    type: Literal["text", "number", "boolean", "list", "path", "choice", "object"] = "text"
    doc: Annotated[str, Field(description="What it is, as a person is asked for it.")] = ""
    default: Any = None
    optional: bool = False
    choices: tuple[str, ...] = ()
    pattern: Annotated[str, Field(description="Regular expression that a text has to match, whole.")] = ""

    @property
    def needed(self) -> bool:
        """Whether it has to be given."""
        return not self.optional and self.default is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Most:
    """What one step may use at most, within what is left to its run."""

    __pydantic_config__ = STRICT

    turns: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = None
    tokens: Annotated[int, Field(ge=1000, strict=True)] | None = None
    money: Annotated[float, Field(gt=0, strict=True)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What every step has.

    Attributes:
        id: By which later steps name what it gave.
        when: It is left out unless this is true.
        may_fail: The run goes on although it failed; later steps look at its `ok`.
    """

    __pydantic_config__ = STRICT

    id: Name
    title: Annotated[str, Field(max_length=120, description="For people; the id, if nothing is said.")] = ""
    when: Expression = ""
    may_fail: bool = False
    line: int = 0
    """In its file; set by the reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep(Common):
    """A command in the sandbox: a constant text. Values reach it as environment variables, so none can become code."""

    run: Annotated[str, Field(min_length=1, max_length=20_000, description="Shell text, run at the checkout's root.")]
    env: Annotated[dict[Variable, Expression], Field(description="Variables of the command, by expressions.")] = field(
        default_factory=dict
    )
    seconds: Annotated[float, Field(gt=0, le=7200, strict=True)] = 300.0
    memory: Annotated[int, Field(gt=0, strict=True, description="Bytes.")] = 2 << 30
    keep: Annotated[bool, Field(description="Whether what it changed in the checkout stays.")] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckStep(Common):
    """The project's checks on exactly the present tree, in a sandbox that no agent has touched."""

    check: Annotated[
        Annotated[tuple[str, ...], Field(min_length=1)] | Literal["all"], Field(description="Names of checks, or all.")
    ]
    claims: Annotated[Expression, Field(description="What an agent says shows each criterion: its `evidence`.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStep(Common):
    """A role at work, which sees its instructions, the goal and the inputs that are named here, and nothing else.

    Attributes:
        output: JSON schema of the object that it has to hand over; none: a summary is enough.
        again: What it is told when this step, or the one that *goes_on* names, has run before: that conversation goes
            on with these words. Without it, it begins anew each time.
    """

    agent: Title
    goal: Annotated[Template, Field(description="What is to be reached; `prompt` instead names a shipped text.")] = ""
    prompt: Annotated[str, Field(pattern=r"^([a-z_]+/[a-z_]+)?$")] = ""
    inputs: dict[Name, Expression] = field(default_factory=dict)
    tools: Annotated[tuple[str, ...], Field(description="Of the role's tools, those that it has here.")] = ()
    skills: Annotated[bool, Field(description="Whether the project's skills that fit are named.")] = False
    budget: Most = Most()
    output: dict[str, Any] = field(default_factory=dict)
    again: Template = ""
    goes_on: Annotated[str, Field(description="The agent step whose conversation goes on.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewStep(Common):
    """A role judges the whole change against the spec; it must not be one that wrote any of it.

    *blocks*: a finding as bad as this, or worse, is a no.
    """

    review: Title
    goal: Template = ""
    inputs: dict[Name, Expression] = field(default_factory=dict)
    blocks: Severity = "major"
    budget: Most = Most()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveStep(Common):
    """A person's yes to exactly the present tree; where policy lets the change pass by itself, nobody is asked."""

    approve: Annotated[Template, Field(description="What is asked for, in a sentence.")]
    by: Literal["policy", "person"] = "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskStep(Common):
    """A question to a person; the run waits for the answer and spends nothing."""

    ask: Template
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MapStep(Common):
    """Steps for each item of a list, side by side, each in a fork of the sandbox that is thrown away afterwards."""

    map: Annotated[Expression, Field(description="The list.")]
    each: Annotated[Name, Field(description="What an item is called in the steps.")] = "item"
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    gives: Annotated[Expression, Field(description="What each item comes to; `results` has them in order.")] = ""
    most: Annotated[int, Field(ge=1, le=500, strict=True, description="A longer list is refused.")] = 50
    at_once: Annotated[int, Field(ge=1, le=32, strict=True)] = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatStep(Common):
    """Steps again and again until *until* is true after them, at most *repeat* times; then it failed."""

    repeat: Annotated[int, Field(ge=1, le=20, strict=True)]
    until: Expression
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStep(Common):
    """Another blueprint, which sees the inputs that it is given here and gives its outputs."""

    call: Title
    inputs: dict[Name, Expression] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeStep(Common):
    """The change as a pull request: only with a proof, reviews and approvals of exactly its tree, as policy asks."""

    change: Annotated[Template, Field(description="Title of the change.")]
    summary: Annotated[Expression, Field(description="What changed and why, in words.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitStep(Common):
    """A fact for the ledger, by which others may act: a follow-up task, a report."""

    emit: Title
    data: dict[Name, Expression] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonStep(Common):
    """A registered function of nightmill or the operator: values in, values out."""

    python: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{0,79}$")]
    inputs: dict[Name, Expression] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopStep(Common):
    """The end of the run, with its reason, or, with *wait*, a wait for a person who decides what becomes of it."""

    stop: Template
    wait: bool = False


def _kind_of(value: Any) -> str:
    """The key that says which kind of step *value*, a mapping or a step, is; "" if none or several do."""
    if isinstance(value, dict):
        found = [name for name in KINDS if name in value]
        return found[0] if len(found) == 1 else ""
    return next((name for name, each in KINDS.items() if isinstance(value, each)), "")


Step = Annotated[
    Annotated[RunStep, Tag("run")]
    | Annotated[CheckStep, Tag("check")]
    | Annotated[AgentStep, Tag("agent")]
    | Annotated[ReviewStep, Tag("review")]
    | Annotated[ApproveStep, Tag("approve")]
    | Annotated[AskStep, Tag("ask")]
    | Annotated[MapStep, Tag("map")]
    | Annotated[RepeatStep, Tag("repeat")]
    | Annotated[CallStep, Tag("call")]
    | Annotated[ChangeStep, Tag("change")]
    | Annotated[EmitStep, Tag("emit")]
    | Annotated[PythonStep, Tag("python")]
    | Annotated[StopStep, Tag("stop")],
    Discriminator(_kind_of),
]

KINDS: dict[str, type[Common]] = {
    "run": RunStep,
    "check": CheckStep,
    "agent": AgentStep,
    "review": ReviewStep,
    "approve": ApproveStep,
    "ask": AskStep,
    "map": MapStep,
    "repeat": RepeatStep,
    "call": CallStep,
    "change": ChangeStep,
    "emit": EmitStep,
    "python": PythonStep,
    "stop": StopStep,
}
"""Steps by the key that says what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """A process: steps in their order.

    Attributes:
        cues: How people ask for it: words and short sentences, by which an ask is matched.
        outputs: Expressions, by name: what it gives to a blueprint that calls it, and to whoever asked.
        source: The file it was read from, and *digest* the SHA-256 of that file's bytes.
    """

    __pydantic_config__ = STRICT

    name: Title
    version: Annotated[int, Field(ge=1, strict=True)] = 1
    title: Annotated[str, Field(max_length=120)] = ""
    description: Annotated[str, Field(max_length=2_000)] = ""
    cues: tuple[str, ...] = ()
    inputs: dict[Name, Input] = field(default_factory=dict)
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    outputs: dict[Name, Expression] = field(default_factory=dict)
    source: str = ""
    digest: str = ""

    @property
    def changes(self) -> bool:
        """Whether it can end in a pull request of its own; what it calls may, too."""
        return any(isinstance(step, ChangeStep) for step in walk(self.steps))


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """All of *steps* and those within them, in the order of the file."""
    for step in steps:
        yield step
        if isinstance(step, MapStep | RepeatStep):
            yield from walk(step.steps)


def kind(step: Step) -> str:
    """The key that says what *step* is."""
    return _kind_of(step)
