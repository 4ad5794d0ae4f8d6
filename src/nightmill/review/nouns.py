"""What is proven, on which tree, by what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Baseline", "Check", "CheckResult", "Evidence", "Failure", "Verdict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A command whose result is parsed.

    *format* says how: "pytest" adds a JUnit report of its own to the command, "junit" reads *report* (a path in the
    repository), "exit" knows only the exit status. *seconds* and *memory* (bytes) are its limits.
    """

    name: str
    command: str
    format: Literal["pytest", "junit", "exit"] = "exit"
    report: str = ""
    seconds: float = 600.0
    memory: int = 4 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failed test (or the check as a whole, with *id* ""). *kind* says what the baseline knows of it."""

    id: str
    message: str
    kind: Literal["new", "old", "flaky"] = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """How one check ended on one tree. It passes when it has no new failure and ran to its end.

    Attributes:
        counts: Tests by outcome: passed, failed, error, skipped; empty for "exit".
        missing: Tests of the baseline that are gone or skipped now.
        output: Blob that holds the whole output.
        stopped: The limit that ended it ("timeout", "memory"…), if one did.
    """

    check: str
    tree: str
    exit: int
    passed: bool
    failures: tuple[Failure, ...] = ()
    counts: dict[str, int] | None = None
    missing: tuple[str, ...] = ()
    output: str = ""
    stopped: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """How the checks ended before any change: per check, the ids of tests by what they are known to do.

    A check with a whole-check failure lists "" as failing.
    """

    tree: str
    failing: dict[str, tuple[str, ...]]
    flaky: dict[str, tuple[str, ...]]
    passing: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What shows one acceptance criterion.

    *state* is "shown" by named tests or checks that passed, "claimed" when the agent named something that did not
    run as a test or check, or "not shown".
    """

    criterion: str
    text: str
    state: Literal["shown", "claimed", "not shown"]
    by: tuple[str, ...] = ()
    """Tests ("path::name") or checks that the engine ran and that passed on the tree."""
    note: str = ""


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
