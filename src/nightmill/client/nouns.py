"""What a server says, beside what the store keeps."""

from __future__ import annotations

from dataclasses import dataclass

from nightmill.kept import Entry, Filed, Run

__all__ = ["Diff", "Entries", "Me", "Others", "Role", "Runs", "Tasks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role in a project; an empty one means every project."""

    role: str
    project: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """Who one is at the server. *scopes* are what the token may at most do, None: all that its owner may."""

    name: str
    address: str
    way: str
    grants: tuple[Role, ...]
    scopes: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """A page of runs, newest first; *next* is the cursor of the next one, None at the end."""

    runs: tuple[Run, ...]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """A page of tasks that runs left, oldest first; *next* is the cursor of the next one, None at the end."""

    tasks: tuple[Filed, ...]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """A page of the ledger, oldest first; *next* is the number to go on after, None at the end."""

    entries: tuple[Entry, ...]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """What a run has changed, as git writes it."""

    diff: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """Who else looks on at a run, each once."""

    people: tuple[str, ...]
