"""What happens after the work: proof and change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nightmill.happening import Event

__all__ = ["CheckFinished", "CommitMade", "PullRequestMerged", "PullRequestOpened", "VerdictGiven", "WorkPreserved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFinished(Event):
    """One check ran on *tree*; plain `review.CheckResult` in *result*, its whole output in the blob *output*."""

    round: int
    check: str
    tree: str
    passed: bool
    result: dict[str, Any]
    output: str
    key = property(lambda self: f"check/{self.round}/{self.check}/{self.tree}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictGiven(Event):
    """The engine's judgement of *tree*: a plain `review.Verdict`."""

    round: int
    tree: str
    passed: bool
    verdict: dict[str, Any]
    key = property(lambda self: f"verdict/{self.round}/{self.tree}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkPreserved(Event):
    """Unfinished work was kept on *branch* before anything was torn down."""

    branch: str
    commit: str
    key = property(lambda self: f"preserved/{self.commit}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitMade(Event):
    """A signed commit with the proven tree."""

    commit: str
    tree: str
    branch: str
    author: str
    key = property(lambda self: f"commit/{self.commit}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestOpened(Event):
    """The pull request *number* is open on the forge."""

    number: int
    branch: str
    target: str
    title: str
    key = property(lambda self: "pull_request")


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestMerged(Event):
    """A person merged the pull request."""

    number: int
    commit: str
    by: str
    key = property(lambda self: "merged")
