"""Edits outside what the task was expected to touch: a forecast, so the agent is asked, never kept from it.

What a command wrote is no edit that is seen in its turn; the whole change is, when it is handed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nightmill.agent.guard.ladder import Fault
from nightmill.agent.nouns import AgentState, Brief, Finding, TurnRecord
from nightmill.tool.base import ROOT, known_as
from nightmill.tool.footprint import beyond

__all__ = ["fault", "findings", "outside"]

GUARD = "outside_footprint"
WHAT = "edited, and outside what the task was expected to touch"


def findings(brief: Brief, state: AgentState, record: TurnRecord) -> tuple[Finding, ...]:
    """The files outside the footprint that *record* edited first; tests, prose, and new files beside are none."""
    if not brief.footprint:
        return ()
    told = {each.path for each in state.findings if each.guard == GUARD}
    known = {edited: known_as(edited) for edited in record.edited}
    paths = ((path.removeprefix(f"{ROOT}/"), path not in state.known) for path in known.values())
    return tuple(each for each in outside(paths, brief.footprint) if each.path not in told)


def outside(paths: Iterable[tuple[str, bool]], footprint: Sequence[str]) -> tuple[Finding, ...]:
    """Those of *paths*, (path, whether it is new), that are none of *footprint*; tests, prose, and new files beside are none."""
    return tuple(
        Finding(guard=GUARD, path=path, what=WHAT)
        for path, new in dict.fromkeys(paths)
        if footprint and not path.startswith("/") and beyond(path, footprint, new=new)
    )


def fault(brief: Brief, found: Sequence[Finding]) -> Fault | None:
    """The fault that *found* are."""
    if not found:
        return None
    paths = ", ".join(each.path for each in found[:12])
    return Fault(guard=GUARD, evidence=paths, values=(("footprint", ", ".join(brief.footprint[:12])),))
