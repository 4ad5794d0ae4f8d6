"""What chance explains: how often a test fails, how sure that is, and when it fails more often than it is known to."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from nightmill.review.nouns import Baseline, Flake

__all__ = ["LEVEL", "REPEATS", "explained", "learned", "merge", "signature", "tail", "told", "wilson"]

LEVEL = 0.01
"""A known flake whose repeats fail so often that its known rate gives that less than once in a hundred is broken."""
REPEATS = 4
"""Runs of a check on one tree beside the first, at most."""
Z = 1.959964
"""Of the normal distribution: 95 % lie within."""
MOST = 8
"""Different messages of one test that are remembered."""
LENGTH = 160

varying = re.compile(r"0x[0-9a-fA-F]+|'[^'\n]*'|\"[^\"\n]*\"|(?:/[\w.+-]+){2,}|\b[0-9a-f]{8,}\b|\d+(?:[.,]\d+)*")
raised = re.compile(r"^(?:E\s+)?([\w.]*(?:Error|Exception|Exit|Interrupt|Warning|Failed|Timeout)\b.*)$", re.MULTILINE)


def wilson(failed: int, runs: int) -> tuple[float, float]:
    """The rate of failing between which and which the truth lies, at 95 % (Wilson 1927, without correction)."""
    if runs <= 0:
        return 0.0, 1.0
    rate, square = failed / runs, Z * Z
    middle = (rate + square / (2 * runs)) / (1 + square / runs)
    half = Z * math.sqrt(rate * (1 - rate) / runs + square / (4 * runs * runs)) / (1 + square / runs)
    return max(0.0, middle - half), min(1.0, middle + half)


def told(failed: int, runs: int) -> str:
    """How often a test failed and what that says of its rate, for people; "" if it was run once."""
    if not runs:
        return ""
    low, high = wilson(failed, runs)
    return f"failed in {failed} of {runs} runs on this tree: a rate between {low:.0%} and {high:.0%} (95 %)"


def tail(failed: int, runs: int, rate: float) -> float:
    """The probability of *failed* or more failures in *runs*, if each fails with *rate* by itself."""
    return sum(math.comb(runs, each) * rate**each * (1 - rate) ** (runs - each) for each in range(failed, runs + 1))


def explained(known: Flake, *, failed: int, repeats: int) -> bool:
    """Whether *failed* of *repeats* is what a test that is *known* so may do; the run that led to them does not count.

    That first failure is why it was repeated: counting it would call every rare flake broken the day it shows.
    """
    rate = known.failed / known.runs if known.runs else 0.0
    return tail(failed, repeats, rate) >= LEVEL


def signature(message: str) -> str:
    """What stays the same when a test fails for the same reason: its exception, without numbers, texts and paths."""
    lines = [line for line in message.splitlines() if line.strip()]
    found = raised.findall(message)
    line = found[-1] if found else lines[0] if lines else ""
    return " ".join(varying.sub("#", line).split())[:LENGTH]


def merge(one: Mapping[str, Flake], other: Mapping[str, Flake]) -> dict[str, Flake]:
    """What both know together, by test."""
    return {name: _sum(flake for flake in (one.get(name), other.get(name)) if flake) for name in sorted({*one, *other})}


def learned(baseline: Baseline, more: Mapping[str, Mapping[str, Flake]]) -> Baseline:
    """*baseline*, knowing of unsteady tests what *more* tells too, by check."""
    checks = sorted({*baseline.flakes, *more})
    return replace(baseline, flakes={name: merge(baseline.flakes.get(name, {}), more.get(name, {})) for name in checks})


def _sum(flakes: Iterable[Flake]) -> Flake:
    parts = list(flakes)
    said = tuple(dict.fromkeys(text for each in parts for text in each.said))[:MOST]
    return Flake(failed=sum(each.failed for each in parts), runs=sum(each.runs for each in parts), said=said)
