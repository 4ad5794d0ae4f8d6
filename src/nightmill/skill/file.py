"""SKILL.md, as the agentskills specification has it and as people write it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from nightmill.crew.front import split
from nightmill.errors import SettingsError

__all__ = ["Skill", "parse"]

LONGEST = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """Instructions for a kind of work. What is told at first is the *description*; the rest is in the file *path*."""

    name: str
    description: str
    path: str


def parse(text: str, *, path: str) -> Skill | None:
    """The skill in the *text* of the file *path*; None if it says not what it is for.

    The name of the folder stands in for a name that is missing; no key but name and description is obeyed.
    """
    try:
        head, _ = split(text, path)
    except SettingsError:
        return None
    description = " ".join(str(head.get("description") or "").split())[:LONGEST]
    name = " ".join(str(head.get("name") or PurePosixPath(path).parent.name).split())[:64]
    return Skill(name=name, description=description, path=path) if description and name else None
