"""The consistency benchmark itself: its tasks are what they say, its draws are fair, and its runs tell the blueprints apart."""

from __future__ import annotations

import subprocess
import unittest
from pathlib import Path
from types import ModuleType

import pytest

from bench.consensus.people import KINDS, People
from bench.consensus.runs import BLUEPRINTS, Came, Judge, Wanted, carry_out, project
from bench.consensus.tasks import TASKS, Task
from bench.stage import GIT, SCRIPTED
from nightmill.repo import Hub
from tests.acceptance.adopting import adopting


def passes(task: Task, code: str, tests: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    made, suite = ModuleType(task.name), ModuleType("suite")
    exec(code, made.__dict__)
    with monkeypatch.context() as patched:
        patched.setitem(__import__("sys").modules, task.name, made)
        exec(tests, suite.__dict__)
    found = unittest.defaultTestLoader.loadTestsFromModule(suite)
    return unittest.TextTestRunner(verbosity=0).run(found).wasSuccessful()


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_each_task_has_a_half_change_that_only_its_judge_sees(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    def holds(code: str, tests: str) -> bool:
        return passes(task, code, tests, monkeypatch)

    mine, edge, judge = (
        task.changed(added=True, weak=False),
        task.suite("Edge", task.edge),
        task.suite("Judge", task.hidden),
    )
    assert [holds(task.right, each) for each in (task.visible, mine, edge, judge)] == [True] * 4
    assert [holds(task.half, each) for each in (task.visible, mine, edge, judge)] == [True, True, False, False]
    assert [holds(task.wrong, each) for each in (edge, judge)] == [False, False]
    assert [holds(task.before, each) for each in (task.visible, judge)] == [True, False]
    assert holds(task.wrong, task.visible) is (task.name == "newest"), "whose tests are blind"
    assert holds(task.wrong, task.changed(added=False, weak=True))


def test_what_is_drawn_is_as_frequent_as_is_said_and_the_same_each_time() -> None:
    people, count = People(), 20_000
    drawn = [people.attempt(number, 0) for number in range(count)]
    assert drawn[:100] == [People().attempt(number, 0) for number in range(100)]
    assert sum(each != "right" for each in drawn) / count == pytest.approx(people.errs, abs=0.01)
    for kind, share in KINDS.items():
        assert drawn.count(kind) / count == pytest.approx(people.errs * share, abs=0.01)
    missed = [[not people.sees(number, role) for role in ("qa", "reviewer")] for number in range(count)]
    assert sum(each[0] for each in missed) / count == pytest.approx(people.misses, abs=0.01)
    assert sum(all(each) for each in missed) / count == pytest.approx(people.misses**2, abs=0.005)
    alike = People(alike=1.0)
    assert all(alike.sees(number, "qa") == alike.sees(number, "reviewer") for number in range(count))


def first(people: People, kind: str) -> int:
    """The first run that begins so, goes right when it is answered, and in which all see and nobody objects."""
    roles = ("qa", "reviewer", "architect")
    return next(
        number
        for number in range(1000)
        if people.attempt(number, 0) == kind
        and people.attempt(number, 1) == "right"
        and TASKS[number % len(TASKS)].name != "newest"
        and all(people.sees(number, role) and not people.alarmed(number, role) for role in roles)
    )


def test_the_judge_takes_only_what_is_right_throughout(tmp_path: Path) -> None:
    """Whatever else a tree holds: the task's own files alone may differ, and their tests say what they said."""
    task = TASKS[0]
    right = {task.module: task.right, task.tests: task.changed(added=True, weak=False)}
    trees = {
        "right": right,
        "half": right | {task.module: task.half},
        "weak": right | {task.tests: task.changed(added=True, weak=True)},
        "beyond": right | {TASKS[1].module: TASKS[1].right},
        "tampered": right | {task.attack: task.nothing},
        "attacked": right | {task.attack: task.suite("Edge", task.edge)},
        "failing": right | {task.attack: task.suite("Edge", "self.fail()")},
    }

    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=tmp_path, env=GIT, check=True, capture_output=True)

    def commit(files: dict[str, str]) -> None:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        git("add", "--all")
        git("commit", "-q", "-m", "So it is")

    git("init", "-q", "-b", "main")
    commit(project())
    for name, files in trees.items():
        git("checkout", "-q", "-B", name, "main")
        commit(files)
    judge = Judge(Hub(tmp_path / ".git"))
    assert {name: judge.fault(task, name) for name in trees} == {
        "right": "",
        "half": "its tests fail: test_judge",
        "weak": "the old tests do not say what they said",
        "beyond": "it also changes slug.py",
        "tampered": "QA's test was weakened",
        "attacked": "",
        "failing": "its tests fail: test_edge",
    }


@pytest.mark.slow
@pytest.mark.skipif(not SCRIPTED.is_file(), reason=f"the scripted model is not at {SCRIPTED}")
def test_what_no_check_sees_escapes_from_one_developer_and_not_from_a_team() -> None:
    people = People()
    kinds = {kind: first(people, kind) for kind in KINDS}
    came: list[Came] = []
    wanted = [Wanted(blueprint=name, number=number) for number in kinds.values() for name in BLUEPRINTS]
    with adopting():
        carry_out(wanted, people, workers=1, told=came.append)

    ended = {(each.began, each.blueprint): (each.kind, each.reason) for each in came}
    alone = {
        ("half", "solo"): ("wrong", "its tests fail: test_judge"),
        ("broken", "solo"): ("wrong", "the old tests do not say what they said"),
    }
    assert ended == {(kind, name): ("right", "") for kind in kinds for name in BLUEPRINTS} | alone
    cost = {name: sum(each.tokens for each in came if each.blueprint == name) for name in BLUEPRINTS}
    assert cost["solo"] < cost["quick"] < cost["deliver"]
