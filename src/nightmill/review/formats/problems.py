"""What linters, type checkers and scanners complain of: ruff, mypy, ESLint and SARIF 2.1.0, each in its own JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from nightmill.review.formats.report import MOST, Problem, Report, loads, record, tidy

__all__ = ["eslint", "mypy", "ruff", "sarif"]

TEXT = 1_000
HOME = "/work/repo/"
ERROR = 2
"""ESLint's severity of what makes it fail."""

banner = re.compile(rb"\A(?:[ \t]*(?:>[^\n]*)?\r?\n)+")


def ruff(body: bytes) -> Report:
    """`ruff check --output-format json`: an array of problems."""
    return _report(
        _problem(each.get("filename"), _at(each.get("location"), "row"), each.get("code"), each.get("message"))
        for each in _array(loads(body or b"[]"))
    )


def mypy(body: bytes) -> Report:
    """`mypy --output json`: a line per problem; notes are none."""
    lines = [line for line in body.decode("utf-8", "replace").splitlines() if line.startswith("{")]
    found = [record(loads(line)) for line in lines]
    return _report(
        _problem(each.get("file"), each.get("line"), each.get("code"), each.get("message"))
        for each in found
        if each.get("severity") != "note"
    )


def eslint(body: bytes) -> Report:
    """`eslint --format json`: an array of files; what only warns does not make ESLint fail, and is left out.

    The counts of each file have to be those of its messages. The lines that `npm run` prints first are left out.
    """
    files = _array(loads(banner.sub(b"", body)))
    told, counted = [], 0
    for each in files:
        mine = [record(message) for message in _list(each.get("messages")) if record(message).get("severity") == ERROR]
        counted += _count(each.get("errorCount"))
        told += [
            _problem(each.get("filePath"), message.get("line"), message.get("ruleId"), message.get("message"))
            for message in mine
        ]
    gap = "" if counted == len(told) else f"the report counts {counted} errors and tells of {len(told)}"
    return Report(problems=_report(iter(told)).problems, gap=gap)


def sarif(body: bytes) -> Report:
    """SARIF 2.1.0: results that fail, are no notes and are not suppressed.

    A run that says of itself that it did not succeed, or a log without a run, is a gap.
    """
    runs = record(loads(body)).get("runs")
    found: list[Problem] = []
    gap = ""
    if not isinstance(runs, list) or not runs:
        return Report(gap="the SARIF log has no run")
    for run in map(record, runs):
        if any(record(each).get("executionSuccessful") is False for each in _list(run.get("invocations"))):
            gap = "a run of the SARIF log says of itself that it did not succeed"
        if not isinstance(run.get("results"), list):
            gap = gap or "a run of the SARIF log has no results: the tool did not look"
        found += [_result(record(each)) for each in _list(run.get("results")) if _fails(record(each))]
    return Report(problems=_report(iter(found)).problems, gap=gap)


def _fails(result: dict[str, Any]) -> bool:
    kept = result.get("kind", "fail") == "fail" and result.get("level", "warning") in {"error", "warning"}
    return kept and not result.get("suppressions")


def _result(result: dict[str, Any]) -> Problem:
    place = record(record(next(iter(_list(result.get("locations"))), None)).get("physicalLocation"))
    uri = str(record(place.get("artifactLocation")).get("uri", ""))[:TEXT]
    path = unquote(urlsplit(uri).path if uri.startswith("file:") else uri)
    line = record(place.get("region")).get("startLine")
    rule = result.get("ruleId") or record(result.get("rule")).get("id")
    return _problem(path, line, rule, record(result.get("message")).get("text"))


def _report(found: Iterator[Problem]) -> Report:
    problems: list[Problem] = []
    for each in found:
        if len(problems) >= MOST:
            raise ValueError(f"the report names more than {MOST:,} problems")
        problems.append(each)
    return Report(problems=tuple(problems))


def _problem(path: Any, line: Any, rule: Any, message: Any) -> Problem:
    if not isinstance(message, str) or not message:
        raise ValueError("the report has a problem without words")
    where = tidy(str(path or ""), limit=TEXT).removeprefix(HOME).removeprefix("./")
    return Problem(where, _count(line), tidy(str(rule or ""), limit=100), tidy(message, limit=TEXT))


def _array(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError("the report is not an array of objects")
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _at(value: Any, name: str) -> Any:
    return record(value).get(name)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 31 else 0
