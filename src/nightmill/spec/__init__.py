"""Accept a spec or refuse it with reasons. Takes: text. Gives: Spec."""

from __future__ import annotations

from nightmill.spec.nouns import Assessment, Criterion, Flaw, Requirement, Spec, SpecTask

__all__ = ["Assessment", "Criterion", "Flaw", "Requirement", "Spec", "SpecTask"]
