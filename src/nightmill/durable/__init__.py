"""Durable workflows, queues and recovery. Takes: function. Gives: a run that survives its worker."""

from nightmill.durable.engine import Engine, Workflow
from nightmill.durable.nouns import Bounds
from nightmill.durable.plain import LIMIT
from nightmill.durable.recovery import Recovery

__all__ = ["LIMIT", "Bounds", "Engine", "Recovery", "Workflow"]
