"""Guards: what a misbehaving model does, how it is seen, and what follows. Takes: TurnRecord. Gives: TurnRecord, Spoken.

Each guard sees one kind of fault, by code, in what a turn did. What follows is one ladder for all of them.
"""

from __future__ import annotations

from nightmill.agent.guard.judge import Scene, judge
from nightmill.agent.guard.ladder import CAREFUL, Spoken, struck
from nightmill.agent.guard.loops import looked_at, made, new
from nightmill.agent.guard.reply import NOT_RUN, usable
from nightmill.agent.guard.watch import Watch
from nightmill.agent.guard.weaken import balance, settled

__all__ = [
    "CAREFUL",
    "NOT_RUN",
    "Scene",
    "Spoken",
    "Watch",
    "balance",
    "judge",
    "looked_at",
    "made",
    "new",
    "settled",
    "struck",
    "usable",
]
