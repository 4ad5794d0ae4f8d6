"""Runs over the network: looked at, steered, decided about, each once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from nightmill import event as e
from tests.server.conftest import TREE, House, both, role

pytestmark = both


def test_runs_are_paged_from_the_newest_and_none_is_left_out_or_twice(house: House) -> None:
    for number in range(7):
        house.run(f"r{number}")
    with house.program("ada@example.org", role("viewer")) as client:
        found, cursor, pages = [], "", 0
        while cursor is not None:
            page = client.get("/api/v1/runs", params={"limit": 3, "cursor": cursor}).json()
            found += [run["id"] for run in page["runs"]]
            cursor, pages = page["next"], pages + 1

    assert sorted(found) == [f"r{number}" for number in range(7)]
    assert pages == 3


@pytest.mark.parametrize("cursor", ["x", "W10", "WzEsMl0", "!!", "W1tbW1tbW1tbW10"])
def test_a_cursor_that_was_not_given_out_is_refused(house: House, cursor: str) -> None:
    with house.program("ada@example.org", role("viewer")) as client:
        answer = client.get("/api/v1/runs", params={"cursor": cursor})

    assert answer.status_code in {200, 422}  # [1, 2] reads as one
    assert answer.status_code == 422 or cursor == "WzEsMl0"


def test_a_run_is_steered_with_all_that_it_started_in_the_name_of_who_asked(house: House) -> None:
    house.run("rspec")
    house.run("rspec-1", parent="rspec")
    with house.program("ada@example.org", role("operator")) as client:
        answer = client.post("/api/v1/runs/rspec/pause")

    assert (answer.status_code, answer.json()["wanted"]) == (200, "pause")
    child = house.door.runs.get("rspec-1")
    assert (child.wanted, child.wanted_by) == ("pause", "Ada <ada@example.org>")


def test_what_cannot_be_done_says_why_and_what_to_do(house: House) -> None:
    house.run("rdone")
    house.tell(e.RunDone(run="rdone"))
    with house.program("ada@example.org", role("operator")) as client:
        answer = client.post("/api/v1/runs/rdone/pause")

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "run rdone is done and cannot be paused"
    assert answer.json()["hint"]


def test_a_yes_is_to_the_tree_that_was_looked_at(house: House) -> None:
    house.run("rask")
    house.asks("rask", barred=("author@example.org",))
    with house.program("ada@example.org", role("approver")) as client:
        other = client.post("/api/v1/runs/rask/approve", json={"tree": "b" * 40})
        yes = client.post("/api/v1/runs/rask/approve", json={"tree": TREE, "because": "reads well"})
        again = client.post("/api/v1/runs/rask/approve", json={"tree": TREE})

    assert (other.status_code, yes.status_code, again.status_code) == (409, 200, 409)
    assert yes.json() == {
        "question": "rask/look/approve",
        "run": "rask",
        "title": "Merge the cart?",
        "tree": TREE,
        "state": "granted",
        "by": "Ada <ada@example.org>",
    }


def test_an_author_may_not_approve_whatever_their_role(house: House) -> None:
    house.run("rask")
    house.asks("rask", barred=("author@example.org",))
    with house.program("author@example.org", role("admin")) as client:
        answer = client.post("/api/v1/runs/rask/approve", json={})

    assert answer.status_code == 409
    assert "somebody else has to decide" in answer.json()["detail"]


def test_a_no_needs_a_reason_and_an_answer_goes_to_its_question(house: House) -> None:
    house.run("rask")
    house.asks("rask")
    house.asks("rask", kind="answer")
    with house.program("ada@example.org", role("approver"), role("operator")) as client:
        bare = client.post("/api/v1/runs/rask/refuse", json={})
        told = client.post("/api/v1/runs/rask/answer", json={"text": "the left one"})
        no = client.post("/api/v1/runs/rask/refuse", json={"because": "it drops the tax"})

    assert (bare.status_code, told.status_code, no.status_code) == (422, 200, 200)
    assert [each.state for each in house.door.questions.of("rask")] == ["refused", "answered"]


def test_a_write_that_is_sent_again_is_answered_again_and_not_done_again(house: House) -> None:
    house.run("rone")
    key = {"Idempotency-Key": "4f1c"}
    with house.program("ada@example.org", role("operator")) as client:
        first = client.post("/api/v1/runs/rone/pause", headers=key)
        second = client.post("/api/v1/runs/rone/pause", headers=key)
        other = client.post("/api/v1/runs/rone/resume", headers=key)

    assert first.json() == second.json()
    assert house.door.runs.get("rone").wishes == 1
    assert (other.status_code, other.json()["detail"]) == (422, "this Idempotency-Key came with another request before")


def test_a_key_of_one_person_is_no_key_of_another(house: House) -> None:
    house.run("rone")
    key = {"Idempotency-Key": "4f1c"}
    with (
        house.program("ada@example.org", role("operator")) as ada,
        house.program("bob@example.org", role("operator")) as bob,
    ):
        said = [who.post("/api/v1/runs/rone/say", json={"text": "look"}, headers=key) for who in (ada, bob, ada, bob)]

    assert {each.status_code for each in said} == {200}, [each.text for each in said]
    told = [each.event() for each in house.door.ledger.read(names=(e.WordSaid.name,))]
    assert [each.by for each in told] == ["Ada <ada@example.org>", "Bob <bob@example.org>"]  # type: ignore[attr-defined]


def test_of_a_write_that_is_sent_many_times_at_once_one_is_done(house: House) -> None:
    house.run("rone")
    with house.program("ada@example.org", role("operator")) as client, ThreadPoolExecutor(8) as pool:

        def pause(number: int) -> httpx2.Response:
            return client.post("/api/v1/runs/rone/pause", headers={"Idempotency-Key": f"k{number % 2}"})

        answers = [*pool.map(pause, range(16))]

    assert {each.status_code for each in answers} <= {200, 409}, "409: the first of them is under way"
    assert house.door.runs.get("rone").wishes == 2


def test_a_key_of_a_write_that_failed_may_be_used_again(house: House) -> None:
    house.run("rone")
    key = {"Idempotency-Key": "4f1c"}
    with house.program("ada@example.org", role("approver")) as client:
        refused = client.post("/api/v1/runs/rone/approve", json={}, headers=key)
        house.asks("rone")
        granted = client.post("/api/v1/runs/rone/approve", json={}, headers=key)

    assert (refused.status_code, granted.status_code) == (409, 200)


def test_events_of_a_run_are_paged_in_their_order(house: House) -> None:
    house.run("rone")
    house.tell(*[e.PhaseStarted(run="rone", phase="work", round=number) for number in range(5)])
    with house.program("ada@example.org", role("viewer")) as client:
        first = client.get("/api/v1/runs/rone/events", params={"limit": 4}).json()
        rest = client.get("/api/v1/runs/rone/events", params={"limit": 4, "after": first["next"]}).json()

    names = [entry["name"] for entry in first["entries"] + rest["entries"]]
    assert names == ["run_queued", *["phase_started"] * 5]
    assert rest["next"] is None
