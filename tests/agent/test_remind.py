"""What an agent is reminded of holds, is urgent, and is never more than three things."""

from __future__ import annotations

from typing import Any

import pytest

from nightmill import agent
from nightmill.agent import AgentState, Todo
from nightmill.agent.nouns import Made, Ran, Signal, Working
from nightmill.agent.remind import reminders
from nightmill.agent.working import MOST_NOTES
from nightmill.model import Usage
from nightmill.policy import Budget
from tests.agent.conftest import BRIEF, Stage, replace

TASK = replace(
    BRIEF,
    tag="[system 1]",
    objective="Mend the parser.",
    checks=("make check",),
    criteria=("AC1", "AC2", "AC3"),
    budget=Budget(turns=100, tokens=10_000, money=5.0, seconds=1_000.0, context=1_000),
)
LIST = (Todo(text="mend it", state="doing"), Todo(text="test it"))


def told(**state: Any) -> tuple[str, ...]:
    return reminders(TASK, AgentState(**{"todo": LIST, "listed": state.get("turn", 0), **state}))


def edited(*turns: int, checked: int = 0) -> dict[str, Any]:
    checks = (Ran(command="make check", ok=False, turn=checked, check=True),) if checked else ()
    signals = tuple(Signal(turn=turn, edited=True) for turn in turns)
    return {"signals": signals, "working": Working(edits=len(turns), touched=len(turns), checks=checks)}


def read(*turns: int, text: str = "a", about: str = "read_file src/a.py") -> tuple[Made, ...]:
    return tuple(Made(turn=turn, call="c", exact=text, loose=text, size=9, about=about) for turn in turns)


def test_an_agent_at_work_is_reminded_of_nothing() -> None:
    assert told(turn=10) == ()
    assert told(turn=10, **edited(9)) == ()


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"turn": 80}, "80% of the turns are used (80 of 100)"),
        ({"usage": Usage(input=8_000, output=900)}, "89% of the tokens are used (8,900 of 10,000)"),
        ({"cost": 4.5}, "90% of the dollars are used (4.50 of 5.00)"),
        ({"seconds": 950.0, "turn": 85}, "95% of the seconds of work are used (950 of 1,000)"),
        ({"turn": 6, "rounds": 2}, "sent back 2 times"),
        ({"turn": 10, **edited(5, 7)}, "Nothing was verified for 6 turns of edits"),
        ({"turn": 12, "made": read(3, 7, 12)}, "`read_file src/a.py` gave the same 3 times (first at turn 3)"),
        ({"turn": 20, "listed": 5}, 'has not changed for 15 turns ("mend it" is being done)'),
        ({"turn": 8, "todo": ()}, "There are 3 criteria to show and no todo list"),
        ({"working": Working(failed=("x",) * (MOST_NOTES + 1))}, "You keep 41 notes of one kind"),
        ({"turn": 3, "careful": 5}, "You begin with a fresh context"),
    ],
)
def test_each_reminder(state: dict[str, Any], says: str) -> None:
    (found,) = told(**state)
    assert says in found


@pytest.mark.parametrize(
    "state",
    [
        {"turn": 79},
        {"turn": 6, "rounds": 1},
        {"turn": 10, **edited(5, 7, checked=8)},
        {"turn": 13, "made": read(3, 7, 12)},
        {"turn": 12, "made": (*read(3, 7), *read(12, text="b"))},
        {"turn": 12, "made": read(3, 7, 12, about="run_command make check")},
        {"turn": 40, "listed": 5, "todo": (Todo(text="all", state="done"),)},
        {"turn": 5, "careful": 5},
    ],
)
def test_each_is_given_only_while_it_holds(state: dict[str, Any]) -> None:
    assert told(**state) == ()


def test_a_task_without_checks_budget_or_many_criteria_asks_for_none() -> None:
    state = AgentState(turn=90, **edited(5))
    assert reminders(BRIEF, state) == ()


def test_three_at_most_and_the_most_urgent_first() -> None:
    state = {"turn": 95, "rounds": 3, "listed": 5, "made": read(3, 7, 95), "careful": 99, **edited(80)}
    found = told(**state)
    assert [each.split()[0] for each in found] == ["You", "95%", "The"]


def test_what_it_is_reminded_of_stands_in_the_words_for_the_turn_and_in_no_history() -> None:
    stage = Stage(brief=TASK, state=AgentState(turn=90))
    request = agent.ask(TASK, stage.state, stage.tools, max_tokens=9)
    assert "90% of the turns are used" in request.tail
    assert "are used" not in repr(request.messages)
