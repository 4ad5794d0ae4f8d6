"""What happened when, also when the clock, the worker or the ledger misbehave."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from nightmill import event as e
from nightmill.report.nouns import Child
from nightmill.report.rows import Rows, names
from nightmill.report.scale import Scale
from nightmill.report.section import section
from nightmill.report.svg import picture
from nightmill.report.timeline import Lane, Segment, Timeline
from nightmill.report.weave import timeline
from nightmill.report.words import money, tokens
from tests.report.others import under_way
from tests.report.sample import command, fixed
from tests.report.telling import START, Telling


def lane(woven: Timeline, name: str = "developer") -> Lane:
    return next(each for each in woven.lanes if each.name == name)


def of(woven: Timeline, *kinds: str, turn: int = 0) -> list[Segment]:
    found = [segment for each in woven.lanes for segment in each.segments]
    return [each for each in found if each.kind in kinds and (not turn or each.turn == turn)]


def whole(t: Telling, *, now: float = 0.0) -> Timeline:
    woven = timeline(t.entries, now=now or t.at)
    assert sum(woven.work.values()) == pytest.approx(woven.end - woven.start), "all time is accounted for, once"
    assert all(
        woven.start <= each.start <= each.end <= woven.end for each in of(woven, *vars(Segment)["__match_args__"])
    )
    return woven


def started() -> Telling:
    t = Telling(run="r")
    t.tell(e.RunQueued, kind="task", title="t", project="p", spec="", model="m")
    t.tell(e.RunStarted, worker="w")
    t.tell(e.PhaseStarted, phase="work")
    return t


def test_a_whole_run_falls_into_phases_lanes_gaps_and_marks() -> None:
    woven = whole(fixed())

    phases = [(each.name, each.round) for each in woven.phases]
    assert phases == [("prepare", 0), ("work", 0), ("prove", 0), ("work", 1), ("prove", 1), ("change", 1)]
    assert [each.name for each in woven.lanes] == ["developer", "engine"]
    assert [each.kind for each in woven.gaps] == ["queued", "parked", "lost"]
    assert [each.kind for each in woven.marks] == ["recovered", "sent_back"]
    assert [(each.label, each.ok) for each in of(woven, "check")] == [
        ("check tests failed", False),
        ("check lint passed", True),
        ("check tests passed", True),
        ("check lint passed", True),
    ]
    assert not woven.open


def test_a_turn_shows_the_wait_for_the_first_byte_apart_from_the_stream() -> None:
    t = started()
    t.take(command("make", "", seconds=2.0), first=0.8, seconds=3.0)

    parts = {each.kind: each.seconds for each in of(whole(t), "ask", "stream", "tool")}

    assert parts == pytest.approx({"ask": 0.8, "stream": 2.2, "tool": 2.0})


def test_a_retried_request_shows_its_failure_and_its_wait() -> None:
    t = started()
    t.begin()
    t.wait(9)
    t.tell(e.ModelRetried, turn=1, reason="529", wait=4.0, attempt=1)
    t.wait(4)
    t.reply(first=1.0, seconds=3.0, output=10)
    t.finish([], first=1.0, seconds=3.0, output=10)

    kinds = [(each.kind, each.seconds) for each in lane(whole(t)).segments]

    assert kinds == [("failed", 9.0), ("backoff", 4.0), ("ask", 1.0), ("stream", 2.0)]


def test_a_turn_that_began_twice_shows_what_was_lost_with_its_worker() -> None:
    woven = whole(fixed())

    lost = [(each.kind, each.turn, each.lost) for each in of(woven, "ask", "tool") if each.lost]
    tools = [each.lost for each in of(woven, "tool", turn=10)]
    assert lost == [("tool", 10, True)]
    assert tools == [True, False]


def test_what_is_under_way_reaches_to_now() -> None:
    t = under_way()

    woven = whole(t, now=t.at + 30)

    busy = [each for each in of(woven, "tool") if each.open]
    assert [(each.label, each.end) for each in busy] == [("run_command make test", t.at + 30)]
    assert woven.open
    assert woven.phases[-1].open


def test_a_turn_that_began_before_the_snapshot_of_the_one_before_was_made_is_under_way() -> None:
    t = started()
    t.begin()
    t.reply(first=1.0, seconds=3.0, output=10)
    t.again_as(2)
    t.finish([], first=1.0, seconds=3.0, output=10)

    woven = timeline(t.entries, now=t.at + 5)

    (awaited,) = (each for each in of(woven, "ask") if each.open)
    assert (awaited.turn, awaited.end) == (2, t.at + 5)


def test_the_drawing_of_a_thousand_turns_is_as_small_as_that_of_some_and_loses_no_failure() -> None:
    t = started()
    for number in range(1_000):
        t.take(replace(command("make", "", seconds=0.5), ok=number != 500), first=0.8, seconds=3.0)
    woven = whole(t)

    drawn = picture(woven, anchor="", link=lambda lane, turn: f"#t{lane}-{turn}")

    links = re.findall(r'href="#t0-(\d+)"', drawn)
    assert links[:2] == ["1", "6"]
    assert len(links) == 200
    assert "developer, turns 996 to 1000 · " in drawn
    assert drawn.count('class="s tool bad"') == 1
    assert 'class="number' not in drawn, "they would stand on each other"
    assert len(drawn) < 400_000


def test_a_run_without_news_for_long_does_not_seem_busy() -> None:
    t = under_way()

    woven = whole(t, now=t.at + 86_400)

    assert [(each.kind, each.open) for each in woven.gaps] == [("silent", True)]
    assert woven.gaps[-1].seconds > 86_000
    assert woven.work["tools"] < 60


def test_a_clock_that_is_set_back_moves_nothing_back() -> None:
    t = started()
    t.take(command("make", "", seconds=2.0), seconds=3.0)
    t.wait(-3600)
    t.take(command("make", "", seconds=2.0), seconds=3.0)

    woven = whole(t)

    assert woven.set_back == pytest.approx(3600, abs=1)
    assert woven.end - woven.start == pytest.approx(10, abs=0.1)


def test_a_run_that_waits_while_its_worker_dies_still_waits() -> None:
    t = started()
    t.tell(e.RunParked, reason="a question", needs="person")
    t.wait(500)
    t.tell(e.RunRecovered, worker="w2")
    t.tell(e.PhaseStarted, phase="work")
    t.wait(500)

    woven = whole(t)

    assert [(each.kind, each.needs, each.seconds, each.open) for each in woven.gaps] == [
        ("parked", "person", 1000.0, True)
    ]


def test_tools_side_by_side_get_rows_of_their_own_and_count_once() -> None:
    t = started()
    t.begin()
    t.reply(first=0.1, seconds=1.0, output=5)
    for call in "abc":
        t.tell(e.ToolStarted, turn=1, call=call, tool="read_file", label=call)
    t.wait(4)
    for call in "abc":
        t.tell(e.ToolFinished, turn=1, call=call, tool="read_file", ok=True, label=call, seconds=4.0)

    woven = whole(t)

    assert sorted(each.row for each in of(woven, "tool")) == [0, 1, 2]
    assert woven.work["tools"] == pytest.approx(4.0)


def test_events_that_contradict_each_other_are_drawn_all_the_same() -> None:
    t = Telling(run="r")
    t.tell(e.ReplyReceived, turn=7, first_seconds=9.0, seconds=-4.0, output_tokens=1)
    t.tell(e.ToolFinished, turn=7, call="never started", tool="x", ok=True, label="", seconds=1e9)
    t.tell(e.RunResumed, by="nobody")
    t.tell(e.CheckFinished, round=0, check="c", tree="", passed=True, result={"seconds": "no number"}, output="")
    t.tell(e.RunDone)
    t.wait(9)
    t.tell(e.TurnStarted, turn=8, role="ghost", model="")

    woven = whole(t)

    assert woven.end == START, "what is told after the end is not the run's time"
    assert Scale(woven).place(START) == 0.0


def test_long_waits_are_drawn_short_and_everything_stays_in_order() -> None:
    woven = whole(fixed())
    scale = Scale(woven)

    parked = next(each for each in woven.gaps if each.kind == "parked")
    places = [scale.place(woven.start + step * (woven.end - woven.start) / 500) for step in range(501)]
    assert scale.short(parked.start, parked.end)
    assert scale.place(parked.end) - scale.place(parked.start) < 8
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0.0, 100.0)
    assert [tick.place for tick in scale.ticks()] == sorted(tick.place for tick in scale.ticks())


def test_pointing_at_a_turn_says_what_the_run_had_come_to_by_its_end() -> None:
    t = fixed()
    part = section(Child(run=t.run, events=t.entries), blob=t.blob, now=t.at)
    sums = part.sums()

    drawn = picture(part.timeline, anchor="", link=part.link, sums=sums)

    spent = part.turns.spent
    whole_cost, whole_tokens = (
        sum(each.cost or 0 for each in spent),
        sum(each.usage.input + each.usage.output for each in spent),
    )
    assert sums[part.link(spent[-1].lane, spent[-1].turn)] == f"{money(whole_cost)}, {tokens(whole_tokens)} tokens"
    assert f"{money(whole_cost)}, {tokens(whole_tokens)} tokens so far" in drawn
    assert drawn.count('class="playhead"') == drawn.count('class="turn"') - sum(
        each.kind == "check" for lane in part.timeline.lanes for each in lane.segments
    )


def test_a_checkpoint_leads_to_where_one_goes_on_from_it_only_where_one_can() -> None:
    woven = whole(fixed())

    nowhere = picture(woven, anchor="", link=lambda lane, turn: f"#t{lane}-{turn}")
    drawn = picture(
        woven, anchor="", link=lambda lane, turn: "#", onward={"developer/3": "/runs/r/moment?to=developer/3"}
    )

    assert 'class="onward"' not in nowhere
    assert re.findall(r'href="(/[^"]*)" class="onward" aria-label="([^"]*)"', drawn) == [
        ("/runs/r/moment?to=developer/3", "Go on from after turn 3 of developer")
    ]


def test_each_lane_has_the_face_of_its_role_at_its_height() -> None:
    woven = whole(fixed())
    rows = Rows(woven)

    drawn = names(woven)

    assert re.findall(r'class="lane minor">([^<]*)<', drawn) == [lane.name for lane in woven.lanes]
    assert drawn.count('class="avatar"') == len(woven.lanes) - 1
    assert f'height="{rows.bottom + 1}"' in drawn
