"""What cargo says: the compiler's messages as JSON, and the tests of libtest as text or as JSON, in one stream."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from nightmill.review.formats.report import Outcome, Problem, Report, Told, add, loads, record, tidy

__all__ = ["parse"]

ID = 500
ENDS: dict[str, Outcome] = {"ok": "passed", "FAILED": "failed", "failed": "failed", "ignored": "skipped"}
HELD = 20_000

binary = re.compile(r"^\s*(?:Running (?:unittests )?(\S+) \(|(Doc-tests) (\S+))")
began = re.compile(r"^running (\d{1,7}) tests?$")
line_ = re.compile(r"^test (.{1,400}?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)\b")
section = re.compile(r"^---- (.{1,400}?) stdout ----$")
ended = re.compile(r"^test result: \w+\. (\d{1,7}) passed; (\d{1,7}) failed; (\d{1,7}) ignored;")
place = re.compile(r"\(line \d+\)")


def parse(body: bytes) -> Report:
    """Tests as "src/lib.rs::module::name", by the file that cargo says it runs; errors and warnings as problems.

    Warnings count where `cargo clippy` or `cargo check` is the check, which shows by there being no test. A binary that
    says it runs tests and does not say how they ended, or counts otherwise than it tells, is a gap.
    """
    reader = _Reader()
    for raw in body.decode("utf-8", "replace").splitlines():
        if raw.startswith("{"):
            reader.json(record(loads(raw)))
        else:
            reader.text(raw)
    reader.close("")
    built = reader.tests or reader.suites
    problems = tuple(each for level, each in reader.problems if level == "error" or not built)
    if not built and not reader.messages and not reader.problems:
        return Report(gap="it is neither what libtest prints nor cargo's JSON (--message-format=json)")
    gap = reader.gap or ("" if reader.finished or not reader.messages else "cargo does not say that its build ended")
    return Report(tests=reader.tests, problems=tuple(dict.fromkeys(problems)), gap=gap)


@dataclass(slots=True)
class _Reader:
    tests: dict[str, Told] = field(default_factory=dict)
    problems: list[tuple[str, Problem]] = field(default_factory=list)
    messages: int = 0
    finished: bool = False
    suites: int = 0
    where: str = ""
    due: int | None = None
    seen: dict[str, Outcome] = field(default_factory=dict)
    said: dict[str, list[str]] = field(default_factory=dict)
    about: str = ""
    listing: bool = False
    """Whether what failed is being shown: nothing there is a result."""
    gap: str = ""

    def text(self, raw: str) -> None:
        if found := binary.match(raw):
            self.close("it did not say how its tests ended")
            self.where = found[1] or f"{found[2]} {found[3]}"
        elif found := began.match(raw):
            self.close("it did not say how its tests ended")
            self.due, self.suites = int(found[1]), self.suites + 1
        elif self.due is not None and (found := ended.match(raw)):
            self._ended(tuple(int(number) for number in found.groups()))
        elif self.due is not None:
            self._within(raw)

    def json(self, event: dict[str, Any]) -> None:
        if event.get("reason"):
            self.messages += 1
            self.finished |= event["reason"] == "build-finished"
            if event["reason"] == "compiler-message":
                self._complaint(record(event.get("message")))
        elif event.get("type") == "suite":
            self._suite(event)
        elif event.get("type") == "test" and (outcome := ENDS.get(str(event.get("event")))):
            name = str(event.get("name"))[:ID]
            self.seen[name] = outcome
            self.said[name] = [str(event.get("stdout", ""))[:HELD]]

    def close(self, why: str) -> None:
        """Keep what the binary told. *why* it is not whole, where it did not come to its end."""
        if self.due is not None:
            self.gap = self.gap or f"{self.where or 'a test binary'}: {why or 'it did not say how its tests ended'}"
        numbers: Counter[str] = Counter()
        for name, outcome in self.seen.items():
            plain = place.sub("", name).strip()
            numbers[plain] += 1
            again = f" #{numbers[plain]}" if numbers[plain] > 1 else ""
            full = "::".join(part for part in (self.where, plain + again) if part)
            message = tidy("\n".join(self.said.get(name, ())))
            add(self.tests, Told(id=tidy(full, limit=ID), outcome=outcome, message=message))
        self.due, self.seen, self.said, self.about, self.listing = None, {}, {}, "", False

    def _within(self, raw: str) -> None:
        if raw == "failures:":
            self.listing, self.about = True, ""
        elif self.listing and (found := section.match(raw)):
            self.about = found[1]
        elif self.listing:
            kept = self.said.setdefault(self.about, [])
            if self.about and sum(map(len, kept[-50:])) < HELD and len(kept) < HELD // 50:
                kept.append(raw)
        elif found := line_.match(raw):
            self.seen[found[1]] = ENDS[found[2]]

    def _ended(self, told: tuple[int, ...]) -> None:
        kinds = Counter(self.seen.values())
        if told != (kinds["passed"], kinds["failed"], kinds["skipped"]):
            self.gap = self.gap or f"{self.where or 'a test binary'} counts {told} and tells of {dict(kinds)}"
        self.due = None
        self.close("")

    def _suite(self, event: dict[str, Any]) -> None:
        if event.get("event") == "started":
            self.close("it did not say how its tests ended")
            self.due, self.suites = 0, self.suites + 1
        else:
            self._ended(tuple(int(event.get(name) or 0) for name in ("passed", "failed", "ignored")))

    def _complaint(self, message: dict[str, Any]) -> None:
        level, spans = str(message.get("level")), message.get("spans")
        span = next((each for each in map(record, spans) if each.get("is_primary")), {}) if spans else {}
        if level not in {"error", "warning"} or not span:
            return
        rule = str(record(message.get("code")).get("code", ""))[:100]
        at = span.get("line_start")
        line = at if isinstance(at, int) else 0
        text = tidy(str(message.get("message", "")), limit=1000)
        self.problems.append((level, Problem(str(span.get("file_name", ""))[:ID], line, rule, text)))
