"""Reminders at the end of a request, by rules in code over what happened. Each is given only while it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from nightmill.agent.nouns import AgentState, Brief
from nightmill.agent.working import MOST_NOTES
from nightmill.prompt import part, render

__all__ = ["reminders"]

MOST = 3
NEARLY = 0.8
"""Share of a budget from which an agent is told so."""
UNVERIFIED = 6
"""Turns since the first edit that no check has seen."""
READ_AGAIN = 3
STALE = 15
"""Turns without a change of the todo list."""
MISSING, SEVERAL = 8, 3
"""Turns without a todo list at all, where there are several criteria."""
ROUNDS = 2


def reminders(brief: Brief, state: AgentState) -> tuple[str, ...]:
    """What the agent is reminded of before its next turn, most urgent first."""
    rules = (_careful(state), _budget(brief, state), _sent_back(state), _unverified(brief, state))
    later = (_read_again(state), _todo(brief, state), _notes(state))
    return tuple(each for each in (*rules, *later) if each)[:MOST]


def _careful(state: AgentState) -> str:
    return part("guard/smaller").text if state.turn < state.careful else ""


def _budget(brief: Brief, state: AgentState) -> str:
    """The bound that is nearest, if one is near."""
    share, what, spent, most = max(_shares(brief, state), default=(0.0, "", "", ""))
    if share < NEARLY:
        return ""
    return render("remind/budget", share=f"{share:.0%}", what=what, spent=spent, most=most).text


def _shares(brief: Brief, state: AgentState) -> Iterator[tuple[float, str, str, str]]:
    budget = brief.budget
    if budget is None:
        return
    tokens = state.usage.input + state.usage.output
    bounds = (
        ("turns", float(state.turn), float(budget.turns), "{:,.0f}"),
        ("tokens", float(tokens), float(budget.tokens), "{:,.0f}"),
        ("dollars", state.cost, budget.money, "{:.2f}"),
        ("seconds of work", state.seconds, budget.seconds, "{:,.0f}"),
    )
    for what, spent, most, form in bounds:
        if most > 0:
            yield spent / most, what, form.format(spent), form.format(most)


def _sent_back(state: AgentState) -> str:
    return render("remind/sent_back", count=str(state.rounds)).text if state.rounds >= ROUNDS else ""


def _unverified(brief: Brief, state: AgentState) -> str:
    if not brief.checks or not state.working.edits:
        return ""
    looked = max((each.turn for each in state.working.checks), default=0)
    first = next((each.turn for each in state.signals if each.edited and each.turn > looked), state.turn)
    turns = state.turn - first + 1
    if turns < UNVERIFIED:
        return ""
    return render("remind/unverified", turns=str(turns), check=f"`{brief.checks[0]}`").text


def _read_again(state: AgentState) -> str:
    """A call of the latest turn that gave the same before, and before that."""
    counts = Counter(each.exact for each in state.made)
    for each in state.made:
        again = each.turn != state.turn and any(now.exact == each.exact for now in state.made if now.turn == state.turn)
        if again and not each.wrong and counts[each.exact] >= READ_AGAIN and each.about.startswith("read_file"):
            count = str(counts[each.exact])
            return render("remind/read_again", about=each.about, count=count, turn=str(each.turn)).text
    return ""


def _todo(brief: Brief, state: AgentState) -> str:
    left = [each for each in state.todo if each.state != "done"]
    if not state.todo:
        wanted = len(brief.criteria) >= SEVERAL and state.turn >= MISSING
        return render("remind/todo_missing", count=str(len(brief.criteria))).text if wanted else ""
    turns = state.turn - state.listed
    if not left or turns < STALE:
        return ""
    doing = next((each.text for each in left if each.state == "doing"), left[0].text)
    return render("remind/todo_stale", turns=str(turns), doing=" ".join(doing.split())[:120]).text


def _notes(state: AgentState) -> str:
    most = max(sum(map(bool, notes)) for notes in (state.working.discoveries, state.working.failed))
    return render("remind/notes", count=str(most)).text if most > MOST_NOTES else ""
