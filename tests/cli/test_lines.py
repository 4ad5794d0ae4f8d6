"""Every event reads as one line, whatever is in it."""

from __future__ import annotations

from typing import Any

import pytest

from nightmill import event as e
from nightmill.cli.lines import line
from nightmill.cli.screen import safe
from tests.cli.conftest import EVENTS, HOSTILE, sample

SILENT = {e.TurnStarted, e.RequestForwarded, e.ReplyReceived, e.ToolStarted, e.TodoChanged}
"""What the line of another event says, or the header of the live view."""


@pytest.mark.parametrize("kind", EVENTS.values(), ids=lambda kind: kind.name)
def test_an_event_has_a_line_or_is_silent_on_purpose(kind: type[e.Event]) -> None:
    said = line(sample(kind))

    assert (said is None) == (kind in SILENT), "say it in cli/lines.py, or list it here"
    if said is not None:
        assert len(said.mark) == 1
        assert said.text
        assert "None" not in said.text


@pytest.mark.parametrize("kind", [kind for kind in EVENTS.values() if kind not in SILENT], ids=lambda kind: kind.name)
def test_nothing_in_an_event_leaves_its_line(kind: type[e.Event]) -> None:
    said = line(sample(kind, HOSTILE))
    assert said is not None
    shown = safe(said.text)

    assert shown.isprintable(), shown
    assert "\u202e" not in shown
    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (e.RunDone(run="r", change=4), "done: pull request 4"),
        (e.RunDone(run="r"), "done"),
        (e.RunStopped(run="r", why="limit", reason="too dear", branch="nightmill/wip/r"),
         "stopped (limit): too dear; the work is on branch nightmill/wip/r"),
        (e.RunParked(run="r", reason="down", needs="time"), "parked, waits, then tries again: down"),
        (e.RunParked(run="r", reason="no disk", needs="person"), "parked, waits for a person: no disk"),
        (e.PhaseStarted(run="r", phase="work"), "work"),
        (e.PhaseStarted(run="r", phase="work", round=1), "work (round 2)"),
        (e.PlanMade(run="r", tasks=[{"id": "T1", "title": "One"}, {"id": "T2", "title": "Two"}], source="spec"),
         "plan: 2 tasks: T1 One; T2 Two"),
    ],
)  # fmt: skip
def test_lines_say_what_happened(told: e.Event, text: str) -> None:
    said = line(told)
    assert said is not None
    assert said.text == text


def test_a_turn_without_a_price_does_not_look_free() -> None:
    known, unknown = (line(sample(e.TurnFinished, cost=cost)) for cost in (0.25, None))
    assert known is not None
    assert unknown is not None
    assert "$0.25" in known.text
    assert "50 % cached" in known.text
    assert "$" not in unknown.text


def test_a_check_names_its_figures_or_why_it_has_none() -> None:
    def said(result: dict[str, Any], *, passed: bool) -> tuple[str, str]:
        found = line(sample(e.CheckFinished, check="test", tree="a" * 40, result=result, passed=passed))
        assert found is not None
        return found.mark, found.text

    counts = {"passed": 7, "failed": 1, "skipped": 0}
    assert said({"counts": counts}, passed=False) == ("✗", "check test on aaaaaaaaaa (7 passed, 1 failed)")
    assert said({"stopped": "timeout"}, passed=False) == ("✗", "check test on aaaaaaaaaa (timeout)")
    assert said({}, passed=True) == ("✓", "check test on aaaaaaaaaa")
