"""The page of the docs that holds the figures: each program writes its table between marks of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["PAGE", "put"]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def put(lines: Iterable[str], *, begin: str, end: str) -> None:
    """Put *lines* between the marks *begin* and *end* of the page."""
    before, _, rest = PAGE.read_text().partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text("\n".join([before + begin, *lines, end + after]))
