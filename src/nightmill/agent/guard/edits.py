"""Edits outside what the task was expected to touch: a forecast, so the agent is asked, never kept from it."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from posixpath import dirname

from nightmill.agent.guard.ladder import Fault
from nightmill.agent.nouns import AgentState, Brief, Finding, TurnRecord
from nightmill.code import is_test
from nightmill.tool.base import ROOT, known_as

__all__ = ["fault", "findings"]

GUARD = "outside_footprint"
PROSE = (".md", ".rst", ".txt")


def findings(brief: Brief, state: AgentState, record: TurnRecord) -> tuple[Finding, ...]:
    """The files outside the footprint that *record* edited first; tests, prose, and new files beside are none."""
    if not brief.footprint:
        return ()
    told = {each.path for each in state.findings if each.guard == GUARD}
    outside: list[str] = []
    for edited in dict.fromkeys(record.edited):
        known = known_as(edited)
        path = known.removeprefix(f"{ROOT}/")
        new = known not in state.known
        if path in told or path.startswith("/") or is_test(path) or path.lower().endswith(PROSE):
            continue
        if not any(_within(path, each) or (new and _beside(path, each)) for each in brief.footprint):
            outside.append(path)
    what = "edited, and outside what the task was expected to touch"
    return tuple(Finding(guard=GUARD, path=path, what=what) for path in outside)


def fault(brief: Brief, found: Sequence[Finding]) -> Fault | None:
    """The fault that *found* are."""
    if not found:
        return None
    paths = ", ".join(each.path for each in found[:12])
    return Fault(guard=GUARD, evidence=paths, values=(("footprint", ", ".join(brief.footprint[:12])),))


def _within(path: str, part: str) -> bool:
    bare = part.removeprefix("./").rstrip("/")
    return fnmatch(path, bare) or path.startswith(f"{bare}/")


def _beside(path: str, part: str) -> bool:
    return dirname(path) == dirname(part.removeprefix("./").rstrip("/"))
