"""The pull requests of a project, as people look at them and decide about them at a desk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from nightmill.forge import PullRequest

__all__ = ["Change", "Pull", "Pulls", "Shown", "Yes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A pull request, as a list has it. Times are Unix seconds; *merged* is 0 if it is not."""

    project: str
    number: int
    title: str
    state: str
    run: str
    branch: str
    target: str
    head: str
    base: str
    tree: str
    author: str
    passed: bool
    opened: float
    merged: float
    merged_by: str
    merge_commit: str


Pull: TypeAlias = "PullRequest | Change"
"""One as the store has it, or as a server tells of it."""


class Shown(NamedTuple):
    """One whole, and *plain* for programs.

    Attributes:
        diff: As git writes it, "" if it was not asked for.
        answer: As `desk.changes.Stand` has it, with *reasons* and *hint*; "": nothing is to be said of its merge.
        said: What was written about it at its forge; *unheard*: not all of that by somebody whom its run heard.
    """

    pull: Pull
    body: str
    diff: str
    plain: dict[str, Any]
    answer: str
    reasons: tuple[str, ...] = ()
    hint: str = ""
    said: tuple[str, ...] = ()
    unheard: bool = False


class Yes(NamedTuple):
    """That of *by*, "" for oneself, to what merging gives, and *reasons* why that may not be merged yet."""

    by: str
    tree: str
    reasons: tuple[str, ...]


class Pulls(Protocol):
    """Those of one project, or of all. Each raises RepoError if there is none of that number, or it cannot be as it stands."""

    def listed(self) -> Sequence[Pull]:
        """All, newest first."""
        ...

    def shown(self, number: int, *, diff: bool) -> Shown:
        """One, with what it changes if *diff* is asked for."""
        ...

    def merge(self, number: int) -> tuple[Pull, str]:
        """Merge one, as it is now, if that is proven and allowed; gives it, and what can be done next, "" if nothing is."""
        ...

    def approve(self, number: int, *, because: str) -> Yes:
        """Say yes to one, as merging it now would be."""
        ...

    def send_back(self, number: int, *, because: str) -> tuple[Pull, str]:
        """Close one, with the reason; gives the same."""
        ...
