"""What a policy says, as frozen values: rules that each only ask for more, and a few words for the whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

__all__ = ["Bounds", "Measure", "Policy", "Rule", "Rung", "least"]

Measure = Literal["none", "note", "instruction", "permission", "approval"]
"""What follows a mistake, the mildest first: a note to memory, a changed instruction, a permission less, a gate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a change has to have that touches any of *paths*; every rule that fits has to be met.

    Attributes:
        source: Where it stands, as "file:line".
        about: What the paths are, in a word or two, for reasons.
        paths: Globs; empty: every change.
        existing: Whether only what was there before counts: new files are free.
        change: What it means that such a path is changed: nothing, ask a person, or never by agents.
        checks: Names of checks that must have passed on the tree.
        reviews: (role, how many) that must have approved of the tree.
        approvals: How many people must have said yes to the tree.
        approvers: Addresses of those who may; empty: any person.
        files: The most files that may change of those that *paths* means, 0: any; beyond it a person is asked. *lines*
            likewise, added and removed taken together.
    """

    source: str
    about: str = ""
    paths: tuple[str, ...] = ()
    existing: bool = False
    change: Literal["", "ask", "deny"] = ""
    checks: tuple[str, ...] = ()
    reviews: tuple[tuple[str, int], ...] = ()
    approvals: int = 0
    approvers: tuple[str, ...] = ()
    files: int = 0
    lines: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """US dollars that may be spent: on one task, on a UTC day by everybody, on a UTC day by a project's runs; 0: any."""

    task: float = 0.0
    day: float = 0.0
    project: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """From how many times on the mistake *kind* ("": every one) brings *measure*; "permission" *takes* something away."""

    kind: str
    measure: Measure
    times: int
    takes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What holds for the changes of one project. What is empty is not said, and `decide` takes it at its strictest.

    Attributes:
        unsupervised: Which code of agents may be merged without a person: "never", "reviewed" (proven, and approved by
            a role that has no part in it) or "proven".
        blueprints: Which processes may run: "approved" by a person, or "any".
        approval_hours: How long a person's yes counts.
        moved: What a yes or a review counts after the target moved: nothing ("ask" again), or, where none of the change's
            files moved, what it did ("keep").
        protect: Kinds of paths that are protected, as `policy.KINDS` has them.
        bends: (kind, rule) of what bends the checks of a change: "block" stands in its way, a person is asked about
            "ask", "show" is only told; of kinds that are not named, `review.bend.RULES` says it.
        groups: (name, addresses) of people.
    """

    unsupervised: Literal["", "never", "reviewed", "proven"] = ""
    blueprints: Literal["", "approved", "any"] = ""
    approval_hours: float = 0.0
    moved: Literal["", "ask", "keep"] = ""
    protect: tuple[str, ...] | None = None
    bends: tuple[tuple[str, Literal["block", "ask", "show"]], ...] = ()
    budgets: Bounds = Bounds()
    rules: tuple[Rule, ...] = ()
    ladder: tuple[Rung, ...] = ()
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def version(self) -> str:
        """A digest of what it says, wherever that stands: a yes that was given under another counts nothing."""
        plain = asdict(self)
        for rule in plain["rules"]:
            del rule["source"]
        return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def least(*amounts: float) -> float:
    """The least of *amounts*, of which 0 is none."""
    return min((each for each in amounts if each), default=0.0)
