"""The loop: build the request, run the tools, guard. Takes: Task. Gives: Diff."""

from __future__ import annotations

from nightmill.agent.context import Share, ask, shares
from nightmill.agent.drift import ADRIFT, score
from nightmill.agent.explore import Party, explore, warned
from nightmill.agent.loop import Told, act, apply, fingerprint, fixed, outgrown, send_back
from nightmill.agent.measure import size
from nightmill.agent.nouns import AgentState, Brief, Ending, Todo, TurnRecord

__all__ = [
    "ADRIFT",
    "AgentState",
    "Brief",
    "Ending",
    "Party",
    "Share",
    "Todo",
    "Told",
    "TurnRecord",
    "act",
    "apply",
    "ask",
    "explore",
    "fingerprint",
    "fixed",
    "outgrown",
    "score",
    "send_back",
    "shares",
    "size",
    "warned",
]
