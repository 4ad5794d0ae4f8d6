"""What a server says, beside what the store keeps."""

from __future__ import annotations

from dataclasses import dataclass

from nightmill.desk.pulls import Change
from nightmill.kept import Entry, Filed, Run

__all__ = ["Changes", "Entries", "Me", "Role", "Runs", "Stand", "Tasks"]


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
class Changes:
    """A page of pull requests, newest first; *next* is the cursor of the next one, None at the end."""

    changes: tuple[Change, ...]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """A pull request, and whether one may merge it: *answer* "free", or why not, in *reasons*; *tree* is what that gives."""

    change: Change
    body: str
    answer: str
    tree: str
    reasons: tuple[str, ...]
    hint: str
    barred: str
    mine: bool
