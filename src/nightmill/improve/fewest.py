"""Delta debugging: which of many things are needed, tried out in halves, then one by one, so often and no more.

After A. Zeller and R. Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE TSE 28 (2002).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

__all__ = ["Fewest", "fewest"]

T = TypeVar("T")


class Fewest(NamedTuple, Generic[T]):
    """What is left, in its order. *minimal*: each of it was shown to be needed, before the tries were used up."""

    kept: tuple[T, ...]
    tries: int
    minimal: bool


async def fewest(things: Sequence[T], good: Callable[[tuple[T, ...]], Awaitable[bool]], *, most: int = 60) -> Fewest[T]:
    """Few of *things*, all of which are *good*, that are good still; *good* is asked *most* times at the most."""
    kept, tries, size = tuple(things), 0, max(1, len(things) // 2)
    while kept:
        at, dropped = 0, False
        while at < len(kept):
            if tries == most:
                return Fewest(kept, tries, minimal=False)
            tries += 1
            rest = kept[:at] + kept[at + size :]
            if await good(rest):
                kept, dropped = rest, True
            else:
                at += size
        if size == 1 and not dropped:
            break
        size = max(1, size // 2)
    return Fewest(kept, tries, minimal=True)
