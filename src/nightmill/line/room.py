"""How long a conversation may get, whichever model of its list is asked: known before anything is spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from nightmill.agent.compact import ENOUGH
from nightmill.agent.explore import COMPACT_AT
from nightmill.errors import SpecError
from nightmill.line.assignment import models
from nightmill.model.connect import window
from nightmill.tool.toolset import developing

if TYPE_CHECKING:
    from nightmill.crew import Role
    from nightmill.line.assignment import Assignment
    from nightmill.tool import Toolset

__all__ = ["compact_at", "explorers", "tools", "toolset"]

DENSE = 0.25
"""Tokens of a byte of prose: what is too long by this is too long by any count."""
CARE = 0.9
"""Share of a window that is counted on: nobody knows a request's tokens before they were counted."""
ROOMY = 0.4
"""Share of the bound that what stands in every request may have without leaving the work too little."""


def compact_at(assignment: Assignment, role: Role, *, fixed: Mapping[str, int]) -> int:
    """Tokens of a request from which older parts are left out, for *role* in *assignment*.

    At most half of the smallest window of the models that may be asked. Where what stands in every request (*fixed*:
    bytes by what they are) leaves the work too little of that, it is as much more as these windows hold.

    Raises:
        SpecError: If even then every turn would lose all turns before it.
    """
    windows = _windows(assignment, role)
    smallest = min(windows.values(), default=0)
    bound = _bound(windows, assignment.compact_at)
    needed = round(DENSE * sum(fixed.values()))
    if needed > ROOMY * bound:
        most = round(CARE * smallest) - assignment.max_tokens
        bound = max(bound, min(round(needed / ROOMY), most))
    if needed > ENOUGH * bound:
        raise SpecError(_too_long(fixed, bound, windows, smallest), hint=_remedy(fixed, windows))
    return bound


def explorers(assignment: Assignment, role: Role) -> int:
    """Tokens of an explorer's request from which older parts are left out."""
    return _bound(_windows(assignment, role, cheap=True), COMPACT_AT)


def tools(assignment: Assignment, role: Role) -> int:
    """Bytes of what a developer's tools add to every request."""
    return len(repr(toolset(assignment, role).schemas))


def toolset(assignment: Assignment, role: Role) -> Toolset:
    """What *role* has as the developer of *assignment*: what is offered there and its list names."""
    return developing(assignment.model).only(role.tools)


def _windows(assignment: Assignment, role: Role, *, cheap: bool = False) -> dict[str, int]:
    """The windows that are known, by model."""
    named = (each.name for each in models(assignment, role, cheap=cheap))
    return {name: size for name in named if (size := window(name))}


def _bound(windows: Mapping[str, int], wanted: int) -> int:
    return min(wanted, min(windows.values()) // 2) if windows else wanted


def _too_long(fixed: Mapping[str, int], bound: int, windows: Mapping[str, int], smallest: int) -> str:
    parts = ", ".join(f"{name} {_tokens(size)}" for name, size in sorted(fixed.items(), key=lambda each: -each[1]))
    whose = next((f" ({name} holds {size:,})" for name, size in windows.items() if size == smallest), "")
    return (
        f"what stands in every request is too long: {_tokens(sum(fixed.values()))} tokens ({parts}), and a request may"
        f" have {bound:,}{whose}, of which the work needs {round((1 - ENOUGH) * bound):,}"
    )


def _remedy(fixed: Mapping[str, int], windows: Iterable[str]) -> str:
    longest = max(fixed, key=lambda name: fixed[name])
    larger = "take models with larger windows" if windows else "raise `compact_tokens`, if the model holds more"
    return f"shorten {longest}, or {larger}"


def _tokens(size: int) -> str:
    return f"{round(DENSE * size):,}"
