"""Reminders at the end of a request, by rules in code over what happened."""

from __future__ import annotations

from nightmill.agent.nouns import AgentState, Brief

__all__ = ["reminders"]


def reminders(brief: Brief, state: AgentState) -> tuple[str, ...]:
    """What the agent is reminded of before its next turn, most urgent first."""
    del brief, state
    return ()
