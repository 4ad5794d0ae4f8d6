"""The loop: build the request, run the tools, guard. Takes: Task. Gives: Diff."""

from __future__ import annotations

from nightmill.agent.loop import Told, act, apply, ask, fingerprint, fixed, send_back, size
from nightmill.agent.nouns import AgentState, Brief, Ending, Todo, TurnRecord

__all__ = [
    "AgentState",
    "Brief",
    "Ending",
    "Todo",
    "Told",
    "TurnRecord",
    "act",
    "apply",
    "ask",
    "fingerprint",
    "fixed",
    "send_back",
    "size",
]
