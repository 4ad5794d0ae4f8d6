"""Whether a shell command shows that a check passed: its exit status, where that is the check's, else its last words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from shlex import shlex

__all__ = ["VERIFIES", "passed", "verifies"]

VERIFIES = re.compile(
    r"(?:^|[;&|\s/])(?:py\.?test|tox|nox|unittest|ruff|mypy|pyright|ty|tsc|eslint|jest|vitest|mocha|phpunit|rspec|ctest)\b"
    r"|\b(?:npm|pnpm|yarn|bun)\s+(?:run\s+)?(?:test|check|lint|build)\b"
    r"|\b(?:go|cargo|make|just|gradle|gradlew|mvn|dotnet|mix|swift|zig)\s+(?:\S+\s+)?(?:test|check|vet|clippy|build|verify|lint)\b"
)
"""Commands that verify, in the words of the usual tools."""
FAILED = re.compile(
    r"\b[1-9]\d* (?:failed|errors?|failures?|failing)\b|\bFAILED\b|\bFAIL\b|\b(?:failures|errors)=[1-9]|^error(?:\[|:)|\bTraceback \(most"
    r"|\bnot ok \d|\bFound [1-9]\d* error",
    re.MULTILINE,
)
PASSED = re.compile(
    r"\b[1-9]\d* (?:passed|passing)\b|^OK\b|\bAll checks passed\b|\bSuccess: no issues found\b|^ok\s|\btest result: ok\b|^# fail 0$",
    re.MULTILINE,
)
JOINED = re.compile(r"\d?>&\d?|&>>?")
"""Output led elsewhere: its `&` parts no commands."""
LAST = 4_000
"""Characters of the end of an output in which a check says how it ended."""


def verifies(command: str, checks: Sequence[str]) -> bool:
    """Whether *command* verifies work: it holds one of the project's own *checks*, or the usual tools' words."""
    plain = " ".join(command.split())
    return any(" ".join(each.split()) in plain for each in checks if each.strip()) or bool(VERIFIES.search(plain))


def passed(command: str, ok: bool, output: str, checks: Sequence[str]) -> bool | None:  # noqa: FBT001 - what it ended with
    """Whether the check in *command* passed; None: that cannot be told.

    The exit status of `pytest | tail` is tail's, that of `pytest; git diff` is git's. It counts where the check is the
    last command, or where all that follow it only run if it went well; else what the check printed does.
    """
    parts = _parts(command)
    at = max((number for number, (text, _) in enumerate(parts) if verifies(text, checks)), default=-1)
    after = [sign for _, sign in parts[at:-1]] if at >= 0 else [";"]
    if not after or (ok and set(after) == {"&&"}):
        return ok
    end = output[-LAST:]
    if FAILED.search(end):
        return False
    return True if PASSED.search(end) else None


def _parts(command: str) -> list[tuple[str, str]]:
    """The simple commands of *command*, each with the sign that follows it; one of all if its quotes do not close."""
    lexer = shlex(JOINED.sub(" ", command), posix=False, punctuation_chars=";&|\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        return [(command, ";"), ("?", "")]
    cuts = [-1, *(number for number, word in enumerate(words) if set(word) <= set(";&|\n")), len(words)]
    found = [
        (" ".join(words[left + 1 : right]), words[right].strip() or ";" if right < len(words) else "")
        for left, right in pairwise(cuts)
    ]
    return [part for part in found if part[0]]
