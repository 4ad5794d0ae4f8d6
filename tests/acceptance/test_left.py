"""What a run could not end becomes a task: filed once, started once, gone on with from the work that there is, and landed."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bench.stage import Stage, descendants, shell, until
from nightmill.desk import remedy
from nightmill.desk.door import Door
from nightmill.kept import Started
from nightmill.settings import load
from tests.acceptance.test_process import (
    CASE,
    EVIDENCE,
    OLD,
    PLANNED,
    QA_CASE,
    RIGHT,
    WRONG,
    edit,
    judged,
    over,
    process,
    role,
    said,
    script,
    told,
)
from tests.acceptance.test_process_faults import top

pytestmark = pytest.mark.slow

FINDING = {
    "id": "Q1", "severity": "major", "criterion": "AC1", "title": "All of it",
    "test": "test_prices.py::test_all_of_it", "expected": "0", "happened": "-70",
}  # fmt: skip
GONE_ON = "could not end it"
"""Only the spec of a run that takes a task up says so."""
JUDGE = "You judge the whole change"
TRY = shell("python3 -m unittest -q || true")


def disagreeing() -> tuple[tuple[dict[str, Any], ...], tuple[dict[str, Any], ...]]:
    """A developer who means dollars and QA who means percent, three times; and those who go on with it, who agree."""
    disputes = (
        TRY,
        over("It is meant so.", output={"answers": [{"id": "Q1", "state": "disputed", "reason": "Dollars."}]}),
    )
    holds = over("Broken.", output={"findings": [FINDING], "settled": [], "held": []})
    developer = (
        edit(OLD, WRONG),
        shell(f"printf '{CASE.replace('27', '20')}' >> test_prices.py; python3 -m unittest -q"),
        over("Added.", evidence=EVIDENCE),
        *disputes * 3,
    )
    attack = shell(f"printf '{QA_CASE}' >> test_prices.py; python3 -m unittest -q || true")
    shown = [{"criterion": each, "by": "python3 -m unittest -q"} for each in ("AC1", "AC2", "AC3")]
    mends = (
        edit(WRONG, RIGHT),
        shell("sed -i 's/, 20)$/, 27)/' test_prices.py; python3 -m unittest -q"),
        over("It takes off percent.", evidence=shown),
    )
    nothing = over("Held.", output={"findings": [], "settled": [], "held": ["all"]})
    return developer, (
        role("architect", judged(approved=True), sees=JUDGE),
        role("qa", judged(approved=True), sees=JUDGE),
        role("reviewer", judged(approved=True)),
        role("architect", over("Planned.", output=PLANNED), sees="how this task is best done"),
        role("developer", *mends, sees=GONE_ON),
        role("qa", TRY, nothing, sees=GONE_ON),
        role("qa", attack, holds, *(TRY, holds) * 3),
    )


def test_who_do_not_agree_leave_a_task_that_somebody_starts_and_that_lands_with_the_tests_of_both(stage: Stage) -> None:
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    developer, others = disagreeing()
    with stage.model(script(developer, *others)) as model:
        assert stage.ask(model, "--blueprint", "deliver").wait(240) == 3, said(stage)
        left = top(stage)
        listed(stage, left.id)
        assert stage.start("task", "start", left.id).wait(240) == 0, said(stage)

    (started,) = told(stage, "task_started")
    goes_on = stage.run("task")
    assert (started.child, goes_on.state) == (goes_on.id, "done")
    assert {run.state for run in stage.runs() if run.id != goes_on.id} == {"stopped"}, "nobody waits for an answer"
    (pull,) = stage.pulls()
    landed(stage, pull, left=left.id, goes_on=goes_on.id)
    assert json.loads(stage.call("task", "list", "--all", "--json"))[0]["state"] == "landed"
    (waits,) = json.loads(stage.call("waiting", "--json"))
    assert waits["kind"] == "merge"
    for who in {each.author for each in told(stage, "commit_made")}:
        stage.settings["NIGHTMILL_PERSON"] = who
        stage.call("pr", "merge", str(pull["number"]), expect=(1,))
    assert stage.broken() is None


def listed(stage: Stage, left: str) -> None:
    """That *left* is parked, that it left a task, and that this is all that waits, with all that is known."""
    (filed,) = told(stage, "task_filed")
    assert (filed.run, filed.findings, top(stage).state) == (left, 1, "parked")
    (waits,) = json.loads(stage.call("waiting", "--json"))
    assert (waits["kind"], waits["command"]) == ("task", f"nightmill task start {filed.task}")
    assert filed.task in stage.call("task", "list")
    shown = stage.call("task", "show", left)
    for word in ("All of it", FINDING["test"], "the dispute is not accepted", "A second argument.", "qa in run"):
        assert word in shown, word


def landed(stage: Stage, pull: dict[str, Any], *, left: str, goes_on: str) -> None:
    """That what landed is the work of all, in their names, over the same base, proven with QA's test in it."""
    assert pull["run"] == goes_on
    assert b"test_all_of_it" in stage.hub.show(pull["head"], "test_prices.py")
    assert b"100 - discount" in stage.hub.show(pull["head"], "prices.py")
    log = list(reversed(stage.hub.log(pull["head"], limit=9, without="main")))
    assert [commit.email.partition("@")[0] for commit in log] == ["developer", "qa", "developer"]
    assert [
        f"Nightmill-Run: {run}" in commit.message for run, commit in zip((left, left, goes_on), log, strict=True)
    ] == [True] * 3
    bases = {each.base_commit for each in told(stage, "run_queued")}
    assert bases == {pull["base"]} == {stage.hub.resolve("refs/heads/main")}
    proofs = [each.tree for each in told(stage, "verdict_given") if each.run == goes_on and each.passed]
    assert proofs[-1] == stage.hub.tree(pull["head"])
    assert all(f"`{each}` " in pull["body"] for each in ("AC1", "AC2", "AC3"))
    assert "not shown" not in pull["body"]


