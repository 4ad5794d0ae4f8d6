"""What happens to runs, as one who listens is told it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import NamedTuple

__all__ = ["News", "Told"]


class Told(NamedTuple):
    """Something that happened to *run*; *above* are the runs of which each started the one before."""

    name: str
    run: str
    above: tuple[str, ...] = ()


News = Callable[[], AsyncGenerator["Sequence[Told] | None"]]
"""What happens in all that somebody may see; first nothing, as soon as nothing is missed any more; None: much, unsaid what."""
