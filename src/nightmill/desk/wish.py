"""An ask in plain words, and what it comes to, as both are said at a desk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from nightmill.errors import SettingsError
from nightmill.intake import Answer
from nightmill.intake.nouns import Kind, Match, Missing
from nightmill.kept import Run
from nightmill.line.submit import Errand

__all__ = ["Clause", "Intake", "Near", "Proposal", "Reply", "Wish", "errand"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants, in their *words*.

    Attributes:
        blueprint: The approved one that does it, "" if they do not say.
        inputs: What is known of its inputs already; *sets* are said by name, each as NAME=VALUE.
        think: Whether a model may be asked where words alone leave something open.
        model: The one that works, "" as is set.
    """

    words: str
    blueprint: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    sets: tuple[str, ...] = ()
    think: bool = False
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """A blueprint that came into question: its *title*, the *words* of the ask that it was heard in, and how it is asked for."""

    name: str
    title: str
    score: float
    cue: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One of several asks, and the blueprint that would do it."""

    ask: str
    blueprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A run that nobody has started.

    Attributes:
        what: The title of the *blueprint*, which is *approved* as a sentence says; *closure* is the digest of all of it.
        roles: Who acts.
        cost: What runs of it took, in US dollars, or a guess at its first requests; in words: its `said`.
        people: What they have to do, a sentence each.
    """

    title: str
    blueprint: str
    version: int
    what: str
    approved: str
    closure: str
    project: str
    roles: tuple[str, ...]
    inputs: dict[str, Any]
    cost: dict[str, Any]
    people: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What becomes of an ask, as `intake.Answer` has it.

    Attributes:
        proposal: Of a run: what it would be. None of anything else.
        said: What a model was asked, and what that cost; a sentence each.
    """

    kind: Kind
    words: str
    title: str
    blueprint: str
    inputs: dict[str, Any]
    missing: tuple[Missing, ...]
    near: tuple[Near, ...]
    parts: tuple[Clause, ...]
    reason: str
    notes: tuple[str, ...]
    ways: tuple[str, ...]
    proposal: Proposal | None
    said: tuple[str, ...] = ()

    @property
    def answer(self) -> Answer:
        """The same as the gateway has it."""
        near = tuple(Match(name=each.name, score=each.score, cue=each.cue, words=each.words) for each in self.near)
        same = {
            name: getattr(self, name)
            for name in ("kind", "words", "title", "blueprint", "inputs", "missing", "reason", "notes", "ways")
        }
        return Answer(**same, near=near, parts=tuple((each.ask, each.blueprint) for each in self.parts))


class Intake(Protocol):
    """Where one asks. Each raises SettingsError if one may not, SpecError if what is said cannot be read."""

    @property
    def by(self) -> str:
        """Who asks, as "Name <address>"."""
        ...

    def ask(self, wish: Wish) -> Reply:
        """What *wish* comes to; nothing is started."""
        ...

    def start(self, reply: Reply, *, base: str) -> Run:
        """Have exactly what *reply* proposes run, from the branch *base*, "" for the current.

        Raises:
            SettingsError: If it is not what was proposed any more, or a model or an input cannot be.
        """
        ...


def errand(reply: Reply) -> Errand:
    """What *reply* proposes, to be started as it is.

    Raises:
        SettingsError: If it proposes nothing.
    """
    if reply.proposal is None:
        raise SettingsError("this ask comes to no run", hint="nightmill ask says what it lacks")
    return Errand(
        title=reply.title,
        words=reply.words,
        blueprint=reply.blueprint,
        closure=reply.proposal.closure,
        inputs=reply.inputs,
    )
