"""What a run was asked to do, as the worker finds it: one immutable blob, named in the run's row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from nightmill.agent.external import External
from nightmill.crew import Role
from nightmill.estate.nouns import Project
from nightmill.model import Usage, connect
from nightmill.model.price import cost
from nightmill.model.route import Choice, choices
from nightmill.plan import Task
from nightmill.policy import Budget
from nightmill.spec import Spec

__all__ = ["Assignment", "models", "price", "read", "write"]


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
        agent: Who does the developer's work instead of our own loop; *model* is then the one that it asks.
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
    send_back: int
    by: str
    plan: str = "auto"
    compact_at: int = 80_000
    fallbacks: tuple[str, ...] = ()
    small: str = ""
    task: Task | None = None
    parent: str = ""
    agent: External | None = None

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
    found: Any = _adapter().validate_json(body)
    return found  # type: ignore[no-any-return]  # the adapter gives what it was made for


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

    def of(given: int, made: int) -> float | None:
        rates = (Usage(input=given, output=made), Usage(input=given, cache_write=given, output=made))
        costs = [cost(usage, model=model, provider=provider, base_url=choice.base_url) for usage in rates]
        return max((each for each in costs if each is not None), default=None)

    return of
