"""Night and the list of runs: what waits, what happened since yesterday evening, each for who may see it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from nightmill import event as e
from nightmill.desk.night import HOUR, Nights, evening
from tests.server.conftest import House, role

HTML = {"Accept": "text/html"}


def turn(run: str, number: int, *, cost: float | None) -> e.TurnFinished:
    usage = {"input": 900, "output": 100}
    return e.TurnFinished(
        run=run,
        turn=number,
        role="dev",
        model="m",
        record="r",
        snapshot="",
        usage=usage,
        cost=cost,
        calls=0,
        seconds=1.0,
    )


@pytest.fixture
def night(house: House) -> House:
    """Two projects in which something ran and landed tonight."""
    house.clock.now = time.time()
    for project in ("shop", "barn"):
        run = f"r{project}1"
        house.run(run, project=project, title=f"Mend the {project}")
        house.tell(
            turn(run, 1, cost=0.25),
            turn(run, 2, cost=None if project == "barn" else 0.5),
            e.PullRequestOpened(run=run, number=4, branch="b", target="main", title="t"),
            e.RunDone(run=run, change=4),
            e.PullRequestMerged(run=run, number=4, commit="c" * 40, by="Ada <ada@example.org>"),
        )
        house.run(f"r{project}2", project=project, title=f"Paint the {project}")
        house.tell(e.RunParked(run=f"r{project}2", reason="the key is refused", needs="person"))
    return house


def test_it_says_what_landed_what_it_took_and_what_waits(night: House) -> None:
    with night.browser("ada@example.org", role("operator")) as client:
        text = client.get("/", headers=HTML).text

    assert "2 things wait for you" in text.replace("\u00a0", " ")
    assert text.count("the key is refused") == 2
    assert 'action="/runs/rshop2/resume"' in text
    assert "<b>2</b> <span>pull requests merged" in text
    assert "<b>2\u00a0k</b> <span>tokens per merged pull request" in text
    assert "<b>$1.00</b>" in text
    assert "at least: 1\u00a0turn without a price" in text
    assert "Mend the shop" in text
    assert "by Ada" in text


def test_nobody_sees_what_is_not_theirs(night: House) -> None:
    night.asks("rbarn2")
    with night.browser("ada@example.org", role("viewer", "shop")) as client:
        first, runs = client.get("/", headers=HTML).text, client.get("/runs", headers=HTML).text
        other = client.get("/runs", params={"project": "barn"}, headers=HTML).text

    assert "barn" not in first + runs
    assert "rbarn" not in other
    assert "<b>$0.750</b>" in first
    assert "/resume" not in first


def test_a_thing_that_waits_is_there_once(night: House) -> None:
    night.asks("rshop2")
    with night.browser("ada@example.org", role("approver", "shop")) as client:
        text = client.get("/", headers=HTML).text

    assert "1\u00a0thing waits for you" in text
    assert "the key is refused" not in text


def test_an_entry_is_counted_once_however_often_somebody_looks(night: House) -> None:
    nights, now = Nights(night.door), time.time()
    first = nights.since(now - HOUR, now=now)
    night.tell(turn("rshop1", 3, cost=1.0))
    again = nights.since(now - HOUR, now=now + 1)

    assert (first.all.turns, again.all.turns) == (4, 5)
    assert again.all.cost == pytest.approx(first.all.cost + 1.0)
    assert nights.since(now - HOUR, now=now + 2).all == again.all
    assert Nights(night.door).since(now - HOUR, now=now + 2).all == again.all


def test_what_was_before_the_evening_is_of_another_night(night: House) -> None:
    later = time.time() + 100 * HOUR
    told = Nights(night.door).since(evening(later), now=later)

    assert (told.all.turns, told.all.merged, told.landed) == (0, 0, ())
    assert len(told.hours) == (int(later // HOUR) - int(evening(later) // HOUR)) + 1


@pytest.mark.parametrize(("hour", "day"), [(0, 9), (7, 9), (17, 9), (18, 9), (23, 9)])
def test_a_night_begins_on_the_evening_before(hour: int, day: int) -> None:
    zone = timezone(timedelta(hours=-5))
    now = datetime(2026, 3, 10, hour, 30, tzinfo=zone).timestamp()

    assert datetime.fromtimestamp(evening(now, zone=zone), UTC) == datetime(2026, 3, day, 23, tzinfo=UTC)


def test_the_list_of_runs_is_filtered_and_turned(night: House) -> None:
    with night.browser("ada@example.org", role("viewer")) as client:
        parked = client.get("/runs", params={"state": "parked", "project": ""}, headers=HTML).text
        found, address = [], "/runs?limit=2"
        while address:
            text = client.get(address, headers=HTML).text
            found += [part.partition('"')[0] for part in text.split('<a href="/runs/')[1:]]
            after = text.partition('" rel="next"')[0].rpartition('href="')[2] if 'rel="next"' in text else ""
            address = after.replace("&amp;", "&")

    assert "rshop2" in parked
    assert "rshop1" not in parked
    assert sorted(found) == ["rbarn1", "rbarn2", "rshop1", "rshop2"]


def test_a_state_is_any_where_none_is_chosen(night: House) -> None:
    with night.browser("ada@example.org", role("viewer")) as client:
        answer = client.get("/runs?project=&state=", headers=HTML)

    assert answer.status_code == 200
    assert "rshop1" in answer.text


def test_what_a_run_left_waits_with_its_command_for_who_may_see_it(night: House) -> None:
    filed = e.TaskFiled(
        run="rshop2",
        task="rshop2-rest",
        step="rest",
        project="shop",
        title="Paint <b>it</b>",
        findings=2,
        tree="a" * 40,
        commit="b" * 40,
        body="c" * 64,
    )
    night.tell(filed)
    with night.browser("ada@example.org", role("viewer", "shop")) as client:
        text = client.get("/", headers=HTML).text
        things = client.get("/api/v1/waiting").json()["things"]
    with night.browser("bob@example.org", role("viewer", "barn")) as client:
        other = client.get("/", headers=HTML).text

    assert "nightmill task start rshop2-rest" in text
    assert "2 findings are open: Paint &lt;b&gt;it&lt;/b&gt;" in text
    assert [each["task"] for each in things if each["kind"] == "task"] == ["rshop2-rest"]
    assert "rshop2-rest" not in other


def test_what_waits_for_others_is_told_apart_from_what_waits_for_who_looks(night: House) -> None:
    night.run("rbarn3", project="barn")
    night.asks("rbarn3")
    with night.browser("ada@example.org", role("viewer", "barn"), role("operator", "shop")) as client:
        text = client.get("/", headers=HTML).text.replace("\u00a0", " ")
    with night.browser("vera@example.org", role("viewer")) as client:
        looks = client.get("/", headers=HTML).text.replace("\u00a0", " ")

    assert "1 thing waits for you" in text
    assert "2 things wait for others" in text, "who may not resume the barn is asked nothing of it"
    assert text.count("<button id=") == 1
    assert "Nothing waits for you" in looks
    assert '<details class="fold" id="of-others" open>' in looks


def test_many_things_that_wait_do_not_push_the_night_away(night: House) -> None:
    for number in range(20):
        night.run(f"rmany{number}", title=f"Mend cart {number}")
        night.asks(f"rmany{number}", kind="answer", title=f"Which cart {number}?")
    with night.browser("ada@example.org", role("operator")) as client:
        text = client.get("/", headers=HTML).text.replace("\u00a0", " ")

    assert "22 things wait for you" in text
    assert "<summary>16 more</summary>" in text
    assert all(f"Which cart {number}?" in text for number in range(20))


def test_each_run_of_the_night_is_a_line_from_its_beginning_to_its_end(night: House) -> None:
    with night.browser("ada@example.org", role("viewer")) as client:
        text = client.get("/", headers=HTML).text

    assert text.count('class="bar-of proven"') == 2
    assert text.count('class="bar-of person"') == 2
