"""The plan of a spec's run: every task with its state, as a drawing and as words."""

from __future__ import annotations

from typing import Any

from nightmill import event as e
from tests.client.conftest import Login, at, login
from tests.server.conftest import House, role

__all__ = ["at", "login"]

HOSTILE = "<script>alert(1)</script>\u202e"


def task(name: str, *depends: str, title: str = "") -> dict[str, Any]:
    paths = {"paths": ["calc.py"], "symbols": []}
    return {
        "id": name,
        "title": title or f"Do {name}",
        "instruction": "x",
        "criteria": ["AC1"],
        "depends": list(depends),
        "footprint": paths,
    }


def planned(house: House) -> None:
    queued = e.RunQueued(run="rspec", kind="spec", title=HOSTILE, project="shop", spec="s", model="m")
    house.door.runs.create(queued, assignment="a")
    house.run("rspec-1", parent="rspec")
    house.tell(
        e.PlanMade(run="rspec", tasks=[task("T1"), task("T2", "T1", title=HOSTILE), task("T3")], source="architect"),
        e.TaskQueued(run="rspec", task="T1", child="rspec-1"),
        e.PullRequestOpened(run="rspec-1", number=7, branch="b", target="main", title="t"),
        e.RunDone(run="rspec-1", change=7),
    )


def test_each_task_is_drawn_with_its_state_and_leads_to_its_run(house: House) -> None:
    planned(house)
    with house.browser("ada@example.org", role("viewer")) as client:
        page = client.get("/runs/rspec/plan")
        child = client.get("/runs/rspec-1/plan")

    assert page.status_code == 200
    text = page.text.replace("\xa0", " ")
    assert "1 of 3 tasks done, in 2 waves" in text
    assert text.count('class="box ') == 3
    assert 'href="/runs/rspec-1"' in text
    assert 'href="/changes/shop/7"' in text
    assert "not started" in text
    assert "T1 and T3 may both touch" in text
    assert "<script>alert" not in text
    assert "\u202e" not in text
    assert "1 of 3 tasks done" in child.text.replace("\xa0", " "), "a task's run shows the plan that it is part of"


def test_a_program_reads_the_same_with_waves_and_what_may_collide(house: House, login: Login) -> None:
    planned(house)
    client = login("ada@example.org", "viewer")
    found, child = client.plan("rspec"), client.plan("rspec-1")

    assert found == child
    assert [(each.id, each.wave, each.state, each.run, each.pull_request) for each in found.tasks] == [
        ("T1", 1, "done", "rspec-1", 7),
        ("T2", 2, "planned", "", 0),
        ("T3", 1, "planned", "", 0),
    ]
    assert next((each.one, each.other, each.paths) for each in found.ties) == ("T1", "T3", ("calc.py",))
    house.run("rone")
    assert client.plan("rone").tasks == ()


def test_a_run_without_a_plan_says_so(house: House) -> None:
    house.run("rone")
    with house.browser("ada@example.org", role("viewer", "shop")) as client:
        assert "there is no plan to draw" in client.get("/runs/rone/plan").text


def test_the_plan_of_a_project_that_may_not_be_seen_is_not_there(house: House) -> None:
    planned(house)
    with house.browser("ada@example.org", role("viewer", "barn")) as client:
        assert client.get("/runs/rspec/plan").status_code == 404
