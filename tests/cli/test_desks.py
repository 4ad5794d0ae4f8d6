"""The commands that look at runs and steer them say and do the same on the store and through a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from nightmill import event as e
from nightmill.access import ACTS
from nightmill.cli import door
from nightmill.estate.file import load
from nightmill.store import Question, projects
from tests import whole
from tests.cli.conftest import HOSTILE, Here
from tests.server.conftest import House, role
from tests.whole import Mill

TREE = "a" * 40
ADA = "Ada <ada@example.org>"


@pytest.fixture
def kept(mill: Mill) -> Iterator[House]:
    """A store with a spec that started a task which asks for a yes, a run that asks for an answer, and one that ended."""
    with mill.door() as store:
        for run, parent in (("rab1", ""), ("rab1-1", "rab1"), ("rcd2", ""), ("ref3", "")):
            kind = "task" if parent else "spec"
            queued = e.RunQueued(
                run=run, kind=kind, title=f"Title {HOSTILE}", project="p", spec="s", model="m:n", parent=parent
            )
            store.runs.create(queued, assignment="a")
        store.ledger.append(
            [e.TaskQueued(run="rab1", task="T1", child="rab1-1"), e.RunStopped(run="ref3", why="limit", reason="dear")]
        )
        body = store.blobs.put(b"## The diff\n\nis short\x1b[2J")
        asked: dict[str, Any] = {
            "run": "rab1-1",
            "step": "s",
            "kind": "approve",
            "tree": TREE,
            "policy": "p",
            "body": body,
        }
        store.questions.ask(
            Question(id="rab1-1/yes", title=f"Merge it {HOSTILE}", barred=("bob@example.org",), **asked)
        )
        store.questions.ask(
            Question(id="rcd2/which", run="rcd2", step="s", kind="answer", title="Which?", options=("left", "right"))
        )
        yield House(store)


@pytest.fixture
def server(mill: Mill, kept: House, here: Here, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """Its server, named by the environment; the home here is another one, with nothing in it."""
    kept.start()
    owner = kept.let_in("ada@example.org", role("operator"), role("approver"))
    monkeypatch.setenv("NIGHTMILL_TOKEN", kept.site.keys.make("t", owner=owner, scopes=ACTS, seconds=3600))
    monkeypatch.setenv("NIGHTMILL_SERVER", kept.url)
    monkeypatch.setenv("NIGHTMILL_HOME", str(mill.folder / "other"))
    yield kept
    kept.stop()
    assert not (mill.folder / "other").exists(), "something here was used"


@pytest.fixture(params=["store", "server"])
def where(request: pytest.FixtureRequest, kept: House, here: Here, monkeypatch: pytest.MonkeyPatch) -> str:
    """The store here, and then the same through a server."""
    monkeypatch.setenv("NIGHTMILL_PERSON", ADA)
    if request.param == "server":
        request.getfixturevalue("server")
    return str(request.param)


def test_runs_are_listed_shown_and_told(where: str, kept: House, here: Here) -> None:
    rows = json.loads(here("runs", "--json", "--limit", "3").out)
    everything = json.loads(here("runs", "--json").out)
    assert [row["id"] for row in rows] == [row["id"] for row in everything][:3]
    assert {row["id"]: row["state"] for row in everything} == {
        "rab1": "queued",
        "rab1-1": "queued",
        "rcd2": "queued",
        "ref3": "stopped",
    }
    assert json.loads(here("runs", "--json", "--project", "other").out) == []
    assert "\x1b" not in here("runs").out

    shown = json.loads(here("show", "rab1", "--json").out)
    assert ([each["name"] for each in shown["events"]], [each["id"] for each in shown["tasks"]]) == (
        ["run_queued", "task_queued"],
        ["rab1-1"],
    )
    text = here("show", "rab1")
    assert text.out.splitlines()[0].endswith("Title a\\x1b[2J\\x07 b \\u202ec d\\x9b")
    assert "nightmill approve rab1-1" in text.err
    assert "dear" in here("show", "ref3").out.lower()

    told = [json.loads(line) for line in here("log", "rab1", "--json").out.strip().split("\n")]
    assert told == [
        {
            "seq": each.seq,
            "at": each.at,
            "run": each.run,
            "name": each.name,
            "body": json.loads(each.body),
            "hash": each.hash,
        }
        for each in kept.door.ledger.read()
        if each.run in {"rab1", "rab1-1"}
    ]
    assert here("log", "ref3", "--follow").out.splitlines()[-1].split("  ", 1)[1].startswith("■")
    assert "there is no run" in here("log", "rnone").err


def test_a_plan_is_shown_with_how_each_task_stands(where: str, kept: House, here: Here) -> None:
    assert "has no plan" in here("plan", "rab1").err
    task: dict[str, Any] = {"instruction": "x", "criteria": ["AC1"], "footprint": {"paths": ["a.py"], "symbols": []}}
    tasks = [{**task, "id": name, "title": f"Do {name} {HOSTILE}"} for name in ("T1", "T2")]
    kept.door.ledger.append([e.PlanMade(run="rab1", tasks=tasks, source="architect")])
    plain = json.loads(here("plan", "rab1-1", "--json").out)
    shown = here("plan", "rab1")

    assert [(each["id"], each["state"], each["run"]) for each in plain["tasks"]] == [
        ("T1", "queued", "rab1-1"),
        ("T2", "planned", ""),
    ]
    assert ("rab1-1" in shown.out, "\x1b" in shown.out) == (True, False)
    assert "T1 and T2 may both touch a.py" in shown.err


def test_what_waits_is_listed_and_shown_whole(where: str, here: Here) -> None:
    found = json.loads(here("waiting", "--json").out)
    assert [(each["run"], each["kind"], each["command"]) for each in found] == [
        ("rab1-1", "approve", "nightmill approve rab1-1"),
        ("rcd2", "answer", "nightmill answer rcd2 TEXT"),
    ]
    done = here("waiting", "rab1")
    assert "rab1-1 · s · tree aaaaaaaaaa" in done.out
    assert "is short\\x1b[2J" in done.out
    assert "one of: left, right" in here("waiting", "rcd2").out
    (plain,) = json.loads(here("waiting", "rab1", "--json").out)
    assert (plain["tree"], plain["text"][:11], plain["barred"]) == (TREE, "## The diff", ["bob@example.org"])
    assert "asks nobody anything" in here("waiting", "ref3").err


def test_a_yes_a_no_and_an_answer_are_given_in_ones_name_and_once(where: str, kept: House, here: Here) -> None:
    wrong = here("answer", "rcd2", "up")
    assert (wrong.code, "one of: left, right" in wrong.err) == (1, True)
    assert "wants something else" in here("approve", "rcd2").err
    assert f"answered by {ADA}" in here("answer", "rcd2", "left").err
    done = here("approve", "rab1", "--because", "as agreed")
    assert (done.code, f"granted for tree aaaaaaaaaa by {ADA}" in done.err) == (0, True), done.err
    again = here("refuse", "rab1", "--because", "no")
    assert again.code == 1
    assert f"was granted by {ADA}" in again.err
    ended = kept.door.questions.get("rab1-1/yes")
    assert (ended.state, ended.answer, ended.by) == ("granted", "as agreed", ADA)


def test_a_run_is_paused_resumed_and_cancelled_with_its_tasks(where: str, kept: House, here: Here) -> None:
    for command, wanted in (("pause", "pause"), ("resume", "run"), ("cancel", "cancel")):
        assert here(command, "rab1").code == 0
        assert [(kept.door.runs.get(run).wanted, kept.door.runs.get(run).wanted_by) for run in ("rab1", "rab1-1")] == [
            (wanted, ADA)
        ] * 2
    assert "was cancelled" in here("resume", "rab1").err
    assert "is stopped" in here("pause", "ref3").err


def test_something_is_said_to_the_task_that_is_at_work(where: str, kept: House, here: Here) -> None:
    done = here("say", "rab1", f"Keep the name: {HOSTILE}")
    assert (done.code, "rab1-1 hears it" in done.err) == (0, True), done.err
    assert "hears nothing any more" in here("say", "ref3", "Too late.").err
    (word,) = kept.door.runs.said("rab1-1")
    assert (word.by, word.text) == (ADA, f"Keep the name: {HOSTILE}")


def test_a_project_with_a_checkout_elsewhere_is_named_as_the_server_does(server: House, here: Here, mill: Mill) -> None:
    root, clone = (whole.repository(mill.folder / place / "shop") for place in ("there", "here"))
    spec = mill.folder / "SPEC.md"
    spec.write_text(whole.SPEC.format(title=""), encoding="utf-8")
    known = projects.Known(id=load(root).id, root=root, hub=mill.folder / "hub", added=0.0)
    projects.keep(server.door.database, known)
    at = ("--model", "anthropic:m", "--detach", "--project")
    lost = here("run", str(spec), *at, str(clone))

    assert lost.code == 1
    assert f"there is no project {load(clone).id!r}" in lost.err
    assert here("run", str(spec), *at, known.id).code == 0
    assert [run.title for run in server.door.runs.list(projects=[known.id])] == ["Adding gives the sum"]
    assert here("run", str(spec), *at, str(clone)).err.endswith(f": --project {known.id}\n")
    assert f"--project {known.id}" in here("pr", "show", "1", "--project", str(clone)).err
    assert here("pr", "show", "1", "--project", known.id).err.startswith(
        f"error: {known.id} has no pull request 1\nhint: the list"
    )


def test_a_run_of_a_spec_here_is_asked_for_at_the_server(server: House, here: Here, mill: Mill) -> None:
    root = whole.repository(mill.folder / "calc")
    known = projects.Known(id=load(root).id, root=root, hub=mill.folder / "hub", added=0.0)
    projects.keep(server.door.database, known)
    (mill.folder / "SPEC.md").write_text(whole.SPEC.format(title=""))
    (mill.folder / "VAGUE.md").write_text("# Make it better\n\nFix everything.\n")
    at = ("--project", str(root), "--model", "anthropic:m", "--detach")
    done = here("run", "SPEC.md", *at, "--json")
    vague = here("run", "VAGUE.md", *at)
    branch = here("run", "SPEC.md", *at, "--base", "nowhere")
    folder = here("run", "calc", *at)

    run = server.door.runs.get(json.loads(done.out)["run"])
    assert (run.state, run.project, run.title) == ("queued", known.id, "Adding gives the sum")
    assert ADA.encode() in server.door.blobs.get(run.assignment)
    assert (vague.code, "line" in vague.err) == (2, True)
    assert (branch.code, "'nowhere'" in branch.err) == (1, True)
    assert (folder.code, "is no file" in folder.err) == (1, True)
    assert len(server.door.runs.list(projects=[known.id])) == 1


@pytest.mark.parametrize(
    "words",
    [
        "run SPEC.md --base-url http://127.0.0.1:1",
        "pr again 1",
        "show rab1 --html x.html",
        "secret rotate",
        "backup x.tar",
        "ledger forget --before 2026-01-01",
    ],
)
def test_a_command_that_works_on_a_store_says_that_it_is_not_here(server: House, here: Here, words: str) -> None:
    done = here(*words.split())

    assert done.code == 1
    assert f"not through the server {server.url!r}" in done.err
    assert "hint: " in done.err


@pytest.mark.parametrize("words", ["serve --port 0", "worker --until-idle 0"])
def test_what_is_always_about_the_store_here_is_not_asked_of_a_server(server: House, here: Here, words: str) -> None:
    done = here("--server", server.url, *words.split())

    assert (done.code, f"never about the server {server.url!r}" in done.err) == (1, True), done.err
    assert "hint: leave out --server" in done.err


def test_a_view_that_lives_needs_a_terminal(where: str, here: Here) -> None:
    done = here("attach", "rab1")

    assert (done.code, "attach needs a terminal" in done.err, "log --follow rab1" in done.err) == (1, True, True)


def test_the_option_stands_before_the_command_and_above_the_setting(
    server: House, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTMILL_SERVER", "https://mill.invalid")
    assert len(json.loads(here("--server", server.url, "runs", "--json").out)) == 4
    assert "nobody answers" not in here("--server", server.url, "waiting").err
    wrong = here("--server", "mill.example.org", "runs")
    assert (wrong.code, "is no address of a server" in wrong.err) == (1, True)


def test_without_a_server_it_is_the_store_here(kept: House, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTMILL_SERVER", "https://mill.invalid")
    assert len(json.loads(here("--server", "", "runs", "--json").out)) == 4


def test_the_token_is_no_setting_and_is_printed_nowhere(
    server: House, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = here("settings", "--json")
    assert json.loads(shown.out)["server"] == server.url
    assert "nm_token" not in shown.out
    monkeypatch.setenv("NIGHTMILL_TOKEN", "nm_token_old")
    refused = here("runs")
    assert refused.code == 1
    assert "NIGHTMILL_TOKEN" in refused.err
    assert "nm_token_old" not in refused.err


def test_a_worker_that_is_started_here_is_not_given_the_token(kept: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTMILL_TOKEN", "nm_token_x")
    monkeypatch.setenv("NIGHTMILL_SERVER", "https://mill.invalid")
    given = door.for_workers(kept.door)

    assert not {"NIGHTMILL_TOKEN", "NIGHTMILL_SERVER"} & set(given)
    assert given["NIGHTMILL_HOME"] == str(kept.door.settings.home)
