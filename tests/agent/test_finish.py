"""An agent that says that it is done is told once what is missing, and what it claims is held against what it ran."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from nightmill import event
from nightmill.agent import Brief
from nightmill.agent.context import tail
from nightmill.agent.guard.claims import false_claims
from nightmill.agent.nouns import AgentState, Ending, Ran, Working
from nightmill.model import ToolCall
from nightmill.tool import Answer, ToolContext, Toolset
from nightmill.tool.base import Arguments
from nightmill.tool.work import FinishWork, UpdateTodo
from tests.agent.conftest import BRIEF, Stage, replace, reply

TASK = replace(BRIEF, checks=("make check",), criteria=("AC1",), footprint=("src",), tag="[system 1]")


@dataclass
class RunCommand:
    """Runs nothing: a command ends well unless its words say otherwise."""

    name: str = "run_command"
    description: str = "Runs."
    reads: bool = False

    class Call(Arguments):
        command: str

    arguments = Call

    def label(self, arguments: Call) -> str:
        return arguments.command

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        del context
        ok = "fails" not in arguments.command
        return Answer(text=f"(exit status {int(not ok)})", changed=True, ran=((arguments.command, ok, ""),))


@dataclass
class WriteFile:
    """Writes nothing, and says that it did."""

    name: str = "write_file"
    description: str = "Writes."
    reads: bool = False
    count: list[None] = field(default_factory=list)

    class Call(Arguments):
        path: str

    arguments = Call

    def label(self, arguments: Call) -> str:
        return arguments.path

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        del context
        self.count.append(None)
        seen = ((f"/work/repo/{arguments.path}", str(len(self.count))),)
        return Answer(text="wrote", changed=True, edited=(arguments.path,), seen=seen)


@pytest.fixture
def stage() -> Stage:
    """A developer whose commands and edits are words."""
    made = Stage(brief=TASK)
    made.tools = Toolset((RunCommand(), WriteFile(), UpdateTodo(), FinishWork()))
    return made


def act(stage: Stage, tool: str, **arguments: Any) -> Any:
    number = stage.state.turn
    return stage.turn(reply(ToolCall(id=f"{tool}{number}", name=tool, arguments=json.dumps(arguments))))


def finish(stage: Stage, summary: str = "Did it.", **evidence: str) -> Any:
    shown = [{"criterion": name, "by": by} for name, by in (evidence or {"AC1": "tests/test_a.py::test_b"}).items()]
    return act(stage, "finish", summary=summary, evidence=shown)


def spoken(stage: Stage) -> list[tuple[str, str, str]]:
    return [(told.guard, told.measure, told.evidence) for told in stage.told if isinstance(told, event.AgentNudged)]


def test_work_that_is_whole_is_finished_at_once(stage: Stage) -> None:
    act(stage, "write_file", path="src/a.py")
    act(stage, "run_command", command="make check")
    record = finish(stage, "Mended the parser. All tests pass.")

    assert record.ending is not None
    assert spoken(stage) == []


def test_what_is_missing_is_told_once_and_then_it_is_taken_at_its_word(stage: Stage) -> None:
    act(stage, "update_todo", items=[{"text": "write a test", "state": "doing"}])
    act(stage, "run_command", command="make check")
    act(stage, "write_file", path="src/a.py")
    record = finish(stage, AC9="nothing")

    assert record.ending is None
    assert record.refused == ("todo", "unverified", "evidence")
    (told,) = stage.results()
    assert "- write a test" in told
    assert "- 1 edit since a check last passed" in told
    assert "- AC1" in told
    assert stage.state.ending is None
    assert [each[:2] for each in spoken(stage)] == [("premature_finish", "nudge")]
    assert finish(stage, AC9="nothing").ending is not None


def test_each_thing_that_is_missing_is_told_once_in_each_round(stage: Stage) -> None:
    act(stage, "write_file", path="src/a.py")
    assert finish(stage).refused == ("false_claim", "unverified")
    act(stage, "update_todo", items=[{"text": "later"}])
    assert finish(stage).refused == ("false_claim", "todo", "unverified"), "the list is new"
    assert finish(stage).ending is not None
    stage.send_back("The checks failed.")
    assert finish(stage).ending is None
    assert finish(stage).ending is not None


def test_evidence_that_was_named_is_not_asked_for_again_when_the_work_was_sent_back(stage: Stage) -> None:
    act(stage, "write_file", path="src/a.py")
    act(stage, "run_command", command="make check")
    assert finish(stage).ending is not None
    stage.send_back("QA has found this.")
    act(stage, "write_file", path="src/a.py")
    act(stage, "run_command", command="make check")
    assert finish(stage, AC9="nothing").ending is not None


def test_what_was_verified_before_the_work_was_sent_back_is_not_said_to_hold(stage: Stage) -> None:
    act(stage, "write_file", path="src/a.py")
    act(stage, "run_command", command="make check")
    assert "`make check`: passed" in tail(stage.brief, stage.state)
    stage.send_back("QA has found this, and its tests are in the tree.")
    assert "passed" not in tail(stage.brief, stage.state)
    assert "nothing was verified since it was sent back" in tail(stage.brief, stage.state)


def test_work_without_an_edit_is_asked_about_once(stage: Stage) -> None:
    act(stage, "run_command", command="make check")
    record = finish(stage)
    assert record.refused == ("nothing_changed",)
    assert finish(stage, "Nothing is needed: it holds already.").ending is not None


def test_edits_and_checks_of_the_same_reply_count(stage: Stage) -> None:
    calls = [
        ToolCall(id="w", name="write_file", arguments='{"path": "src/a.py"}'),
        ToolCall(id="r", name="run_command", arguments='{"command": "make check"}'),
        ToolCall(
            id="f", name="finish", arguments='{"summary": "S.", "evidence": [{"criterion": "ac1", "by": "tests"}]}'
        ),
    ]
    assert stage.turn(reply(*calls)).ending is not None


def test_where_no_command_can_be_run_nothing_is_asked_for_that_needs_one(stage: Stage) -> None:
    stage.tools = Toolset((WriteFile(), FinishWork()))
    act(stage, "write_file", path="src/a.py")
    assert finish(stage, "All tests pass.").ending is not None


def test_a_claim_that_is_not_so_is_refused_once_and_then_told_to_people(stage: Stage) -> None:
    act(stage, "write_file", path="src/a.py")
    act(stage, "run_command", command="pytest fails")
    record = finish(stage, "Mended it. All 14 tests pass.")
    assert record.refused[0] == "false_claim"
    assert spoken(stage)[-1][:2] == ("false_claim", "nudge")
    record = finish(stage, "Mended it. All 14 tests pass.")

    assert record.ending is not None
    assert spoken(stage)[-1][:2] == ("false_claim", "note")
    (found,) = stage.state.findings
    assert (found.guard, found.path) == ("false_claim", "summary")
    assert found.what == "'All 14 tests pass.': the last check, `pytest fails`, failed"


def test_a_claim_that_is_made_true_is_no_finding(stage: Stage) -> None:
    act(stage, "write_file", path="src/a.py")
    assert finish(stage, "All tests pass.").ending is None
    act(stage, "run_command", command="make check")
    assert finish(stage, "All tests pass.").ending is not None
    assert stage.state.findings == ()


def said(summary: str, *ran: tuple[str, bool], edits: int = 0, by: str = "") -> tuple[str, ...]:
    checks = tuple(Ran(command=command, ok=ok, turn=turn, check=True) for turn, (command, ok) in enumerate(ran, 1))
    state = AgentState(working=Working(checks=checks, edits=edits, touched=1), commands=tuple(c for c, _ in ran))
    evidence = (("AC1", by),) if by else ()
    brief: Brief = replace(TASK, checks=("python -m pytest -q", "ruff check"))
    return false_claims(brief, state, Ending(kind="finished", text=summary, evidence=evidence))


@pytest.mark.parametrize(
    ("summary", "ran", "edits", "by", "why"),
    [
        ("All tests pass.", (), 0, "", "no test and no check was run"),
        ("I ran the test suite.", (), 0, "", "no test and no check was run"),
        ("Mended it.", (), 1, "tests/test_a.py::test_b", "no test and no check was run"),
        ("The checks are green.", (("pytest -q", False),), 0, "", "the last check, `pytest -q`, failed"),
        ("The suite passes.", (("pytest -q", True),), 3, "", "nothing was run since the latest edit"),
        ("Mended it; mypy is clean.", (("pytest -q", True),), 0, "", "`mypy` was never run"),
        ("Mended it.", (("ruff check .", True),), 0, "pytest tests/test_a.py", "`pytest` was never run"),
    ],
)
def test_a_false_claim_is_named(summary: str, ran: Any, edits: int, by: str, why: str) -> None:
    (found,) = said(summary, *ran, edits=edits, by=by)
    assert found.endswith(why)


@pytest.mark.parametrize(
    "summary",
    [
        "All green.",
        "All 14 tests pass, no failures.",
        "14 passed, 0 failed.",
        "Tests pass without any errors.",
        "All tests are passing now with no regressions.",
        "I executed the full test suite successfully.",
        "Verified by running `pytest -q`.",
        "Mended it. Everything works, and no test fails.",
        "Alle Tests laufen durch.",
        "Tous les tests passent.",
        "Todas las pruebas pasan.",
        "Все тесты проходят.",  # noqa: RUF001 - Russian
        "所有测试都通过了。",
        "テストはすべて成功しました。",
        "모든 테스트가 통과했습니다.",
    ],
)
def test_a_claim_is_one_in_whichever_words_and_language(summary: str) -> None:
    (unrun,) = said(summary)
    assert unrun.endswith("no test and no check was run")
    (failed,) = said(summary, ("pytest -q", False))
    assert failed.endswith("the last check, `pytest -q`, failed")
    assert said(summary, ("pytest -q", True)) == ()


@pytest.mark.parametrize(
    "summary",
    [
        "Die Tests konnten hier nicht laufen.",
        "Je n'ai pas pu lancer les tests.",
        "测试没有运行。",
        "No tests were run.",
        "12 passed, 2 failed.",
        "If the tests pass, merge it.",
        "Added a test for successful logins.",
        "Everything that passes the gate is kept.",
        "The test checks that passing None raises.",
    ],
)
def test_what_claims_nothing_is_held_against_nobody(summary: str) -> None:
    assert said(summary) == said(summary, ("pytest -q", False)) == ()


@pytest.mark.parametrize(
    ("summary", "ran", "edits", "by"),
    [
        ("All tests pass.", (("pytest -q", False), ("pytest -q tests/a", True)), 0, ""),
        ("I could not run the tests here; they should pass.", (), 1, ""),
        ("Two tests fail as before, and none of them passes without the network.", (("pytest", False),), 0, ""),
        ("Mended the parser; added a test.", (("pytest", False),), 2, ""),
        ("Mended it.", (("python3 -m unittest -q", True),), 0, "python3 -m unittest"),
        ("Mypy and ruff are clean, and the tests pass.", (("make check", True),), 0, "pytest tests/test_a.py::test_b"),
        ("Mended it.", (("pytest -q", True),), 0, "tests/test_a.py::test_b, tests/test_a.py::test_c"),
        ("It now accepts what passes through the gateway.", (), 1, ""),
    ],
)
def test_what_may_be_so_is_no_false_claim(summary: str, ran: Any, edits: int, by: str) -> None:
    assert said(summary, *ran, edits=edits, by=by) == ()


# Edits outside of what the task was to touch


def test_an_edit_outside_the_footprint_is_named_once(stage: Stage) -> None:
    act(stage, "write_file", path="src/a.py")
    act(stage, "write_file", path="setup/install.py")
    act(stage, "write_file", path="setup/install.py")
    act(stage, "write_file", path="setup/other.py")

    assert [each[:2] for each in spoken(stage)] == [("outside_footprint", "nudge"), ("outside_footprint", "note")]
    assert spoken(stage)[0][2] == "setup/install.py"
    assert [each.path for each in stage.state.findings] == ["setup/install.py", "setup/other.py"]
    assert stage.state.ending is None


@pytest.mark.parametrize(
    "path", ["src/deep/a.py", "./src/a.py", "/work/repo/src/a.py", "tests/test_a.py", "src.test.js", "CHANGELOG.md"]
)
def test_tests_prose_and_the_footprint_itself_are_not_outside(stage: Stage, path: str) -> None:
    act(stage, "write_file", path=path)
    assert spoken(stage) == []


def test_a_new_file_beside_the_footprint_is_not_outside_and_an_old_one_is(stage: Stage) -> None:
    stage.brief = replace(TASK, footprint=("lib/parse.py", "lib/*_lexer.py"))
    act(stage, "write_file", path="lib/new.py")
    act(stage, "write_file", path="lib/c_lexer.py")
    assert spoken(stage) == []
    stage.state = replace(stage.state, known={"/work/repo/lib/old.py": "1"})
    act(stage, "write_file", path="lib/old.py")
    assert spoken(stage)[0][2] == "lib/old.py"


def test_without_a_footprint_nothing_is_outside(stage: Stage) -> None:
    stage.brief = replace(TASK, footprint=())
    act(stage, "write_file", path="anywhere.py")
    assert spoken(stage) == []
