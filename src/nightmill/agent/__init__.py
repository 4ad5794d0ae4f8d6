"""The loop: build the request, run the tools, guard. Takes: Task. Gives: Diff."""

from __future__ import annotations

from nightmill.agent.context import Share, ask, shares
from nightmill.agent.drift import ADRIFT, score
from nightmill.agent.explore import Party, explore, warned
from nightmill.agent.loop import Told, act, apply, fingerprint, fixed, hear, outgrown, send_back
from nightmill.agent.measure import size
from nightmill.agent.nouns import AgentState, Brief, Ending, Todo, TurnRecord, Word

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
    "Word",
    "act",
    "apply",
    "ask",
    "explore",
    "fingerprint",
    "fixed",
    "hear",
    "outgrown",
    "score",
    "send_back",
    "shares",
    "size",
    "warned",
]
