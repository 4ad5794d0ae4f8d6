"""Cut a spec into tasks and order them. Takes: Spec. Gives: Plan."""

from __future__ import annotations

from nightmill.plan.nouns import Footprint, Plan, Task

__all__ = ["Footprint", "Plan", "Task"]
