"""Prove a diff with checks that the engine runs itself. Takes: a tree. Gives: Verdict."""

from __future__ import annotations

from nightmill.review.nouns import Baseline, Check, CheckResult, Evidence, Failure, Verdict

__all__ = ["Baseline", "Check", "CheckResult", "Evidence", "Failure", "Verdict"]
