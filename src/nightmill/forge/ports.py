"""What a forge on this machine needs of a repository; `repo.Hub` has it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

__all__ = ["Author", "Hub", "Past"]


class Past(Protocol):
    """A commit as `Hub.log` tells it."""

    @property
    def sha(self) -> str:
        """Its id."""
        ...

    @property
    def parents(self) -> tuple[str, ...]:
        """Ids of what it came from."""
        ...

    @property
    def author(self) -> str:
        """Name of its author."""
        ...

    @property
    def email(self) -> str:
        """Address of its author."""
        ...

    @property
    def when(self) -> int:
        """Unix seconds."""
        ...


class Author(Protocol):
    """Who a commit names; without a key it is not signed."""

    @property
    def name(self) -> str:
        """As it is shown."""
        ...

    @property
    def email(self) -> str:
        """The address."""
        ...

    @property
    def key(self) -> Path | None:
        """Private key."""
        ...


class Hub(Protocol):
    """A project's repository."""

    def locked(self) -> AbstractContextManager[None]:
        """Be the only writer."""
        ...

    def resolve(self, name: str) -> str | None:
        """The commit that *name* means."""
        ...

    def tree(self, commit: str) -> str:
        """Its tree."""
        ...

    def contains(self, *, commit: str, ancestor: str) -> bool:
        """Whether *ancestor* is part of *commit*'s past."""
        ...

    def log(self, name: str, *, limit: int, without: str, first_parent: bool) -> Sequence[Past]:
        """Commits backwards from *name*."""
        ...

    def merged_tree(self, target: str, head: str) -> tuple[str, tuple[str, ...]]:
        """The tree of a merge, or the paths that conflict."""
        ...

    def commit(self, tree: str, *, parents: Sequence[str], message: str, author: Author, when: int) -> str:
        """Make a commit."""
        ...

    def branch(self, name: str, commit: str, *, expected_old: str) -> None:
        """Move a branch from where it is expected to be."""
        ...
