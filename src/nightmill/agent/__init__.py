"""The loop: build the request, run the tools, guard. Takes: Task. Gives: Diff."""

from __future__ import annotations

from nightmill.agent.loop import act, apply, ask, send_back
from nightmill.agent.nouns import AgentState, Brief, Ending, Todo, TurnRecord

__all__ = ["AgentState", "Brief", "Ending", "Todo", "TurnRecord", "act", "apply", "ask", "send_back"]
