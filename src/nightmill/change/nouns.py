"""What is landed, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from nightmill.plan import Task
from nightmill.review import Verdict

__all__ = ["Landed", "Landing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """A proven piece of work on its way to a pull request. All of it is decided before: landing asks no clock.

    Attributes:
        spec: Title of the spec; *digest* is its hash.
        base: Commit that the work started from; *target* is the branch that it asks to be merged into.
        incoming: Ref or commit in the hub that holds the work as it left the sandbox.
        verdict: The engine's judgement; *proof* is the blob that holds it.
        summary: What the agent says about its work. Hostile until shown harmless.
        findings: (path, what) of the change that deserve a second look.
        cost: US dollars, None if unknown.
        when: Time of the commit in Unix seconds.
        co_author: "Name <address>" for the trailer, "" for none.
    """

    run: str
    project: str
    task: Task
    spec: str
    digest: str
    base: str
    target: str
    incoming: str
    verdict: Verdict
    proof: str
    summary: str
    when: int
    model: str
    turns: int
    tokens: int
    cost: float | None
    findings: tuple[tuple[str, str], ...] = ()
    co_author: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """The signed *commit* on *branch*, and the pull request *number* that asks for it."""

    commit: str
    tree: str
    branch: str
    number: int
    title: str
    author: str
