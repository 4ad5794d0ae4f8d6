"""Accept a spec or refuse it with reasons. Takes: text. Gives: Spec."""

from __future__ import annotations

from nightmill.spec.assess import assess
from nightmill.spec.nouns import Assessment, Criterion, Flaw, Requirement, Spec, SpecFile, SpecTask
from nightmill.spec.reading import LIMIT, from_plain, read, to_plain

__all__ = [
    "LIMIT",
    "Assessment",
    "Criterion",
    "Flaw",
    "Requirement",
    "Spec",
    "SpecFile",
    "SpecTask",
    "assess",
    "from_plain",
    "read",
    "to_plain",
]
