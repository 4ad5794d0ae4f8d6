"""What a run left is looked at, started and dropped from pages, by programs and from afar, each once and in one's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightmill import event as e
from nightmill.errors import SettingsError
from nightmill.line.cleared import clear, ref_of
from tests.client.conftest import Login, at, login
from tests.server.assistant import call, token_of
from tests.server.conftest import House, role
from tests.server.left import leave
from tests.server.test_attacks import HOSTILE

__all__ = ["at", "login"]

HTML = {"Accept": "text/html"}


@pytest.fixture
def left(house: House, tmp_path: Path) -> e.TaskFiled:
    return leave(house, tmp_path, said=HOSTILE)


def test_it_waits_once_and_its_one_action_is_to_start_it(house: House, left: e.TaskFiled) -> None:
    with house.browser("bob@example.org", role("operator", left.project)) as client:
        night = client.get("/", headers=HTML).text
        run = client.get(f"/runs/{left.run}", headers=HTML).text
        task = client.get(f"/tasks/{left.task}", headers=HTML).text
    with house.browser("eve@example.org", role("viewer", left.project)) as client:
        looked = [client.get(where, headers=HTML).text for where in ("/", f"/runs/{left.run}", f"/tasks/{left.task}")]

    start = f'action="/tasks/{left.task}/start"'
    assert "1\u00a0thing waits for you" in night
    assert [text.count(start) for text in (night, run, task)] == [1, 1, 1]
    assert "/answer" not in run, "its question is settled with the task"
    assert "Large sums" in task
    assert not any(HOSTILE in text for text in (night, run, task))
    assert not any(start in text for text in looked)
    assert all(f"/tasks/{left.task}" in text for text in looked[:2])


def test_two_who_start_it_have_one_run_and_who_sends_it_twice_is_answered_twice(
    house: House, left: e.TaskFiled
) -> None:
    where, key = f"/api/v1/tasks/{left.task}/start", {"Idempotency-Key": "1f"}
    with house.program("ada@example.org", role("operator")) as ada:
        first, again = (ada.post(where, json={}, headers=key) for _ in range(2))
        external = ada.post(where, json={"model": "acp:codex"})
    with house.program("bob@example.org", role("operator")) as bob:
        late = bob.post(where, json={})
        shown = bob.get(f"/api/v1/tasks/{left.run}").json()["task"]

    assert (first.status_code, first.json()) == (201, again.json()), first.text
    assert (first.json()["new"], late.json()["new"], external.status_code) == (True, False, 409)
    assert late.json()["run"]["id"] == first.json()["run"]["id"] == shown["child"]
    assert (shown["state"], shown["by"]) == ("started", "Ada <ada@example.org>")
    assert [each.name for each in house.door.ledger.read(names=("task_started",))] == ["task_started"]
    assert [each.state for each in house.door.questions.of(left.run)] == ["answered"]
    asked = house.door.runs.get(shown["child"])
    assert b"Ada <ada@example.org>" in house.door.blobs.get(asked.assignment)


def test_from_a_page_one_comes_to_its_run_or_drops_it_with_a_reason(house: House, left: e.TaskFiled) -> None:
    with house.browser("ada@example.org", role("operator")) as client:
        blank = client.post(f"/tasks/{left.task}/drop", data={"because": " "})
        started = client.post(f"/tasks/{left.task}/start")
        child = started.headers["location"].removeprefix("/runs/")
        house.tell(e.RunStopped(run=child, why="failed", reason="no"))
        again = client.get(f"/tasks/{left.task}", headers=HTML).text
        dropped = client.post(f"/tasks/{left.task}/drop", data={"because": "Nobody wants it."})
        late = client.post(f"/tasks/{left.task}/start")
        shown = client.get(f"/tasks/{left.task}", headers=HTML).text

    assert (blank.status_code, started.status_code, dropped.status_code, late.status_code) == (409, 303, 303, 409)
    assert "ended without a pull request" in again
    assert "by Ada: Nobody wants it." in shown
    assert "/start" not in shown


def test_a_client_reads_all_that_is_known_and_a_viewer_changes_nothing(
    house: House, left: e.TaskFiled, login: Login
) -> None:
    client = login("ada@example.org", "viewer")
    (listed,) = client.tasks().tasks
    found = client.task(left.run)

    assert (listed, listed.state) == (found.task, "open")
    assert found.known.parts[0].evidence == (("AC1", "t.py::a"),)
    assert [(each.role, each.approved) for each in found.known.said] == [("reviewer", False), ("qa", True)]
    assert "`look-1` is mended" in found.spec
    for refused in (lambda: client.take_up(left.task), lambda: client.drop(left.task, because="no")):
        with pytest.raises(SettingsError, match="may not operate"):
            refused()
    operator = login("bob@example.org", "operator")
    assert operator.drop(left.task, because="Not now.").state == "dropped"
    assert operator.tasks().tasks == ()
    assert [each.id for each in operator.tasks(every=True).tasks] == [left.task]


def test_what_was_kept_for_a_task_goes_once_nobody_can_start_it_and_no_run_may_begin_with_it(
    house: House, left: e.TaskFiled
) -> None:
    door, hub = house.door, house.door.hub(left.project)
    hub.ref(ref_of(left.task), left.commit, expected_old="")

    def cleared(*, pretend: bool = False) -> list[tuple[bool, str]]:
        found = clear(door.tasks, door.runs, door.hub, pretend=pretend)
        return [(each.gone, each.why) for each in found]

    assert cleared() == [], "it is open"
    door.tasks.drop(left.task, by="Ada <ada@example.org>", because="Nobody wants it.")
    assert cleared() == [(False, "runs of its project are under way, and may begin with it")]
    house.tell(e.RunStopped(run=left.run, why="failed", reason="It stops here"))
    assert cleared(pretend=True) == [(True, "the task is dropped")]
    assert hub.resolve(ref_of(left.task)) == left.commit
    assert cleared() == [(True, "the task is dropped")]
    assert hub.resolve(ref_of(left.task)) is None
    assert cleared() == []


def test_pages_of_tasks_follow_each_other_and_show_what_one_may_see(house: House) -> None:
    for number in range(3):
        house.run(f"rshop{number}")
        house.leaves(f"rshop{number}")
    house.run("rbarn1", project="barn")
    house.leaves("rbarn1", project="barn")
    found, cursor = [], ""
    with house.program("ada@example.org", role("viewer", "shop")) as client:
        while cursor is not None:
            page = client.get("/api/v1/tasks", params={"limit": 2, "cursor": cursor}).json()
            found += [each["id"] for each in page["tasks"]]
            cursor = page["next"]
        unseen, absent = (client.get(f"/api/v1/tasks/{name}") for name in ("rbarn1-rest", "rnone1-rest"))

    assert sorted(found) == [f"rshop{number}-rest" for number in range(3)]
    assert (unseen.status_code, absent.status_code) == (404, 404)
    assert unseen.json()["detail"].replace("rbarn1", "X") == absent.json()["detail"].replace("rnone1", "X")


def test_an_assistant_looks_at_it_and_drops_it_in_its_persons_name(house: House, left: e.TaskFiled) -> None:
    viewer = token_of(house, "eve@example.org", role("viewer", "barn"))
    token = token_of(house, "ada@example.org", role("operator"))

    assert not call(house, viewer, "task_status", task=left.task)[0]
    done, found = call(house, token, "task_status", task=left.task)
    assert (done, found["from_runs"]["known"]["said"][0]["role"]) == (True, "reviewer")
    assert call(house, token, "task_drop", task=left.task, because="Not now.")[0]
    dropped = house.door.tasks.get(left.task)
    assert (dropped.state, dropped.because) == ("dropped", "Not now. (through an assistant, MCP)")
