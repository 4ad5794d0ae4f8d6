"""Runs are asked for and spoken to over the network, in the name of who does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nightmill import event as e
from nightmill.estate.file import load
from nightmill.store import projects
from tests import whole
from tests.server.conftest import House, role


def test_a_word_reaches_the_task_that_is_at_work_in_the_name_of_who_said_it(house: House) -> None:
    queued = e.RunQueued(run="rspec", kind="spec", title="t", project="shop", spec="s", model="m")
    house.door.runs.create(queued, assignment="a")
    with house.program("ada@example.org", role("operator")) as client:
        early = client.post("/api/v1/runs/rspec/say", json={"text": "Use cents."})
        house.run("rspec-1", parent="rspec")
        house.run("rspec-2", parent="rspec")
        house.tell(e.RunDone(run="rspec-1"))
        key = {"Idempotency-Key": "7a"}
        said = [client.post("/api/v1/runs/rspec/say", json={"text": "Use cents."}, headers=key) for _ in range(2)]
        late = client.post("/api/v1/runs/rspec-1/say", json={"text": "Use cents."})
        blank = client.post("/api/v1/runs/rspec-2/say", json={"text": " "})

    assert (early.status_code, late.status_code, blank.status_code) == (409, 409, 409)
    assert [answer.json()["id"] for answer in said] == ["rspec-2", "rspec-2"]
    (word,) = house.door.runs.said("rspec-2")
    assert (word.number, word.by, word.text) == (1, "Ada <ada@example.org>", "Use cents.")


@pytest.fixture
def project(house: House, tmp_path: Path) -> str:
    """A project that is known on the server's machine."""
    root = whole.repository(tmp_path / "calc")
    found = load(root)
    projects.keep(house.door.database, projects.Known(id=found.id, root=root, hub=tmp_path / "hub", added=0.0))
    return found.id


def wanted(**changes: Any) -> dict[str, Any]:
    return {"spec": whole.SPEC.format(title=""), "model": "anthropic:m", **changes}


def test_a_run_is_asked_for_once_by_its_key_in_the_name_of_who_asked(house: House, project: str) -> None:
    at, key = f"/api/v1/projects/{project}/runs", {"Idempotency-Key": "9c"}
    with house.program("ada@example.org", role("operator", project)) as client:
        first, again = (client.post(at, json=wanted(), headers=key) for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 201), first.text
    assert first.json() == again.json()
    (run,) = house.door.runs.list()
    assert (run.id, run.state, run.project, run.title) == (
        first.json()["id"],
        "queued",
        project,
        "Adding gives the sum",
    )
    assert b"Ada <ada@example.org>" in house.door.blobs.get(run.assignment)


def test_what_refuses_a_run_says_each_reason_and_leaves_none(house: House, project: str, tmp_path: Path) -> None:
    at = f"/api/v1/projects/{project}/runs"
    with house.program("ada@example.org", role("operator")) as client:
        vague = client.post(at, json=wanted(spec="# Make it better\n\nFix everything.\n"))
        model = client.post(at, json=wanted(model="acme:best"))
        external = client.post(at, json=wanted(model="acp:codex"))
        branch = client.post(at, json=wanted(base="nowhere"))
        option = client.post(at, json=wanted(base="--upload-pack=x"))
        absent = client.post("/api/v1/projects/none/runs", json=wanted())
        (tmp_path / "calc" / "calc.py").write_text("changed")
        dirty = client.post(at, json=wanted())

    assert vague.status_code == 422
    assert vague.json()["detail"].startswith("Refused: Make it better")
    assert any("line" in reason for reason in vague.json()["errors"])
    assert [each.status_code for each in (model, external, branch, absent, dirty)] == [409] * 5
    assert option.status_code == 422
    assert "'calc.py'" in dirty.json()["detail"]
    assert house.door.runs.list() == []


def test_a_folder_that_another_project_took_starts_nothing(house: House, project: str, tmp_path: Path) -> None:
    root = tmp_path / "calc"
    other = projects.Known(id="shop", root=root, hub=tmp_path / "hub", added=0.0)
    projects.keep(house.door.database, other)
    with house.program("ada@example.org", role("operator", "shop")) as client:
        answer = client.post("/api/v1/projects/shop/runs", json=wanted())

    assert answer.status_code == 409
    assert "by now" in answer.json()["detail"]
    assert house.door.runs.list() == []


def test_a_run_without_an_agent_cannot_be_gone_on_from(house: House) -> None:
    house.run("rone")
    with house.program("ada@example.org", role("operator")) as client:
        answer = client.post("/api/v1/runs/rone/rewind", json={"turn": 1})
        none = client.post("/api/v1/runs/rone/rewind", json={"turn": -1})

    assert (answer.status_code, none.status_code) == (409, 422)
