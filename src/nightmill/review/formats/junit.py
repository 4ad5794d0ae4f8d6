"""What a JUnit report says, read as the hostile file that it may be.

The report is written by a process that runs an agent's code, so nothing in it is trusted to be small, well formed
or honest: there is no entity to expand, no document type, a bound on everything kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers import expat

from nightmill.review.formats.report import WORST, Outcome, Report, Told, add, tidy

__all__ = ["REPORT_BYTES", "parse"]

REPORT_BYTES = 64 << 20
MESSAGE = 4_000
ID = 500

TAGS: dict[str, Outcome] = {"failure": "failed", "error": "error", "skipped": "skipped"}

address = re.compile(r"0x[0-9a-fA-F]{6,}")


def parse(body: bytes) -> Report:
    """The tests of a report by id; one that is told twice counts with its worse outcome.

    Suites that count failures where no case tells of one are a gap: runners count what they write.

    Raises:
        ValueError: If it is not a report, or one that nobody should read; the message says why.
    """
    if len(body) >= REPORT_BYTES:
        raise ValueError(f"the report is larger than {REPORT_BYTES >> 20} MB")
    reader = _Reader()
    try:
        reader.read(body)
    except expat.ExpatError as error:
        raise ValueError(f"the report is not well-formed XML: {error}") from error
    return Report(tests=reader.tests, gap=reader.gap)


@dataclass(slots=True)
class _Reader:
    """Collects test cases while expat walks the file."""

    tests: dict[str, Told] = field(default_factory=dict)
    depth: int = 0
    rooted: bool = False
    case: dict[str, str] | None = None
    outcome: Outcome = "passed"
    inside: bool = False
    said: list[str] = field(default_factory=list)
    held: int = 0
    claimed: int = 0
    """Failures and errors that the suites count."""
    bad: int = 0
    gap: str = ""

    def read(self, body: bytes) -> None:
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.Parse(body, True)
        if self.claimed and not self.bad:
            self.gap = f"the report counts {self.claimed} failure(s) and tells of none: it was changed"

    def _refuse(self, *_: object) -> None:
        raise ValueError("the report declares a document type, which no test runner does")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self.rooted:
            self.rooted = True
            if tag not in {"testsuites", "testsuite"}:
                raise ValueError(f"the report's root is <{tag[:40]}>, not <testsuites>")
        if tag == "testsuite":
            self.claimed += sum(_number(attributes.get(name, "")) for name in ("failures", "errors"))
        elif tag == "testcase":
            self.case, self.outcome, self.said, self.held = attributes, "passed", [], 0
        elif self.case is not None and tag in TAGS:
            found = TAGS[tag]
            self.outcome = max(self.outcome, found, key=WORST.__getitem__)
            self.inside = True
            self._text(attributes.get("message", "")[:MESSAGE] + "\n")

    def _text(self, text: str) -> None:
        if self.inside and self.held < 1 << 20:
            self.said.append(text)
            self.held += len(text)

    def _end(self, tag: str) -> None:
        if tag in TAGS:
            self.inside = False
        elif tag == "testcase" and self.case is not None:
            self.bad += self.outcome in {"failed", "error"}
            add(self.tests, Told(id=_id(self.case), outcome=self.outcome, message=tidy("".join(self.said))))
            self.case = None


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0  # digits of a count


def _id(case: dict[str, str]) -> str:
    """The node id as pytest writes it, rebuilt.

    Addresses of objects in parameters differ from run to run and are blanked.
    """
    name, dotted, file = case.get("name", ""), case.get("classname", ""), case.get("file", "")
    module = file.removesuffix(".py").replace("/", ".").replace("\\", ".")
    if file and (dotted == module or dotted.startswith(f"{module}.")):
        classes = [part for part in dotted.removeprefix(module).split(".") if part]
        found = "::".join([file, *classes, name])
    elif file and not dotted and name == module:
        found = file  # the file itself: pytest could not import it
    else:
        found = "::".join(part for part in (dotted or file, name) if part)
    return tidy(address.sub("0x…", found), limit=ID).replace("\n", " ")
