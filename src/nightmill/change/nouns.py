"""What is landed, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from nightmill.plan import Task
from nightmill.repo import Author
from nightmill.review import Verdict

__all__ = ["Edited", "Judged", "Landed", "Landing", "Made"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What one author made of the tree before the last one went on from it: in *run*, "" for the one that lands."""

    author: Author
    tree: str
    summary: str
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """What *by*, a person, changed at the moment *at* of *run*, from which the work went on: a file, a tool's result, an answer.

    *gone*: the file was deleted.
    """

    by: str
    kind: str
    what: str
    run: str
    at: str
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a role said of the tree; *findings* are (severity, where, what), as it put them. Hostile until shown harmless."""

    role: str
    approved: bool
    findings: tuple[tuple[str, str, str], ...] = ()


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
    reviews: tuple[Judged, ...] = ()
    asks: tuple[str, ...] = ()
    """What policy asks whoever merges it to have looked at, a sentence each."""
    edits: tuple[Edited, ...] = ()
    """What people edited in the past that the work goes on from."""
    editors: tuple[str, ...] = ()
    """Those of them, "Name <address>", who edited files: they are authors, too."""
    earlier: tuple[Made, ...] = ()
    """What others made before the one who lands it, each a signed commit of its own, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """The signed *commit* on *branch*, and the pull request *number* that asks for it.

    *commits* are all of the branch, oldest first: {"commit", "tree", "author"}.
    """

    commit: str
    tree: str
    branch: str
    number: int
    title: str
    author: str
    commits: tuple[dict[str, str], ...] = ()
