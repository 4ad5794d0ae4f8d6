"""What is printed: tables that fit, data that programs can read, text that cannot act."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable

import pytest

from nightmill import event as e
from nightmill.cli.live import Sight, watch
from nightmill.cli.markdown import markdown
from nightmill.cli.screen import out, print_json, safe, table
from nightmill.event import Event
from nightmill.store.ledger import Entry
from tests.cli.conftest import HOSTILE, Terminal, entry, sample

HEADINGS = ("run", "state", "since", "turns", "tokens", "cost", "pr", "title")
ROW = ("rabc1234-1", "stopped (limit)", "2026-11-21 10:00", "104", "1.2M", "$12.34", "17", "A title " * 12)


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_a_table_fits_its_terminal(terminal: Callable[[int], Terminal], columns: int) -> None:
    screen = terminal(columns)
    table(HEADINGS, [ROW, (*ROW[:7], HOSTILE)], spare=("tokens", "turns", "cost"))
    head, *rows = screen.getvalue().splitlines()

    assert len(rows) == 2, "one line a row"
    assert all(len(_bare(each)) <= columns for each in (head, *rows))
    assert "rabc1234-1" in rows[0]
    assert "stopped (limit)" in rows[0]
    assert "A title" in rows[0]


def test_a_table_in_a_pipe_is_a_line_a_row_and_a_tab_a_cell(capsys: pytest.CaptureFixture[str]) -> None:
    table(HEADINGS, [ROW, (*ROW[:7], HOSTILE)])
    said = capsys.readouterr()
    lines = said.out.split("\n")

    assert len(lines) == 3
    assert [len(each.split("\t")) for each in lines] == [8, 8, 1]
    assert said.err == "\t".join(HEADINGS) + "\n", "what the columns are is said beside them"


LONG = ("the project's .nightmill/policy.yaml", "changes below src/payments/** and migrations", "two people " * 4)


@pytest.mark.parametrize("columns", [24, 40, 80, 200])
@pytest.mark.parametrize("wrap", [True, False])
def test_no_column_of_a_table_is_lost_in_whatever_terminal(
    terminal: Callable[[int], Terminal], columns: int, *, wrap: bool
) -> None:
    screen = terminal(columns)
    table(("from", "about", "needs"), [LONG, LONG], wrap=wrap)
    lines = [_bare(each) for each in screen.getvalue().splitlines()]
    text = "".join("".join(lines).split())

    assert all(len(each) <= columns for each in lines)
    assert all(heading in text for heading in ("from", "about", "needs"))
    assert all(word in text for word in ("the", "chan", "two"))
    if wrap or columns == 24:  # then nothing at all is
        assert Counter(text) >= Counter("".join("".join(LONG).split()) * 2)


def test_what_others_wrote_cannot_act_on_a_terminal() -> None:
    assert safe(HOSTILE) == "a\\x1b[2J\\x07\nb\\x0d\t\\u202ec\\u2028d\\x9b"
    assert safe("a\u200bb\U000e0041\ufeff\u2066") == "a\\u200bb\\U000e0041\\ufeff\\u2066"
    assert safe("Grüße, 世界 🙂 – “ok”") == "Grüße, 世界 🙂 – “ok”"


def test_json_is_json_also_of_text_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": HOSTILE, "path": "ü"})
    assert json.loads(capsys.readouterr().out) == {"text": HOSTILE, "path": "ü"}


def story(*told: Event) -> list[Entry | None]:
    return [entry(each, at=float(at)) for at, each in enumerate(told)]


QUEUED = e.RunQueued(run="r1", kind="spec", title="Say hello", project="p", spec="s", model="m:n")
CHILD = e.RunQueued(run="r1-1", kind="task", title="A task", project="p", spec="s", model="m:n", parent="r1")
TURN = e.TurnFinished(
    run="r1-1",
    turn=1,
    role="developer",
    model="m:n",
    record="x",
    snapshot="y",
    usage={"input": 1000, "output": 200},
    cost=0.5,
    calls=1,
    seconds=2.0,
)


def test_the_header_says_state_phase_turn_tokens_cost_and_time() -> None:
    sight = Sight()
    begun = (QUEUED, CHILD, e.PhaseStarted(run="r1-1", phase="work"))
    for told in (*begun, e.TurnStarted(run="r1-1", turn=1, role="developer", model="m:n"), TURN):
        sight.take(entry(told, at=100.0), told)

    assert sight.header(163.0) == "at work · work · turn 1 · 1.2\xa0k tokens · $0.500 · 1\xa0min 3\xa0s"
    assert (sight.run, sight.title) == ("r1", "Say hello")
    assert sight.doing == "asks the model"
    unpriced = sample(e.TurnFinished, cost=None)
    sight.take(entry(unpriced), unpriced)
    assert "$" not in sight.header(163.0)


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (e.RunParked(run="r1-1", reason="down", needs="time", until=9.0), "parked"),
        (e.RunPaused(run="r1", by="Ada"), "paused"),
        (e.RunDone(run="r1", change=1), "done"),
        (e.RunStopped(run="r1", why="limit", reason="x"), "stopped (limit)"),
        (e.RunDone(run="r1-1", change=1), "queued"),
    ],
)
def test_the_header_says_when_nothing_is_done(told: Event, state: str) -> None:
    sight = Sight()
    for each in (QUEUED, told):
        sight.take(entry(each), each)

    assert sight.header(1.0).startswith(f"{state} · ")


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_live_view_draws_lines_that_fit(terminal: Callable[[int], Terminal], columns: int) -> None:
    screen = terminal(columns)
    long = e.RunQueued(run="r1", kind="spec", title=HOSTILE * 9, project="p", spec="s", model="m")
    tool = e.ToolStarted(run="r1", turn=1, call="c", tool="run_command", label=HOSTILE * 9)
    done = sample(e.ToolFinished, HOSTILE * 9, run="r1")
    sight = watch(iter([*story(long, done, tool), None, None, *story(e.RunDone(run="r1"))]), console=out())
    drawn = screen.getvalue()

    assert sight.state == "done"
    assert "run_command" in drawn
    assert all(len(each) <= columns for each in re.split(r"[\r\n]", _bare(drawn)))
    assert "\x07" not in drawn
    assert "\u202e" not in drawn


@pytest.mark.parametrize("needs", ["time", "person"])
def test_the_view_ends_when_a_person_must_act(capsys: pytest.CaptureFixture[str], needs: str) -> None:
    parked = e.RunParked(run="r1-1", reason="no disk", needs=needs)
    watch(iter(story(QUEUED, CHILD, parked, e.RunResumed(run="r1-1", by="clock"), e.RunDone(run="r1"))), console=out())
    printed = capsys.readouterr().out

    assert "no disk" in printed
    assert ("goes on" in printed) == (needs == "time")


def test_in_a_pipe_each_event_is_a_line_and_frames_are_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    ends = (e.RunDone(run="r1-1", change=3), e.RunDone(run="r1", change=3))
    watch(iter([*story(QUEUED, CHILD, e.RunStarted(run="r1-1", worker="w"), TURN, *ends), None]), console=out())
    lines = capsys.readouterr().out.splitlines()

    assert lines[0] == "○ queued: Say hello"
    assert lines[-1] == "✓ done: pull request 3"
    assert len(lines) == 3


def _bare(text: str) -> str:
    """*text* without the escapes that a terminal obeys."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_code_has_no_ground_of_its_own_on_a_terminal_that_may_be_light(terminal: Callable[[int], Terminal]) -> None:
    made = terminal(80)
    out().print(markdown("Say `nightmill runs`.\n\n```\ngit fetch\n```\n"))

    assert "nightmill runs" in made.getvalue()
    assert not re.search(r"\x1b\[[0-9;]*4[0-8][;m]", made.getvalue())
