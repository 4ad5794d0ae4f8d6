"""What the gateway is given and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nightmill.blueprint import Blueprint

__all__ = ["Answer", "Kind", "Match", "Missing", "Offer", "Surroundings"]

Kind = Literal["run", "questions", "which", "several", "refused"]
"""What an ask comes to: a run; a blueprint that lacks inputs; one of a few; several asks; nothing that is approved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A blueprint that may run in the project; *said* is who approved of it, *closure* what exactly of."""

    blueprint: Blueprint
    said: str
    closure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known of the checkout: *paths* of its files, and *packages* that its lock files name, in lower case."""

    paths: frozenset[str] = frozenset()
    packages: Mapping[str, str] = field(default_factory=dict)
    """By the name in lower case, the name as the lock file has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """How well an ask fits *name*: *score* is the weight of what was recognised, *words* are the ask's own that did it."""

    name: str
    score: float
    cue: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A question: the input *name* has to be given. *why* says what was wrong with what the ask had."""

    name: str
    asks: str
    why: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What becomes of an ask.

    Attributes:
        blueprint: The name of the one that runs, or would, if what is *missing* were there.
        inputs: As far as the ask gives them, checked.
        near: The next ones, best first; of "which", those to choose from.
        parts: Of "several", the asks and the blueprint of each.
        reason: Why it is not a run, in a sentence.
        notes: What was left out of account, and why, a sentence each.
        ways: Of "refused", what a person can do now, a sentence each.
    """

    kind: Kind
    words: str
    title: str
    blueprint: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()
    near: tuple[Match, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
