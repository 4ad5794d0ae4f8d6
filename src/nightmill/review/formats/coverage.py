"""How much of the code ran: the JSON of coverage.py, or Cobertura's XML, which many tools write."""

from __future__ import annotations

import re
from typing import Any
from xml.parsers import expat

from nightmill.review.formats.report import Covered, Report, loads, record

__all__ = ["parse"]

BYTES = 64 << 20
DIGITS = 9
conditions = re.compile(r"\((\d{1,6})/(\d{1,6})\)")


def parse(body: bytes) -> Report:
    """What is covered, added up from the files of the report; its own totals have to say the same.

    Raises:
        ValueError: If it is neither of the two, or larger than anybody should read.
    """
    if len(body) >= BYTES:
        raise ValueError(f"the report is larger than {BYTES >> 20} MB")
    covered, told = _cobertura(body) if body.lstrip()[:1] == b"<" else _coverage(record(loads(body)))
    if told is not None and covered != told:
        return Report(
            gap=f"the report's totals say {told.covered} of {told.all}, its files {covered.covered} of {covered.all}"
        )
    return Report(covered=covered) if covered.all else Report(gap="the report measures no line")


def _coverage(value: dict[str, Any]) -> tuple[Covered, Covered | None]:
    files = value.get("files")
    if not isinstance(files, dict):
        raise ValueError(  # noqa: TRY004 - it is the text that is wrong
            "the report has no files: is it what `coverage json` writes?"
        )
    parts = [_summary(record(record(each).get("summary"))) for each in files.values()]
    covered = Covered(sum(each.covered for each in parts), sum(each.all for each in parts))
    return covered, _summary(record(value.get("totals")))


def _summary(summary: dict[str, Any]) -> Covered:
    ran, all_ = (_number(summary.get(name)) for name in ("covered_lines", "num_statements"))
    branches, every = (_number(summary.get(name)) for name in ("covered_branches", "num_branches"))
    return Covered(min(ran, all_) + min(branches, every), all_ + every)


class _Lines:
    """Counts what expat sees: each line of a class once, with its branches; the lines of its methods are the same."""

    def __init__(self) -> None:
        self.covered = self.all = 0
        self.told: Covered | None = None
        self.methods = 0
        self.root = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.root = self.root or tag
        if tag == "coverage":
            names = ("lines-covered", "branches-covered", "lines-valid", "branches-valid")
            numbers = [_number(attributes.get(name)) for name in names]
            self.told = (
                Covered(numbers[0] + numbers[1], numbers[2] + numbers[3]) if "lines-valid" in attributes else None
            )
        elif tag == "methods":
            self.methods += 1
        elif tag == "line" and not self.methods:
            self.all += 1
            self.covered += _number(attributes.get("hits")) > 0
            if found := conditions.search(attributes.get("condition-coverage", "")):
                self.covered += min(int(found[1]), int(found[2]))
                self.all += int(found[2])

    def end(self, tag: str) -> None:
        self.methods -= tag == "methods"


def _cobertura(body: bytes) -> tuple[Covered, Covered | None]:
    lines = _Lines()
    parser = expat.ParserCreate()
    parser.EntityDeclHandler = _refuse  # a document type may be named, as Cobertura does; it is not fetched
    parser.StartElementHandler = lines.start
    parser.EndElementHandler = lines.end
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise ValueError(f"the report is not well-formed XML: {error}") from error
    if lines.root != "coverage":
        raise ValueError(f"the report's root is <{lines.root[:40]}>, not <coverage>")
    return Covered(lines.covered, lines.all), lines.told


def _refuse(*_: object) -> None:
    raise ValueError("the report declares an entity, which no tool does")


def _number(value: Any) -> int:
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) <= DIGITS else 0
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**DIGITS else 0
