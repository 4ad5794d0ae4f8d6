"""What `go test -json` says: an event per line, with lines of the go command itself between them."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from nightmill.review.formats.report import Outcome, Report, Told, add, loads, record, tidy

__all__ = ["parse"]

ENDS: dict[str, Outcome] = {"pass": "passed", "fail": "failed", "skip": "skipped"}
ID = 500
HELD = 20_000
"""Characters that are kept of what one test printed."""

unbuilt = re.compile(r"^FAIL\s+(\S{1,300}) \[(?:build|setup) failed\]", re.MULTILINE)


def parse(body: bytes) -> Report:
    """Tests as "package::Test/sub"; a package that failed otherwise than by a test is told by its own name.

    A test or package that began and never ended is an error: its process went away.
    """
    reader = _Reader()
    text = body.decode("utf-8", "replace")
    for line in text.splitlines():
        if line.startswith("{"):
            reader.take(record(loads(line)))
    tests: dict[str, Told] = {}
    for package in dict.fromkeys(unbuilt.findall(text)):
        add(tests, Told(id=package, outcome="error", message="it could not be built"))
    for test in reader.told():
        add(tests, test)
    return Report(tests=tests, gap="" if tests or reader.packages else "no line is an event of `go test -json`")


@dataclass(slots=True)
class _Reader:
    said: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    held: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    ended: dict[str, str] = field(default_factory=dict)
    packages: dict[str, bool] = field(default_factory=dict)
    """Whether a test of it failed."""

    def take(self, event: dict[str, Any]) -> None:
        package, action = str(event.get("Package", ""))[:ID], str(event.get("Action", ""))
        if not package:
            return
        self.packages.setdefault(package, False)
        name = "::".join(part for part in (package, str(event.get("Test", ""))[:ID]) if part)
        if action == "output" and self.held[name] < HELD:
            text = str(event.get("Output", ""))[:HELD]
            self.said[name].append(text)
            self.held[name] += len(text)
        elif action in {"run", "start"}:
            self.ended.setdefault(name, "")
        elif action in ENDS:
            self.ended[name] = action if self.ended.get(name) != "fail" else "fail"
            self.packages[package] |= action == "fail" and name != package

    def told(self) -> list[Told]:
        found = []
        for name, action in self.ended.items():
            if name in self.packages:
                continue
            message = tidy("".join(self.said[name]))
            outcome: Outcome = ENDS.get(action, "error")
            found.append(Told(id=tidy(name, limit=ID), outcome=outcome, message=message or "it did not end"))
        for package, explained in self.packages.items():
            action = self.ended.get(package, "")
            if not action or (action == "fail" and not explained):
                message = tidy("".join(self.said[package])) or "the package did not end"
                found.append(Told(id=tidy(package, limit=ID), outcome="error", message=message))
        return found
