"""Prove a diff with checks that the engine runs itself. Takes: a tree. Gives: Verdict."""

from __future__ import annotations

from nightmill.review.nouns import Baseline, Check, CheckResult, Evidence, Failure, Finding, Flake, Verdict
from nightmill.review.prove import Case, prove
from nightmill.review.run import run_check

__all__ = [
    "Baseline",
    "Case",
    "Check",
    "CheckResult",
    "Evidence",
    "Failure",
    "Finding",
    "Flake",
    "Verdict",
    "prove",
    "run_check",
]
