"""What was found in a repository, each finding with the file that says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nightmill.estate.tools import Wish
from nightmill.review import Check

__all__ = ["Detected", "Finding", "Ignored"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """*what* is the question ("language"), *value* the answer, *because* the file or the words that gave it."""

    what: str
    value: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """*what* a *file* says that leads to nothing here, and *why*."""

    file: str
    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """A first nightmill.yaml, and why it is so. *advice* says what a person has to fill in or look at."""

    language: str = "other"
    manager: str = ""
    install: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    locks: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    services: tuple[dict[str, Any], ...] = ()
    """Records as nightmill.yaml has them."""
    instructions: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    advice: tuple[str, ...] = ()
    wishes: tuple[Wish, ...] = ()
    ignored: tuple[Ignored, ...] = ()
