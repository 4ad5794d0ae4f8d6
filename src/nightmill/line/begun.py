"""Work that a run begins with: what others made before it, and who each of them was."""

from __future__ import annotations

from dataclasses import dataclass

from nightmill.kept import Part

__all__ = ["Begun"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What a run goes on from.

    Attributes:
        task: Of the tasks that runs left, the one that it takes up.
        commit: Holds the work so far, on top of the base commit: the base commit itself where nobody has made anything.
        parts: Who made it, in order; each commit is signed by its author, on top of the one before.
        first: The text of the spec that it was all begun for.
        editors: People, "Name <address>", who edited files of it where runs went on from earlier moments of others.
    """

    task: str
    commit: str
    parts: tuple[Part, ...] = ()
    first: str = ""
    editors: tuple[str, ...] = ()
