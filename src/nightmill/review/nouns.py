"""What is proven, on which tree, by what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from nightmill.review.formats import Name

__all__ = ["Baseline", "Check", "CheckResult", "Evidence", "Failure", "Finding", "Flake", "Quote", "Verdict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A command whose result is parsed.

    *format* says how: "pytest" and "ruff" are told to write a report of ours, "junit" and "coverage" read *report* (a path
    in the repository), "exit" knows only the exit status, the others read *report* or, without one, what the command
    prints. *least* is what "coverage" has to reach, in percent. *seconds* and *memory* (bytes) are its limits.
    """

    name: str
    command: str
    format: Name = "exit"
    report: str = ""
    least: float = 0.0
    seconds: float = 600.0
    memory: int = 4 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failed test or problem (or the check as a whole, with *id* ""). *kind* says what the baseline knows of it.

    It failed in *failed* of *runs* runs on the same tree; 0 of 0: it was not repeated.
    """

    id: str
    message: str
    kind: Literal["new", "old", "flaky"] = "new"
    failed: int = 0
    runs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flake:
    """How often a test failed on trees that did not break it, and what it said: signatures of its messages."""

    failed: int
    runs: int
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """How one check ended on one tree. It passes when it has no new failure and ran to its end.

    Attributes:
        counts: Tests by outcome: passed, failed, error, skipped; None for "exit".
        missing: Tests of the baseline that are gone or skipped now.
        covered: Of "coverage": lines and branches that ran, and how many there are.
        flakes: What this run adds to what is known of unsteady tests.
        output: Blob that holds the whole output.
        tests: Blob that lists its tests by how they ended (`review.listed`), no one where the check failed as a whole; "" for
            a format that names none.
        stopped: The limit that ended it ("timeout", "memory"…), if one did.
    """

    check: str
    tree: str
    exit: int
    passed: bool
    failures: tuple[Failure, ...] = ()
    counts: dict[str, int] | None = None
    missing: tuple[str, ...] = ()
    covered: tuple[int, int] | None = None
    flakes: dict[str, Flake] = field(default_factory=dict)
    output: str = ""
    tests: str = ""
    stopped: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in the change that bends what proves it: *kind* is a key of `bend.RULES`, *line* counts from 1, 0: none.

    One that *blocks* is a reason why the verdict did not pass.
    """

    kind: str
    path: str
    line: int
    what: str
    blocks: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """How the checks ended before any change: per check, the ids of tests by what they are known to do.

    A check with a whole-check failure lists "" as failing. *flakes* says more of unsteady tests, of this tree's and of
    those that earlier runs of the project met.
    """

    tree: str
    failing: dict[str, tuple[str, ...]]
    flaky: dict[str, tuple[str, ...]]
    passing: dict[str, tuple[str, ...]]
    flakes: dict[str, dict[str, Flake]] = field(default_factory=dict)
    covered: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Lines *first* to *last*, from 1, of the file *path* in the final tree, and the text that stands there."""

    path: str
    first: int
    last: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What shows one acceptance criterion.

    *state* is "shown" by named tests or checks that passed; "inspected", when lines were quoted that the tree has, and
    whether they do it is for a reader to say; "claimed", when the agent named something that did not run as a test or
    check; or "not shown".
    """

    criterion: str
    text: str
    state: Literal["shown", "inspected", "claimed", "not shown"]
    by: tuple[str, ...] = ()
    """Tests ("path::name") or checks that the engine ran and that passed on the tree, or quoted places ("path:first-last")."""
    note: str = ""
    kind: Literal["", "test", "check", "inspection"] = ""
    quotes: tuple[Quote, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The engine's judgement, bound to *tree* (a git tree hash): nothing else may be merged on it."""

    tree: str
    base_tree: str
    passed: bool
    results: tuple[CheckResult, ...]
    reasons: tuple[str, ...]
    """Why it did not pass, one sentence each, as shown to the agent and to people."""
    evidence: tuple[Evidence, ...] = ()
    findings: tuple[Finding, ...] = ()
