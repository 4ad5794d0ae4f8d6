"""What a project has of its own, as it is asked for at a desk: its crew, its processes, its policy, what agents noted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from nightmill.blueprint.approval import Word
from nightmill.blueprint.catalogue import Entry, Place
from nightmill.blueprint.seen import Seen
from nightmill.crew import Crew
from nightmill.estate.nouns import Project
from nightmill.policy import Policy, Record
from nightmill.store.notes import Note

__all__ = ["Approved", "Belongings", "Explained", "Ground", "Process", "Remembered", "Repertoire", "Team", "Whole"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """The roles of a project, and the *records* of what they did wrong of late."""

    crew: Crew
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What a role remembers of a project, or the *trouble*, why that cannot be read.

    *folder* is the repository that holds it, "" if there is none yet, or it is on another machine.
    """

    notes: tuple[str, ...]
    trouble: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A blueprint of a project, as lists have it.

    Attributes:
        version: None, as *digest* and *changes*, of one that cannot be read.
        digest: SHA-256 of its file; *closure*: over it and all that it *calls*, "" if that cannot run.
        hides: Files of the same name that it takes the place of.
        state: As `blueprint.approval.Standing` has it, in a word; *why* in a sentence, by whose yes: *by*, "" for nobody's.
    """

    name: str
    place: Place
    source: str
    version: int | None
    title: str
    digest: str | None
    closure: str
    calls: tuple[str, ...]
    changes: bool | None
    cues: tuple[str, ...]
    faults: tuple[str, ...]
    hint: str
    hides: tuple[str, ...]
    state: Word
    why: str
    by: str

    @property
    def may_run(self) -> bool:
        """Whether it may run where only approved ones may."""
        return self.state in {"shipped", "approved"}


class Whole(NamedTuple):
    """A blueprint with its file."""

    process: Process
    entry: Entry


class Approved(NamedTuple):
    """The bytes of a blueprint that were approved of last, and by whom."""

    body: bytes
    version: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What the agents of a blueprint will see; *note* says what that was measured on."""

    seen: tuple[Seen, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where it is measured what agents see: *project*, None for nowhere, at *commit* of *branch*, "" if it was not taken in yet."""

    project: Project | None
    branch: str
    commit: str


class Belongings(Protocol):
    """What one project has. Each raises SettingsError if a file of it cannot be used, EngineError if the store is away."""

    @property
    def id(self) -> str:
        """Of the project."""
        ...

    def team(self) -> Team:
        """Who acts in it."""
        ...

    def remembered(self, role: str) -> Remembered:
        """What *role* remembers of it."""
        ...

    def forget(self, role: str, number: int, note: str) -> None:
        """Take its note of that *number*, from 1, out of what *role* remembers.

        Raises:
            RepoError: If another note than *note* has that number by now.
        """
        ...

    def policy(self) -> Policy:
        """What holds for its changes."""
        ...

    def notes(self) -> Sequence[Note]:
        """What agents noted, newest first."""
        ...

    def forget_notes(self, ids: Collection[str] | None) -> int:
        """Delete those notes, None: all that there are; how many went.

        Raises:
            SettingsError: If one of *ids* is no note of it: then none is deleted.
        """
        ...


class Repertoire(Protocol):
    """The processes of one project. Each raises SettingsError if there is no such blueprint."""

    @property
    def id(self) -> str:
        """Of the project, "" outside of any."""
        ...

    def listed(self) -> Sequence[Process]:
        """All, in the order of names."""
        ...

    def whole(self, name: str) -> Whole:
        """One, with its file."""
        ...

    def approved(self, name: str) -> Approved:
        """What was approved of it last, and still is.

        Raises:
            SettingsError: If nothing was.
        """
        ...

    def approve(self, name: str, *, closure: str) -> Process:
        """Say yes to it as *closure* has it, which one has looked at.

        Raises:
            SettingsError: If it is another by now, or one has written it.
        """
        ...

    def revoke(self, name: str, *, digest: str) -> Sequence[int]:
        """Take the yes to it back, if its file's digest begins so; of which versions.

        Raises:
            SettingsError: If there is none.
        """
        ...

    def explained(self, name: str, *, spec: Path | None) -> Explained:
        """What its agents will see, measured with *spec* where there is one."""
        ...
