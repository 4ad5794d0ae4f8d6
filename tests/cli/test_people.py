"""What waits for a person is one list, each once, with the command that goes on from there."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nightmill import event as e
from nightmill.cli import crew, people
from nightmill.crew import Memory, Note
from nightmill.crew.memory import Person
from nightmill.desk.attention import commands
from nightmill.estate.file import identify
from nightmill.forge import PullRequest
from nightmill.forge.local import LocalForge
from nightmill.repo import Hub
from nightmill.store import Question, Questions
from nightmill.store.projects import Known, keep
from tests import whole
from tests.cli.conftest import HOSTILE, Here, Terminal
from tests.whole import Mill

TREE = "a" * 40


def question(run: str, kind: Any = "approve", **changes: Any) -> Question:
    fields = {"id": f"{run}/{kind}", "run": run, "step": kind, "kind": kind, "title": f"Merge the cart {HOSTILE}"}
    return Question(**{**fields, "tree": TREE, "policy": "p", **changes})


@pytest.fixture
def asked(mill: Mill) -> Mill:
    """Three runs: a task that asks for a yes, one that asks for an answer, and one that is parked for want of space."""
    with mill.door() as door:
        for run, parent in (("rab1", ""), ("rab1-1", "rab1"), ("rcd2", ""), ("ref3", "")):
            door.runs.create(
                e.RunQueued(run=run, kind="task", title="T", project="p", spec="s", model="m", parent=parent),
                assignment="a",
            )
        questions = Questions(door.database, lambda: 5.0)
        body = door.blobs.put(b"## The diff\n\nis short\x1b[2J")
        questions.ask(question("rab1-1", body=body, barred=("@agents.example",)))
        questions.ask(question("rcd2", "answer", options=("left", "right"), tree="", policy=""))
        parked = [e.RunParked(run=run, reason="why", needs="person") for run in ("rab1-1", "rcd2")]
        door.ledger.append([*parked, e.RunParked(run="ref3", reason="no disk space", needs="person")])
    return mill


def merge_waits(mill: Mill) -> None:
    """An open pull request of a project."""
    root = whole.repository(mill.folder / "shop")
    with mill.door() as door:
        hub = Hub(mill.home / "projects/shop/hub.git")
        hub.create()
        base = hub.advance("main", hub.take(root, "main"))
        whole.commit(root, "The change")
        head = hub.take(root, "main")
        hub.branch("b", head, expected_old="")
        keep(door.database, Known(id="shop", root=root, hub=hub.path, added=1.0))
        request = PullRequest(
            project="shop",
            number=0,
            key="k",
            run="rgh4",
            title="Mend it",
            body="",
            branch="b",
            target="main",
            head=head,
            base=base,
            tree=hub.tree(head),
            verdict="v",
            passed=True,
            author="nightmill developer <developer@agents.example>",
        )
        LocalForge(door.database, lambda _: hub, clock=lambda: 9.0).open(request)


def test_everything_that_waits_is_listed_once_with_its_command(asked: Mill, here: Here) -> None:
    merge_waits(asked)
    found = json.loads(here("waiting", "--json").out)

    assert {(each["run"], each["kind"], each["command"].split(" --project")[0]) for each in found} == {
        ("rab1-1", "approve", "nightmill approve rab1-1"),
        ("rcd2", "answer", "nightmill answer rcd2 TEXT"),
        ("ref3", "parked", "nightmill resume ref3"),
        ("rgh4", "merge", "nightmill pr show 1"),
    }
    assert [each["since"] for each in found] == sorted(each["since"] for each in found)
    assert "no disk space" in here("waiting").out
    merge = next(each for each in found if each["kind"] == "merge")
    assert merge["command"].endswith(f"--project {asked.folder / 'shop'}")


@pytest.mark.parametrize("columns", [80, 200])
def test_the_list_fits_its_terminal_and_keeps_the_command_whole(
    asked: Mill, here: Here, terminal: Callable[[int], Terminal], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    for name, value in asked.variables().items():
        monkeypatch.setenv(name, value)
    screen = terminal(columns)
    people.waiting()
    lines = screen.getvalue().splitlines()

    assert all(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) <= columns for line in lines)
    assert "nightmill approve rab1-1" in screen.getvalue()
    assert "\x1b[2J" not in screen.getvalue()
    assert "Merge the cart" in screen.getvalue()


def test_nothing_waits_where_nothing_does(here: Here) -> None:
    done = here("waiting")
    assert (done.code, done.out) == (0, "")
    assert "nothing waits for you" in done.err


def test_a_run_shows_what_it_asks_whole(asked: Mill, here: Here) -> None:
    done = here("waiting", "rab1")
    assert "rab1-1 · approve · tree aaaaaaaaaa" in done.out
    assert "is short\\x1b[2J" in done.out
    assert "nightmill refuse rab1-1 --because TEXT" in done.err
    assert "one of: left, right" in here("waiting", "rcd2").out
    (plain,) = json.loads(here("waiting", "rab1", "--json").out)
    assert (plain["tree"], plain["text"][:11]) == (TREE, "## The diff")


def test_a_yes_is_given_to_the_spec_or_to_its_task_and_once(asked: Mill, here: Here) -> None:
    done = here("approve", "rab1", "--because", "as agreed")
    assert done.code == 0, done.err
    assert "granted for tree aaaaaaaaaa" in done.err
    assert "no worker is alive" in done.err
    assert "\x1b" not in done.err

    again = here("refuse", "rab1-1", "--because", "no")
    assert again.code == 1
    assert "asks nobody anything now" in again.err
    assert "was granted by" in again.err
    assert "approve" not in {each["kind"] for each in json.loads(here("waiting", "--json").out)}
    with asked.door() as door:
        ended = Questions(door.database, lambda: 5.0).get("rab1-1/approve")
        assert (ended.state, ended.answer) == ("granted", "as agreed")
        assert door.runs.wanted(["rab1-1"])["rab1-1"].count == 1


def test_who_decides_is_whom_the_setting_names(asked: Mill, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    for nobody in ("Ada", "ada@example.org", "Ada <ada>", "<ada@example.org>"):
        monkeypatch.setenv("NIGHTMILL_PERSON", nobody)
        assert "the setting person is" in here("approve", "rab1").err
    monkeypatch.setenv("NIGHTMILL_PERSON", "QA <qa@agents.example>")
    assert "has a part in" in here("approve", "rab1").err
    monkeypatch.setenv("NIGHTMILL_PERSON", "Ada Example <ada@example.org>")
    assert "by Ada Example <ada@example.org>" in here("approve", "rab1").err


def test_a_no_has_its_reason_and_an_answer_is_one_of_those_to_choose_from(asked: Mill, here: Here) -> None:
    assert here("refuse", "rab1-1").code == 2, "without --because it is a mistake of the command line"
    assert here("refuse", "rab1-1", "--because", "it loses data").code == 0
    wrong = here("answer", "rcd2", "up")
    assert wrong.code == 1
    assert "hint: one of: left, right" in wrong.err
    assert "nightmill answer rcd2" in here("approve", "rcd2").err.partition("hint: ")[2]
    assert here("answer", "rcd2", "left").code == 0


def test_who_asks_several_things_is_asked_which_one_is_meant(asked: Mill, here: Here) -> None:
    with asked.door() as door:
        Questions(door.database, lambda: 5.0).ask(replace(question("rab1"), id="rab1/approve"))
    done = here("approve", "rab1")
    assert done.code == 1
    assert "several runs of rab1 ask something" in done.err


def test_where_a_run_is_shown_it_is_said_what_it_asks(asked: Mill, here: Here) -> None:
    shown = here("show", "rab1-1").err
    assert "nightmill waiting rab1-1" in shown
    assert all(command in shown for command in commands(question("rab1-1")))
    assert "nightmill resume ref3" in here("show", "ref3").err


def test_the_crew_is_listed_with_where_it_comes_from(mill: Mill, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    root = whole.repository(mill.folder / "repo", {"nightmill.yaml": "{}\n", "deep/a.txt": ""})
    (root / ".claude/agents").mkdir(parents=True)
    (root / ".claude/agents/reviewer.md").write_text("---\ndescription: d\ntools: Read, Write\n---\nOurs.")
    (mill.home / "crew").mkdir(parents=True)
    (mill.home / "crew/writer.md").write_text("---\ndescription: writes words\n---\nWrite.")
    monkeypatch.chdir(root / "deep")

    done = here("crew")
    rows = {line.split("\t")[0]: line.split("\t")[1:3] for line in done.out.splitlines()}
    assert rows["reviewer"] == ["nothing", ".claude/agents/reviewer.md"]
    assert rows["writer"] == ["code", "crew/writer.md"]
    assert rows["qa"] == ["tests", "nightmill"]
    assert "not given 'write_file'" in done.err
    assert "Ours." in here("crew", "reviewer").out
    assert json.loads(here("crew", "qa", "--json").out)["writes"] == "tests"
    assert here("crew", "nobody").code == 1


def test_what_a_role_remembers_is_shown_and_forgotten_by_its_person(
    mill: Mill, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = whole.repository(mill.folder / "repo", {"nightmill.yaml": "language: python\n"})
    monkeypatch.chdir(root)
    assert "whose memory is not said" in here("crew", "--memory").err
    assert "remembers nothing" in here("crew", "qa", "--memory").err
    memory, ada = Memory(mill.home), Person(name="Ada", email="ada@example.org")
    mill.home.mkdir(parents=True, exist_ok=True)
    for key in ("one", "two"):
        note = Note(project=identify(root), role="qa", run="r1", kind="claim", key=key, said=f"erred ({key})", at=1.8e9)
        memory.add(note, author=ada)

    assert here("crew", "qa", "--memory").out.splitlines() == [
        "  1  2027-01-15 r1 claim: it erred (one)",
        "  2  2027-01-15 r1 claim: it erred (two)",
    ]
    done = here("crew", "qa", "--forget", "1", "--project", str(root))
    assert "it erred (one)" in done.err
    assert here("crew", "qa", "--memory").out.splitlines() == ["  1  2027-01-15 r1 claim: it erred (two)"]
    newest = whole.git(memory.folder, "log", "-1", "--format=%s by %ae", "main")
    assert newest.startswith("qa: a note less by ")
    assert "agents" not in newest
    assert here("crew", "qa", "--forget", "2").code
    shutil.rmtree(memory.folder / "objects")
    assert "cannot be read" in here("crew", "qa", "--memory").err


def test_what_changes_need_is_shown_with_who_asks_for_it(
    mill: Mill, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "policy: {rules: [{paths: [pay/**], approvals: 2}, {lines: 400}]}\n"
    monkeypatch.chdir(whole.repository(mill.folder / "repo", {"nightmill.yaml": own}))
    mill.home.mkdir(parents=True)
    (mill.home / "policy.yaml").write_text("unsupervised: proven\nprotect: [tests]\nbudgets: {task: 2}\n")

    rows = [line.split("\t") for line in here("policy").out.splitlines()]
    assert ["unsupervised", "code of agents", "to be merged: a proof"] in rows
    assert ["budgets", "money", "at most $2 for a run"] in rows
    assert ["nightmill.yaml:1", "pay/**", "approval by 2"] in rows
    ladder = (
        "note from 1 on; instruction from 3 on; permission from 6 on, without network, explore; approval from 10 on"
    )
    assert ["ladder", "a mistake: any", ladder] in rows
    assert any(row[0] == "nightmill" and "tests" in row[1] and "new files are free" in row[2] for row in rows)
    sources = [line.split("\t")[1] for line in here("policy", "pay/a.py").out.splitlines()[5:]]
    assert sources == ["pay/**", "every change"]
    assert json.loads(here("policy", "--json").out)["unsupervised"] == "proven"
    (mill.home / "policy.yaml").write_text("unsupervised: maybe\n")
    assert "policy.yaml:1" in here("policy").err


@pytest.mark.parametrize("columns", [80, 200])
def test_the_crew_fits_its_terminal(
    mill: Mill, here: Here, terminal: Callable[[int], Terminal], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    screen = terminal(columns)
    crew.crew()
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in screen.getvalue().splitlines()]
    assert all(len(line) <= columns for line in lines)
    assert any(line.startswith("security") for line in lines)
