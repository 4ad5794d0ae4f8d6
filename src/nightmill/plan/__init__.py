"""Cut a spec into tasks and order them. Takes: Spec. Gives: Plan."""

from __future__ import annotations

from nightmill.plan.answer import from_plain, read, schema, to_plain
from nightmill.plan.drawing import Drawing, draw_up
from nightmill.plan.given import MOST_TASKS, from_spec, single
from nightmill.plan.nouns import Footprint, Plan, Task
from nightmill.plan.ordering import order

__all__ = [
    "MOST_TASKS",
    "Drawing",
    "Footprint",
    "Plan",
    "Task",
    "draw_up",
    "from_plain",
    "from_spec",
    "order",
    "read",
    "schema",
    "single",
    "to_plain",
]
