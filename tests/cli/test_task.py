"""What runs left is shown as what models wrote: data. It waits once, with its own command, and is dropped with a reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nightmill import crew
from nightmill import event as e
from nightmill import spec as specs
from nightmill.access import ACTS
from nightmill.blueprint.catalogue import Catalogue
from nightmill.blueprint.shelves import shipped
from nightmill.estate.nouns import Environment, Project
from nightmill.kept import Part
from nightmill.line import submit
from nightmill.line.assignment import Assignment, write
from nightmill.line.process.functions import SIGNATURES
from nightmill.line.remediation import known
from nightmill.line.remediation import write as written
from nightmill.plan import single
from nightmill.settings import Settings
from nightmill.store import Question, Questions
from tests import whole
from tests.cli.conftest import HOSTILE, Here
from tests.server.conftest import House, role
from tests.whole import Mill

DELIVER = Catalogue((shipped(),), {role.name: role for role in crew.find().roles}, SIGNATURES).closure("deliver")
FINDING = {
    "id": "Q1",
    "severity": "major",
    "title": f"Three {HOSTILE}",
    "test": "test_calc.py::test_three",
    "why": HOSTILE,
}
STOPS = Question(id="rab1-1/parked", run="rab1-1", step="parked", kind="answer", title="It stops here", ends=True)


def assignment(folder: Path) -> Assignment:
    path = folder / "FIRST.md"
    path.write_text(whole.SPEC.format(title=""), encoding="utf-8")
    spec = specs.read(path)
    project = Project(id="p", root=folder, language="python", environment=Environment(), checks=())
    return Assignment(
        kind="task", project=project, spec=spec, model="anthropic:m", base_url="", base_branch="main", base_commit="0" * 40,
        target="main", budget=submit.budget(Settings()), max_tokens=1, thinking=0, by="Ada <ada@example.org>",
        task=single(spec).tasks[0], blueprints=DELIVER.blueprints,
    )  # fmt: skip


@pytest.fixture
def left(mill: Mill) -> Mill:
    """A run that waits and left a task, and one that asks something else."""
    with mill.door() as door:
        kept = door.blobs.put(write(assignment(mill.folder)))
        for run in ("rab1-1", "rcd2"):
            asked = e.RunQueued(run=run, kind="task", title="Adding", project="p", spec="s", model="m")
            door.runs.create(asked, assignment=kept)
        parts = (Part(role="qa", commit="2" * 40, summary=f"Broken {HOSTILE}"),)
        body = known(
            {"findings": [FINDING], "checks": f"tests: {HOSTILE}"},
            run="rab1-1", blueprint="deliver", commit="2" * 40, tree="3" * 40, parts=parts,
        )  # fmt: skip
        filed = e.TaskFiled(
            run="rab1-1", task="rab1-1-remainder", step="remainder", project="p", title=f"Adding {HOSTILE}", findings=1,
            tree="3" * 40, commit="2" * 40, body=door.blobs.put(written(body)),
        )  # fmt: skip
        door.ledger.append([filed, e.RunParked(run="rab1-1", reason="It stops here", needs="person")])
        questions = Questions(door.database, lambda: 5.0)
        questions.ask(STOPS)
        questions.ask(replace(STOPS, id="rcd2/parked", run="rcd2"))
    return mill


def test_it_waits_once_with_its_own_command_and_what_else_waits_stays(left: Mill, here: Here) -> None:
    found = json.loads(here("waiting", "--json").out)

    assert {(each["run"], each["kind"], each["command"]) for each in found} == {
        ("rab1-1", "task", "nightmill task start rab1-1-remainder"),
        ("rcd2", "answer", "nightmill answer rcd2 TEXT"),
    }
    assert "1 finding is open" in here("waiting").out
    assert "left the task rab1-1-remainder (1 open): nightmill task show" in here("show", "rab1-1").out


def test_what_models_wrote_moves_no_cursor(left: Mill, here: Here) -> None:
    for command in (("task", "list"), ("task", "show", "rab1"), ("task", "show", "rab1", "--spec"), ("waiting",)):
        done = here(*command)
        assert not done.code, done.err
        assert done.out.strip()
        assert not {"\x1b", "\x07", "\r", "\u202e", "\u2028", "\x9b"} & set(done.out), command


def test_its_spec_is_one_that_the_check_accepts(left: Mill, here: Here) -> None:
    path = left.folder / "SPEC.md"
    path.write_text(here("task", "show", "rab1", "--spec").out, encoding="utf-8")

    done = here("spec", "check", str(path))
    assert not done.code, done.out + done.err
    plain = json.loads(here("task", "show", "rab1", "--json").out)
    assert plain["known"]["findings"][0]["test"] == "test_calc.py::test_three"
    assert plain["base"] == {"branch": "main", "commit": "0" * 40, "target": "main"}


def test_who_drops_it_says_why_and_the_run_that_waits_is_answered(left: Mill, here: Here) -> None:
    assert here("task", "drop", "rab1", "--because", " ").code == 1
    assert not here("task", "drop", "rab1", "--because", f"Not needed {HOSTILE}").code

    with left.door() as door:
        (answered,) = door.questions.of("rab1-1")
    assert (answered.state, "Not needed" in answered.answer) == ("answered", True)
    waits = {each["run"]: each["kind"] for each in json.loads(here("waiting", "--json").out)}
    assert waits == {"rcd2": "answer", "rab1-1": "parked"}, "until a worker takes it up, which it has to end"
    assert "no task is open" in here("task", "list").err
    (dropped,) = json.loads(here("task", "list", "--all", "--json").out)
    assert (dropped["state"], "@" in dropped["by"]) == ("dropped", True)
    refused = here("task", "start", "rab1")
    assert refused.code == 1


def test_at_a_server_it_is_shown_and_dropped_as_in_the_store(
    left: Mill, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [here("task", *words).out for words in (("list",), ("show", "rab1"), ("show", "rab1", "--spec"))]
    with left.door() as store:
        house = House(store)
        house.start()
        try:
            owner = house.let_in("ada@example.org", role("operator"))
            monkeypatch.setenv("NIGHTMILL_TOKEN", house.site.keys.make("t", owner=owner, scopes=ACTS, seconds=3600))
            monkeypatch.setenv("NIGHTMILL_SERVER", house.url)
            monkeypatch.setenv("NIGHTMILL_HOME", str(left.folder / "other"))
            afar = [here("task", *words).out for words in (("list",), ("show", "rab1"), ("show", "rab1", "--spec"))]
            unknown = here("task", "start", "rab1")
            dropped = here("task", "drop", "rab1", "--because", "Not needed")
        finally:
            house.stop()

    assert afar == shown
    assert (unknown.code, "there is no project 'p'" in unknown.err) == (1, True), unknown.err
    assert (dropped.code, "rab1-1-remainder is dropped" in dropped.err) == (0, True)
    assert not (left.folder / "other").exists(), "something here was used"


def test_when_only_its_run_is_answered_it_stays_open(left: Mill, here: Here) -> None:
    assert not here("answer", "rab1-1", "I have seen it.").code
    with left.door() as door:
        door.ledger.append([e.RunStopped(run="rab1-1", why="failed", reason="It stops here")])

    assert "rab1-1-remainder" in here("task", "list").out
    with left.door() as door:
        door.ledger.append([e.RunStopped(run="rcd2", why="cancelled", reason="Ada")])
    (thing,) = json.loads(here("waiting", "--json").out)
    assert thing["kind"] == "task"
