"""How each format of a check is read. What is read was written beside an agent's code: it is bounded, and believed little."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from nightmill.review.formats import cargo, coverage, go, junit, problems
from nightmill.review.formats.report import WORST, Covered, Outcome, Problem, Report, Told, gist, tidy

__all__ = ["FORMATS", "WORST", "Covered", "Format", "Name", "Outcome", "Problem", "Report", "Told", "gist", "tidy"]

Name = Literal["pytest", "junit", "ruff", "mypy", "eslint", "sarif", "go", "cargo", "coverage", "exit"]


class Format(NamedTuple):
    """How a report is read, and where it is when the check names none: "own", a file of ours; "printed"; "named", it must.

    *parse* raises ValueError for what is no such report.
    """

    parse: Callable[[bytes], Report]
    where: Literal["own", "printed", "named"]
    tests: bool
    """Whether it tells of tests, which can be lost, or only of problems."""


FORMATS: dict[str, Format] = {
    "pytest": Format(junit.parse, "own", True),
    "junit": Format(junit.parse, "named", True),
    "ruff": Format(problems.ruff, "own", False),
    "mypy": Format(problems.mypy, "printed", False),
    "eslint": Format(problems.eslint, "printed", False),
    "sarif": Format(problems.sarif, "printed", False),
    "go": Format(go.parse, "printed", True),
    "cargo": Format(cargo.parse, "printed", True),
    "coverage": Format(coverage.parse, "named", False),
}
"""Every format but "exit", which knows only how the command ended."""
