"""A run in a few values."""

from __future__ import annotations

import pytest

from nightmill import event as e
from nightmill.report.summary import summary, together
from nightmill.report.words import duration, face, money, price, share, tokens
from tests.report.others import refused, under_way
from tests.report.sample import fixed
from tests.report.telling import Telling, sha


def test_a_run_comes_to_its_figures() -> None:
    t = fixed()
    s = summary(t.entries, now=t.at)

    assert (s.state, s.face.word, s.phase, s.round) == ("done", "done", "change", 1)
    assert (s.turns, s.calls, s.retries, s.recoveries, s.nudges) == (14, 19, 3, 1, 1)
    assert s.pull_request is not None
    assert s.pull_request.number == 12
    assert s.branch == "nightmill/0291-rounds-months"
    assert s.environment == sha("env", 64)
    assert s.drift == ()
    assert [(check.check, check.passed) for check in s.checks] == [("tests", True), ("lint", True)]
    assert s.verdict is not None
    assert s.verdict.passed
    assert len(s.sent_back) == 1
    assert s.seconds["waiting"] > 1500
    assert s.cost == pytest.approx(sum(x.event.cost or 0 for x in t.entries if isinstance(x.event, e.TurnFinished)))
    assert s.priced
    assert 0.5 < s.cached < 1


@pytest.mark.parametrize(
    ("kind", "fields", "state", "word"),
    [
        (e.RunParked, {"reason": "down", "needs": "time"}, "parked", "parked"),
        (e.RunParked, {"reason": "which colour?", "needs": "person"}, "parked", "waits for you"),
        (e.RunPaused, {"by": "ann"}, "paused", "paused"),
        (e.RunStopped, {"why": "limit", "reason": "turns"}, "stopped", "stopped by a limit"),
        (e.RunStopped, {"why": "refused", "reason": "vague"}, "stopped", "refused"),
        (e.RunStopped, {"why": "something new", "reason": "x"}, "stopped", "failed"),
    ],
)
def test_a_state_has_a_word(kind: type[e.Event], fields: dict[str, str], state: str, word: str) -> None:
    t = under_way()
    t.tell(kind, **fields)

    s = summary(t.entries, now=t.at)

    assert (s.state, s.face.word) == (state, word)


def test_a_parked_run_stays_parked_when_another_worker_takes_it_up_and_goes_on_when_resumed() -> None:
    t = under_way()
    t.tell(e.RunParked, reason="down", needs="time")
    t.tell(e.RunRecovered, worker="w2")
    t.tell(e.PhaseStarted, phase="work")
    assert summary(t.entries, now=t.at).state == "parked"

    t.tell(e.RunResumed, by="clock")
    assert summary(t.entries, now=t.at).state == "running"


def test_an_unknown_price_is_said_and_not_guessed() -> None:
    t = Telling(run="r")
    t.tell(
        e.TurnFinished,
        turn=1,
        role="d",
        model="m",
        record="",
        snapshot="",
        usage={"input": 5, "hats": 2},
        cost=None,
        calls=0,
        seconds=1.0,
    )

    s = summary(t.entries, now=t.at)

    assert (s.cost, s.priced, money(s.cost)) == (None, False, "unknown")


def test_a_sentence_does_not_rename_a_model() -> None:
    t = Telling(run="r")
    t.tell(e.RunParked, needs="time", reason="openai:m at localhost:9: ConnectError", until=t.at + 60)
    assert summary(t.entries, now=t.at).headline == "openai:m at localhost:9: ConnectError; it goes on by itself."

    t.tell(e.RunParked, needs="person", reason="no space left")
    assert summary(t.entries, now=t.at).headline == "No space left."


def test_a_spec_whose_plan_is_made_waits_for_its_tasks() -> None:
    t = Telling(run="r")
    t.tell(e.RunStarted, worker="w")
    t.tell(e.PhaseStarted, phase="plan")
    assert summary(t.entries, now=t.at).headline == "Phase plan."

    t.tell(e.PlanMade, tasks=[], source="spec")
    assert summary(t.entries, now=t.at).headline == "It waits for its tasks."


def test_tasks_are_added_to_their_spec() -> None:
    one, two = fixed(), refused()
    short = [summary(each.entries, now=each.at) for each in (one, two)]

    assert together(short[0], short[1:]).turns == 15


def test_a_damaged_verdict_is_no_verdict() -> None:
    t = Telling(run="r")
    t.tell(e.VerdictGiven, round=0, tree="t", passed=True, verdict={"passed": "yes, really"})

    assert summary(t.entries, now=t.at).verdict is None


def test_quantities_are_said_shortly() -> None:
    said = [duration(x).replace("\u00a0", " ") for x in (0.0123, 3.21, 42, 59.9, 252, 3599.7, 7500, 93_600)]
    assert said == ["12 ms", "3.2 s", "42 s", "1 min", "4 min 12 s", "1 h", "2 h 5 min", "1 d 2 h"]
    assert [tokens(x).replace("\u00a0", " ") for x in (999, 1234, 12_400, 265_000, 999_999, 1_240_000)] == [
        "999",
        "1.23 k",
        "12.4 k",
        "265 k",
        "1 M",
        "1.24 M",
    ]
    assert price(0.5, whole=True) == "$0.500"
    assert price(0.5, whole=False) == "$0.500 and more"
    assert price(0.0, whole=True) == "$0"
    assert price(0.0, whole=False) == price(None, whole=True) == "price unknown"
    assert [money(x) for x in (0, 0.00421, 0.279, 12.3)] == ["$0", "$0.0042", "$0.279", "$12.30"]
    assert share(999, 1000).startswith("99")
    assert face("a state from the future").tone == "failed"
