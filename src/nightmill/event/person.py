"""What policy says of a change, what people are asked, and what they say, asked or not."""

from __future__ import annotations

from dataclasses import dataclass, field

from nightmill.happening import Event

__all__ = ["GateDecided", "PastEdited", "QuestionAsked", "QuestionDecided", "WordHeard", "WordSaid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecided(Event):
    """Policy *policy* said of *tree* "allow", "ask" or "deny", for *reasons*; the blob *facts* is all that it knew."""

    tree: str
    policy: str
    outcome: str
    facts: str
    reasons: list[str] = field(default_factory=list)
    key = property(lambda self: f"gate/{self.tree}/{self.policy}/{self.facts}")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAsked(Event):
    """The step *step* waits for a person. *kind* is "approve" (yes or no to *tree* under *policy*) or "answer".

    *body* is a blob: what the person should see. *expires* is in Unix seconds, 0: never.
    """

    question: str
    kind: str
    step: str
    title: str
    body: str = ""
    tree: str = ""
    policy: str = ""
    expires: float = 0.0
    key = property(lambda self: f"asked/{self.question}")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionDecided(Event):
    """The question has its answer: *state* is "granted", "refused", "answered" or "expired"; *by* is a person or "clock"."""

    question: str
    state: str
    by: str
    answer: str = ""
    tree: str = ""
    policy: str = ""
    key = property(lambda self: f"decided/{self.question}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PastEdited(Event):
    """*by*, a person, put the blob *body* in the place of what there was at the moment *at* of the run that this goes on from.

    *kind* is "file" (*what* is its path), "result" (a tool call's id) or "answer" (a question's id). Without a *body* a file was deleted.
    """

    kind: str
    what: str
    at: str
    body: str
    by: str
    key = property(lambda self: f"edited/{self.kind}/{self.what}")
    did = property(lambda self: "edited" if self.body else "deleted")


@dataclass(frozen=True, slots=True, kw_only=True)
class WordSaid(Event):
    """*by*, a person, said *text* to whoever is at work in the run; *number* counts such words of the run, from 1."""

    number: int
    by: str
    text: str
    key = property(lambda self: f"said/{self.number}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WordHeard(Event):
    """The word *number* of a person stood in what *role* was asked with for its turn *turn*."""

    number: int
    turn: int
    role: str
    key = property(lambda self: f"heard/{self.number}")
