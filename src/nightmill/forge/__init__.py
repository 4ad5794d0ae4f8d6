"""Where pull requests live. Takes: PullRequest. Gives: its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["Forge", "PullRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """A change that asks to be merged. *tree* is the tree that *verdict* (a blob) was given for.

    *key* is who asked for it (a run's id): asking twice with one key opens one pull request.
    Times are Unix seconds; *number* counts from 1 per project, 0: not opened yet.
    """

    key: str
    project: str
    title: str
    body: str
    branch: str
    target: str
    head: str
    base: str
    tree: str
    verdict: str
    author: str
    passed: bool
    run: str
    number: int = 0
    state: Literal["open", "merged", "closed"] = "open"
    opened: float = 0.0
    merged: float = 0.0
    merged_by: str = ""
    merge_commit: str = ""


class Forge(Protocol):
    """A place where pull requests are opened, read and merged."""

    def open(self, request: PullRequest) -> PullRequest:
        """Open *request*, or return the one that was opened with its key before."""
        ...

    def get(self, *, project: str, number: int) -> PullRequest:
        """The pull request *number*.

        Raises:
            RepoError: If there is none.
        """
        ...

    def all(self, *, project: str = "") -> list[PullRequest]:
        """All pull requests, newest first."""
        ...

    def merge(self, *, project: str, number: int, by: str) -> PullRequest:
        """Merge it if its verdict holds for the tree that the merge would give.

        Raises:
            RepoError: If it conflicts, was merged or closed, or its verdict does not hold for the merged tree.
        """
        ...