LEAVES = """
name: own
steps:
  - {id: implement, agent: developer, prompt: developer/task}
  - id: rest
    emit: remediation
    data: {findings: "[{'id': 'Q1', 'title': 'Hostile `title`\\nTODO:', 'test': 'test_prices.py::test_all_of_it'}]"}
  - {id: slow, run: "sleep 2.01"}
  - {id: parked, stop: They do not agree., wait: true}
"""


def test_a_worker_that_is_killed_between_filing_and_parking_leaves_one_task_which_two_start_as_one_run(
    stage: Stage,
) -> None:
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    process(stage, LEAVES)
    developer = (edit(OLD, WRONG), TRY, over("Added.", evidence=EVIDENCE))
    again = (edit(WRONG, RIGHT), TRY, over("Percent.", evidence=EVIDENCE))
    with stage.model(script(developer, role("developer", *again, sees=GONE_ON))) as model:
        spare = list(descendants())
        stage.ask(model, "--blueprint", "own")
        until(lambda: "sleep 2.01" in descendants().values() and stage.events("task_filed"), what="the step after it")
        assert stage.end(but=spare)
        stage.start("worker")
        until(lambda: stage.events("question_asked"), what="that it parks")
        assert len(told(stage, "task_filed")) == 1
        assert set(Counter((each.run, each.step) for each in told(stage, "step_finished")).values()) == {1}
        left = top(stage)

        assert stage.end(but=spare), "nobody takes it up before both have started it"
        with ThreadPoolExecutor(2) as pool:
            both = [
                pool.submit(started_by, stage, left.id, by) for by in ("Ada <a@example.org>", "Bob <b@example.org>")
            ]
        assert len({each.result().run.id for each in both}) == 1
        assert {each.result().new for each in both} == {True, False}
        (started,) = told(stage, "task_started")
        stage.start("worker")
        until(lambda: len(told(stage, "question_asked")) == 2, what="that the other parks")

    second = followed(stage, left.id, started.child)
    stage.call("task", "start", left.id, expect=(1,))
    stage.call("task", "drop", second.run, "--because", "Nobody wants it.")
    until(lambda: all(run.over for run in stage.runs()), what="the end of the second")
    assert not json.loads(stage.call("waiting", "--json"))
    assert stage.hub.resolve(f"refs/nightmill/tasks/{second.task}") == second.commit
    assert stage.broken() is None


def started_by(stage: Stage, task: str, by: str) -> Started:
    """What *by* gets who starts *task*, at a door of their own."""
    door = Door(load(file={}, environment={"NIGHTMILL_HOME": str(stage.home)}, flags={}))
    try:
        return remedy.start(door, remedy.Wanted(task=task, by=by, home=stage.folder), now=time.time)
    finally:
        door.database.close()


def followed(stage: Stage, left: str, child: str) -> Any:
    """What the run *child*, which went on with what *left* had left, leaves itself, and alone waits."""
    first, second = told(stage, "task_filed")
    assert [run.id for run in stage.runs(kind="task")] == [left, child]
    assert (first.run, second.run) == (left, child)
    log = list(reversed(stage.hub.log(second.commit, limit=9, without="main")))
    assert [commit.email.partition("@")[0] for commit in log] == ["developer", "developer"]
    assert stage.hub.tree(second.commit) == second.tree != first.tree == stage.hub.tree(first.commit)
    assert log[0].sha == first.commit, "what was made before stays as it is"
    until(lambda: all(run.over for run in stage.runs() if run.id != child), what="the end of the first")
    (waits,) = json.loads(stage.call("waiting", "--json"))
    assert (waits["task"], waits["run"]) == (second.task, child)
    return second


DIVIDED = """
name: own
steps:
  - {id: implement, agent: developer, prompt: developer/task}
  - {id: look, review: reviewer, may_fail: true}
  - {id: objections, python: findings.objections, inputs: {verdicts: "[steps.look]"}}
  - id: rest
    emit: remediation
    data: {findings: steps.objections.open, said: "[steps.look]"}
  - {id: parked, stop: Not all agree., wait: true}
"""


def test_a_no_that_names_nothing_is_a_finding_of_the_task_with_what_was_said(stage: Stage) -> None:
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    process(stage, DIVIDED)
    developer = (edit(OLD, WRONG), TRY, over("Added.", evidence=EVIDENCE))
    with stage.model(script(developer, role("reviewer", judged(approved=False)))) as model:
        assert stage.ask(model, "--blueprint", "own").wait(240) == 3, said(stage)

    (filed,) = told(stage, "task_filed")
    (waits,) = json.loads(stage.call("waiting", "--json"))
    assert (filed.findings, waits["command"]) == (1, f"nightmill task start {filed.task}")
    shown = stage.call("task", "show", filed.task)
    assert "reviewer-no  The reviewer does not agree" in shown
    assert "reviewer does not agree:\n  for it:" in shown
