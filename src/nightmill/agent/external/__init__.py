"""Agents that are not ours, worked with over the Agent Client Protocol."""

from __future__ import annotations

from nightmill.agent.external.hearing import Heard, Hearing
from nightmill.agent.external.nouns import External
from nightmill.agent.external.process import Process
from nightmill.agent.external.wire import AgentLost, Refused

__all__ = ["AgentLost", "External", "Heard", "Hearing", "Process", "Refused"]
