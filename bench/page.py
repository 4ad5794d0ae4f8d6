"""The page of the docs that holds the figures: each program writes its table between marks of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.machine import machine

__all__ = ["PAGE", "circumstances", "put"]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def circumstances(parts: Mapping[str, Any]) -> list[str]:
    """Lines that say where and when *parts* were measured: their results by name, each with `load` and `at`."""
    facts = machine()
    loads = "; ".join(f"{name} {part['load'][0]} → {part['load'][1]}" for name, part in parts.items())
    return [
        f"{facts['cores']} cores, {facts['memory_gb']} GB, Linux {facts['kernel']}, Python {facts['python']};",
        f"{max(part['at'] for part in parts.values())[:10]}. Load of the machine before → after each part: {loads}.",
    ]


def put(lines: Iterable[str], *, begin: str, end: str) -> None:
    """Put *lines* between the marks *begin* and *end* of the page."""
    before, _, rest = PAGE.read_text().partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text("\n".join([before + begin, *lines, end + after]))
