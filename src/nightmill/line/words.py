"""What people say to a run while it works: kept in the ledger when it is said, in a turn's record when it is heard."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nightmill.agent import Word

if TYPE_CHECKING:
    from nightmill.line.control import Control
    from nightmill.line.machines import Machines

__all__ = ["unheard"]


async def unheard(
    machines: Machines, control: Control, *, run: str, after: int, look: bool = False
) -> tuple[Word, ...]:
    """The words of people to *run* after number *after*, in order.

    The store is asked only if *control* knows of more, or to *look* whether there are: before what cannot be taken back.
    """
    if control.words <= after and not look:
        return ()
    said = await asyncio.to_thread(machines.runs.said, run, after=after)
    words = tuple(Word(number=each.number, by=each.by, text=each.text) for each in said)
    control.said(max((each.number for each in words), default=0))
    return words
