"""What a report says once it is read: tests, problems or lines that were covered, all of them bounded."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

__all__ = ["JSON_BYTES", "MOST", "Covered", "Outcome", "Problem", "Report", "Told", "add", "loads", "record", "tidy"]

MOST = 200_000
"""Tests or problems of one report."""
JSON_BYTES = 16 << 20
"""Of a report in JSON, which takes several times as much memory once it is read."""
MESSAGE = 4_000

Outcome = Literal["passed", "failed", "error", "skipped"]

WORST: dict[Outcome, int] = {"passed": 0, "skipped": 1, "error": 2, "failed": 3}

control = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One test or problem, as a report tells it.

    *id* is "path::Class::name" where the report names the file, else "dotted.class::name".
    """

    id: str
    outcome: Outcome
    message: str = ""


class Problem(NamedTuple):
    """What a tool without tests complains of: *line* counts from 1, 0 where it names none."""

    path: str
    line: int
    rule: str
    message: str


class Covered(NamedTuple):
    """Lines (and branches, where they were measured) that ran, and how many there are."""

    covered: int
    all: int

    @property
    def percent(self) -> float:
        """From 0 to 100; of nothing everything is covered."""
        return 100.0 * self.covered / self.all if self.all else 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report that was read. *gap* says why it is not whole; what it told up to there still counts."""

    tests: dict[str, Told] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    covered: Covered | None = None
    gap: str = ""


def add(tests: dict[str, Told], test: Told) -> None:
    """Keep *test*; one that is told twice counts with its worse outcome.

    Raises:
        ValueError: If there are more than anybody should read.
    """
    before = tests.get(test.id)
    if before is None and len(tests) >= MOST:
        raise ValueError(f"the report names more than {MOST:,} tests")
    if before is None or WORST[test.outcome] > WORST[before.outcome]:
        tests[test.id] = test


def loads(text: str | bytes) -> Any:
    """The value that *text* is in JSON.

    Raises:
        ValueError: If it is none, too large, or nested so deep that nobody wrote it.
    """
    if len(text) > JSON_BYTES:
        raise ValueError(f"the report is larger than {JSON_BYTES >> 20} MB")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("the report is nested too deep") from error
    except ValueError as error:
        raise ValueError(f"the report is not JSON, or cut short: {str(error)[:200]}") from error


def record(value: Any) -> dict[str, Any]:
    """*value* if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def tidy(text: str, *, limit: int = MESSAGE) -> str:
    """*text* without terminal codes and control characters; of a long one the end, where the reason stands."""
    text = control.sub("", text).strip()
    return text if len(text) <= limit else f"[… {len(text) - limit:,} characters left out …]\n{text[-limit:]}"


def gist(text: str, *, limit: int) -> str:
    """Of what a failed test said the line that says why, where pytest marks it; else `tidy`."""
    said = (line[1:].strip() for line in text.splitlines() if line.startswith("E "))
    return tidy(next(filter(None, said), text), limit=limit)
