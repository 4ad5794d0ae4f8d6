"""What is known of a change when it stands before the gate. None is unknown, and what is unknown fails closed."""

from __future__ import annotations

from dataclasses import dataclass

from nightmill.policy.nouns import Measure

__all__ = ["Approval", "Author", "Changed", "Facts", "Finding", "Proof", "Record", "Review"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One path that differs; *new*: it was not there before. *added* and *removed* are lines."""

    path: str
    new: bool
    added: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Somebody who wrote part of the change: an address, and the model conversation it was written in, "" for a person."""

    mail: str
    conversation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The engine's own verdict on *tree*, with the names of the checks that passed there."""

    tree: str
    passed: bool
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a review or a guard found and that still stands: "critical", "major", "minor" or a "note"."""

    severity: str
    what: str
    path: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What a role said of *tree*: *by* is its address, *conversation* the one with the model in which it came about.

    *writes* is what the role may write, as `crew.Role.writes`, *change* as in `Facts`.
    """

    role: str
    by: str
    conversation: str
    model: str
    tree: str
    approved: bool
    writes: str
    change: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's yes to *tree* under the policy of version *policy*, given at *at* until *expires* (Unix seconds).

    *change* is as in `Facts`: what the tree changed of what it would have been merged into then.
    """

    by: str
    tree: str
    policy: str
    at: float
    expires: float
    change: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How often *role*, with *model*, made the mistake *kind* of late, and the *measure* that it has come to.

    *takes* are the permissions that it works without for that.
    """

    role: str
    model: str
    kind: str
    times: int
    measure: Measure
    takes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One change before the gate.

    Attributes:
        tree: Hash of the git tree that would be merged.
        changes: What differs from what it would be merged into.
        change: A digest of that, each path with its contents before and after; "" is equal to nothing.
        authors: Everybody who wrote part of it; a change without an author is one of which nobody knows.
        agents: The domain of agents' addresses.
        proof: The newest verdict on *tree*.
        evidence: (criterion, state) of every criterion: "shown", "claimed" or "not shown".
        findings: What still stands of what was found.
        bends: What in the change bends the checks that prove it, as far as policy asks about it.
        blueprint: Whether a person approved of the process that made it.
        records: Of the roles among its authors, as they were when this was looked up.
    """

    tree: str
    changes: tuple[Changed, ...] | None = None
    change: str = ""
    authors: tuple[Author, ...] = ()
    agents: str = ""
    proof: Proof | None = None
    evidence: tuple[tuple[str, str], ...] | None = None
    findings: tuple[Finding, ...] | None = None
    bends: tuple[Finding, ...] = ()
    blueprint: bool | None = None
    reviews: tuple[Review, ...] = ()
    approvals: tuple[Approval, ...] = ()
    records: tuple[Record, ...] = ()
