"""What happens after the work: proof and change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nightmill.happening import Event

__all__ = [
    "CheckFinished",
    "CommitMade",
    "MistakeMade",
    "NoteWritten",
    "PermissionTaken",
    "PullRequestMerged",
    "PullRequestOpened",
    "ReviewGiven",
    "VerdictGiven",
    "WorkPreserved",
]


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
class ReviewGiven(Event):
    """The judgement of *role*, in the step *step*, on *tree*; *findings* as `blueprint.shapes.FINDING` says."""

    step: str
    role: str
    tree: str
    approved: bool
    findings: list[dict[str, Any]]
    case_for: str = ""
    case_against: str = ""
    key = property(lambda self: f"review/{self.step}/{self.tree}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MistakeMade(Event):
    """*role*, with *model*, made a mistake in *project*, which counts for the policy's ladder.

    *kind* is "claim" (it handed over with what shows that it is done, and the checks failed on that tree), "finding" (what
    another role found in its work, and was mended), "guard" (a guard ended its work) or "refusal" (a person said no to
    it). *on* is what it is about: a tree, a finding, a step or a question.
    """

    project: str
    role: str
    model: str
    kind: str
    on: str
    key = property(lambda self: f"mistake/{self.kind}/{self.role}/{self.on}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteWritten(Event):
    """The mistake *kind* of *role*, about *on*, is a note in its memory of *project*: *text* as it stands there, by *commit*.

    Without *commit* it is not there, and *why* says what kept it from being written.
    """

    project: str
    role: str
    kind: str
    on: str
    text: str
    commit: str
    why: str = ""
    key = property(lambda self: f"note/{self.kind}/{self.role}/{self.on}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionTaken(Event):
    """*role*, with *model*, works in *step* without *takes*: it made the mistake *kind* so many *times* of late.

    *takes* are names of tools, and "network" for what the project's commands may reach. *asked* are those that are not ours
    to take from an external agent, which is told to do without.
    """

    step: str
    role: str
    model: str
    kind: str
    times: int
    takes: list[str]
    asked: list[str]
    key = property(lambda self: f"taken/{self.step}/{self.role}/{self.kind}/{'+'.join((*self.takes, *self.asked))}")


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
