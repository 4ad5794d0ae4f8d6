"""Accept a spec or refuse it with reasons. Takes: text. Gives: Spec."""

from __future__ import annotations

from nightmill.spec.assess import assess
from nightmill.spec.nouns import Assessment, Criterion, Spec, SpecTask
from nightmill.spec.reading import from_plain, read, to_plain

__all__ = [
    "Assessment",
    "Criterion",
    "Spec",
    "SpecTask",
    "assess",
    "from_plain",
    "read",
    "to_plain",
]
