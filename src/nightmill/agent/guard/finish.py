"""What is missing when an agent says that it is done. Each is told once: the system proves the work anyway."""

from __future__ import annotations

import re
from dataclasses import dataclass
from posixpath import basename

from nightmill.agent import working
from nightmill.agent.guard.claims import false_claims
from nightmill.agent.nouns import AgentState, Brief, Ending
from nightmill.prompt import render

__all__ = ["Shortfall", "shortfalls"]

MOST, LOOKED_AT = 8, 8_000
LESS = r"(?:remov|delet|skip|xfail|relax|loosen|lower|drop|disabl|obsolete|replac)\w*"
VERIFYING = r"(?:tests?|assert\w*|coverage|thresholds?|checks?)"
OWNED = re.compile(rf"\b{LESS}\b[^.\n]{{0,80}}\b{VERIFYING}\b|\b{VERIFYING}\b[^.\n]{{0,80}}\b{LESS}\b", re.IGNORECASE)
"""Words of a summary that own up to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What is missing: its kind, what the agent is told, and what shows it."""

    kind: str
    message: str
    evidence: str


def shortfalls(brief: Brief, state: AgentState, ending: Ending, *, commands: bool) -> tuple[Shortfall, ...]:
    """What is missing of the work in *state* that *ending* ends; *commands* says whether the agent can run any."""
    found = (
        _short("false_claim", false_claims(brief, state, ending) if commands else ()),
        _short("todo", [each.text for each in state.todo if each.state != "done"]),
        _short("unverified", _unverified(brief, state) if commands else ()),
        _short("nothing_changed", _unchanged(brief, state)),
        _short("evidence", _without_evidence(brief, state, ending)),
        _short("weakened_tests", _not_owned(state, ending)),
    )
    return tuple(each for each in found if each)


def _short(kind: str, found: tuple[str, ...] | list[str]) -> Shortfall | None:
    if not found:
        return None
    lines = "\n".join(f"- {' '.join(each.split())[:300]}" for each in found[:MOST])
    message = render(f"finish/{kind}", lines=lines).text
    return Shortfall(kind=kind, message=message, evidence="; ".join(found[:MOST])[:600])


def _unverified(brief: Brief, state: AgentState) -> list[str]:
    if not brief.checks or not state.working.edits:
        return []
    return [working.verification(brief, state.working).splitlines()[-1].removeprefix("- ")]


def _unchanged(brief: Brief, state: AgentState) -> list[str]:
    return list(brief.criteria) if not state.working.touched else []


def _without_evidence(brief: Brief, state: AgentState, ending: Ending) -> list[str]:
    if state.rounds:  # it was asked when it first handed over; what it named then stands until it names another
        return []
    shown = {_plain(name) for name, by in ending.evidence if by.strip()}
    return [each for each in brief.criteria if _plain(each) not in shown]


def _not_owned(state: AgentState, ending: Ending) -> list[str]:
    """What weakens the tests and of which the summary says nothing."""
    found = [each for each in state.findings if each.guard == "weakened_tests"]
    return [f"{each.path}: {each.what}" for each in found if not _owned(ending.text, each.path, each.test)]


def _owned(summary: str, path: str, test: str) -> bool:
    named = basename(path) in summary or (test and test in summary)
    return bool(named) or bool(OWNED.search(summary[:LOOKED_AT]))


def _plain(name: str) -> str:
    return re.sub(r"\W", "", name).casefold()
