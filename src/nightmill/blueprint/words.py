"""Steps in words, the same in lists, differences and drawings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from nightmill.blueprint.nouns import (
    AgentStep,
    Blueprint,
    MapStep,
    RepeatStep,
    ReviewStep,
    Step,
    kind,
)

__all__ = ["Placed", "does", "named", "placed", "role", "sees", "short"]

PLACE = re.compile(r"\{\{\s*(?:([\w.]+)\s*(?:\|[^{}]*)?|.*?)\}\}", re.DOTALL)
"""A value in a text: its path, and what is done with it, which is left out."""


class Placed(NamedTuple):
    """A step, how deep it stands in loops and maps, and the id of the one that it stands in."""

    step: Step
    depth: int
    within: str


def placed(blueprint: Blueprint) -> Iterator[Placed]:
    """All steps in the order of the file."""

    def go(steps: tuple[Step, ...], depth: int, within: str) -> Iterator[Placed]:
        for step in steps:
            yield Placed(step, depth, within)
            if isinstance(step, MapStep | RepeatStep):
                yield from go(step.steps, depth + 1, step.id)

    return go(blueprint.steps, 0, "")


def named(step: Step) -> str:
    """What people call it."""
    return step.title or step.id


def role(step: Step) -> str:
    """The role that acts in it; "" if none does."""
    return step.agent if isinstance(step, AgentStep) else step.review if isinstance(step, ReviewStep) else ""


def does(step: Step) -> str:
    """What it does, in some words on one line."""
    return WORDS[kind(step)](step)


def sees(step: Step) -> tuple[str, ...]:
    """Names of what it is given."""
    return tuple(getattr(step, "inputs", {}) or getattr(step, "env", {}) or getattr(step, "data", {}))


def short(text: str) -> str:
    """*text* for where there is little room: of what it reads, the last name alone."""
    spoken = PLACE.sub(lambda found: f"[{found[1].rpartition('.')[2]}]" if found[1] else "…", text)
    return spoken.replace("steps.", "")


def _one(text: str) -> str:
    """The first line that says something."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip() and not line.startswith("set -")]
    return f"{lines[0]}{' …' if len(lines) > 1 else ''}" if lines else ""


WORDS: dict[str, Callable[[Any], str]] = {
    "run": lambda step: f"runs {_one(step.run)}",
    "check": lambda step: "all checks of the project" if step.check == "all" else f"the checks {', '.join(step.check)}",
    "agent": lambda step: f"{step.agent} works" + (f", going on from {step.goes_on}" if step.goes_on else ""),
    "review": lambda step: f"{step.review} judges the change; {step.blocks} findings and worse block it",
    "approve": lambda step: "a person's yes to this tree" + (", if policy asks" if step.by == "policy" else ""),
    "ask": lambda step: f"asks a person: {_one(step.ask)}",
    "map": lambda step: f"for each {step.each} of {_one(step.map)}, {step.at_once} at once, at most {step.most}",
    "repeat": lambda step: f"at most {step.repeat} times, until {_one(step.until)}",
    "call": lambda step: f"the blueprint {step.call}",
    "change": lambda step: f"opens the pull request {_one(step.change)}",
    "emit": lambda step: f"tells the ledger: {step.emit}",
    "python": lambda step: f"calls {step.python}",
    "stop": lambda step: ("waits for a person: " if step.wait else "ends the run: ") + _one(step.stop),
}
