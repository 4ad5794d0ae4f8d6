"""What a spec says, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Assessment", "Criterion", "Flaw", "Requirement", "Spec", "SpecFile", "SpecTask"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One thing that can be seen to hold. *id* is the author's own ("SC-001") or "AC1", "AC2"… in order."""

    id: str
    text: str
    line: int
    requirements: tuple[str, ...] = ()
    """Ids of the requirements that it shows."""
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One thing to build. *id* is the author's own ("FR-001") or "R1", "R2"… in order."""

    id: str
    text: str
    line: int
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecTask:
    """A task that the spec itself gives (tasks.md).

    *requirements* are the ids it names: of requirements, stories or criteria. *depends* is None where the author
    names nothing: then it comes after the tasks above it. *group* is the heading or task that it stands under.
    """

    id: str
    text: str
    line: int
    done: bool = False
    parallel: bool = False
    requirements: tuple[str, ...] = ()
    depends: tuple[str, ...] | None = None
    paths: tuple[str, ...] = ()
    group: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFile:
    """One file of a spec; its text begins at *line* of `Spec.text`. Every other line number counts in its own file."""

    name: str
    line: int
    markdown: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to build and how to see that it is built.

    Attributes:
        format: Where it was read from: "markdown", "spec-kit", "openspec" or "kiro".
        source: The file or folder, as the author named it.
        files: The files that were read, in the order of *text*.
        digest: SHA-256 of all the text that was read; part of every run.
        text: The whole text, parts of a folder joined under headings with their names.
        goal: What to build and why, in a paragraph or a few.
        guardrails: What not to build or touch.
        contracts: Dependencies and interfaces that must hold.
        tests: Test expectations.
        ui: Notes on what is seen.
        skills: Cues for skills, lower case.
        tasks: Tasks the spec gives; empty: the architect cuts it.
    """

    title: str
    format: Literal["markdown", "spec-kit", "openspec", "kiro"]
    source: str
    digest: str
    text: str
    goal: str
    requirements: tuple[Requirement, ...]
    criteria: tuple[Criterion, ...]
    guardrails: tuple[str, ...] = ()
    contracts: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    ui: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    tasks: tuple[SpecTask, ...] = ()
    files: tuple[SpecFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Something missing or ambiguous. A *gate* refuses by itself; the others lower the score.

    *rule* is a short stable name ("placeholder", "criterion-uncheckable"), *line* is 0 where there is none,
    *advice* says what to write instead.
    """

    rule: str
    message: str
    advice: str
    line: int = 0
    gate: bool = False
    file: str = ""
    """Set where a spec has more than one file."""

    @property
    def sentence(self) -> str:
        """What is wrong, where, and what to write instead, as it is shown to people."""
        place = f"{self.file} line {self.line}" if self.file else f"line {self.line}"
        return f"{self.message} ({place}). {self.advice}" if self.line else f"{self.message}. {self.advice}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Whether a spec is accepted. *score* is 0…100; *parts* says what it is made of, (earned, possible) by name."""

    score: int
    threshold: int
    flaws: tuple[Flaw, ...]
    parts: dict[str, tuple[int, int]]

    @property
    def accepted(self) -> bool:
        """No gate failed and the score is reached."""
        return self.score >= self.threshold and not any(flaw.gate for flaw in self.flaws)
