"""People pause and cancel in the midst of what roles and checks do, and what roles did is held to who they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bench.stage import Stage, call, descendants, shell, until
from tests.acceptance.test_process import (
    CASE,
    EVIDENCE,
    OLD,
    RIGHT,
    edit,
    judged,
    over,
    process,
    role,
    said,
    script,
    told,
)
from tests.acceptance.test_process_faults import ran, top

pytestmark = pytest.mark.slow

STEPS = """
name: own
steps:
  - {id: implement, agent: developer, prompt: developer/task}
  - {id: proof, check: all}
  - {id: look, review: reviewer}
  - {id: sure, approve: "Add it?", by: person}
  - {id: land, change: "{{ task.title }}"}
"""


def developer(moment: str) -> tuple[dict[str, Any], ...]:
    """Whose command lasts, if that is the *moment*, or whose test, when the engine runs it."""
    naps = (
        f'        subprocess.run(["sleep", os.environ.get("NAP", "{2.04 if moment == "check" else 0}")], check=True)\\n'
    )
    case = CASE.replace("        self", f"{naps}        self")
    return (
        edit(OLD, RIGHT),
        shell("sleep 2.03" if moment == "agent" else "true"),
        shell(
            "sed -i '1i import os, subprocess' test_prices.py;"
            f" printf '{case}' >> test_prices.py; NAP=0 python3 -m unittest -q"
        ),
        over("Added.", evidence=EVIDENCE),
    )


def sleeps(seconds: float) -> Callable[[Stage], Any]:
    return lambda _: f"sleep {seconds}" in descendants().values()


MOMENTS: dict[str, Callable[[Stage], Any]] = {
    "agent": sleeps(2.03),
    "check": sleeps(2.04),
    "review": sleeps(2.05),
    "approve": lambda stage: stage.events("question_asked"),
}
"""When somebody, or the engine, is in the midst of a step."""


@contextmanager
def asked(stage: Stage, moment: str) -> Iterator[None]:
    """The process of `STEPS` under way, in the midst of the step *moment*."""
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    process(stage, STEPS)
    looks = shell("sleep 2.05" if moment == "review" else "true")
    with stage.model(script(developer(moment), role("reviewer", looks, judged(approved=True)))) as model:
        stage.ask(model, "--blueprint", "own")
        until(lambda: MOMENTS[moment](stage) or any(run.over for run in stage.runs()), what=moment)
        assert not any(run.over for run in stage.runs()), said(stage)
        yield


@pytest.mark.parametrize("moment", MOMENTS)
def test_who_pauses_in_a_step_finds_it_done_once_when_it_has_gone_on(stage: Stage, moment: str) -> None:
    with asked(stage, moment):
        stage.want("pause")
        until(lambda: top(stage).state == "paused", what="the pause")
        until(lambda: not stage.sandboxes(), what="that nothing is held")
        stage.want("run")
        until(lambda: stage.events("question_asked") and top(stage).state == "parked", what="the question")
        stage.call("approve", top(stage).id)
        until(lambda: stage.run("spec").over, what="the end")

    assert stage.run("spec").state == "done", said(stage)
    assert set(Counter(each.step for each in told(stage, "step_finished")).values()) == {1}
    turns = Counter((each.role, each.turn) for each in told(stage, "turn_finished"))
    assert set(turns.values()) == {1}
    for name in ("verdict_given", "review_given", "question_asked", "pull_request_opened"):
        assert len(told(stage, name)) == 1, name
    assert told(stage, "review_given")[0].tree == told(stage, "verdict_given")[0].tree
    assert stage.broken() is None


@pytest.mark.parametrize("moment", MOMENTS)
def test_who_cancels_in_a_step_finds_the_work_so_far_and_nothing_landed(stage: Stage, moment: str) -> None:
    with asked(stage, moment):
        stage.want("cancel")
        until(lambda: all(run.over for run in stage.runs()), what="the end of all")

    (ended,) = (each for each in told(stage, "run_stopped") if each.run == top(stage).id)
    assert ended.why == "cancelled"
    assert b"100 - discount" in stage.hub.show(ended.branch, "prices.py")
    assert not stage.pulls()
    assert not [each for each in descendants().values() if each.startswith("sleep 2.0")]
    assert not stage.sandboxes()
    refused = stage.call("approve", ended.run, expect=(1,))
    assert not refused
    assert {each.state for each in told(stage, "question_decided")} <= {"withdrawn"}


TWICE = """
name: own
steps:
  - {id: implement, agent: developer, prompt: developer/task}
  - {id: proof, check: all}
  - {id: first, call: one}
  - {id: second, call: two}
  - {id: land, change: "{{ task.title }}"}
"""


@pytest.mark.parametrize("agreed", [True, False])
def test_reviews_of_one_name_in_two_called_blueprints_both_count_at_the_gate(stage: Stage, *, agreed: bool) -> None:
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    (stage.home / "blueprints").mkdir()
    for name, text in (("own", TWICE), ("one", CALLED.format("one")), ("two", CALLED.format("two"))):
        (stage.home / "blueprints" / f"{name}.yaml").write_text(text)
    stage.call("blueprint", "approve", "own")
    finding = {"severity": "major", "title": "It takes off dollars", "detail": "Not percent.", "evidence": "20"}
    reviewers = (
        role("reviewer", judged(approved=agreed, findings=() if agreed else (finding,)), sees="This is look one"),
        role("reviewer", judged(approved=True), sees="This is look two"),
    )
    developer = (
        edit(OLD, RIGHT),
        shell(f"printf '{CASE}' >> test_prices.py; python3 -m unittest -q"),
        over("Added.", evidence=EVIDENCE),
    )
    with stage.model(script(developer, *reviewers)) as model:
        assert stage.ask(model, "--blueprint", "own").wait(120) == (0 if agreed else 1), said(stage)

    assert [(each.step, each.approved) for each in told(stage, "review_given")] == [
        ("first/look", agreed),
        ("second/look", True),
    ]
    (decided,) = told(stage, "gate_decided")
    assert ("reviewer does not approve of it" in " ".join(decided.reasons)) is not agreed
    assert len(stage.pulls()) == agreed
    if not agreed:
        assert "the reviewer has not approved the tree" in top(stage).reason


CALLED = """
name: {0}
steps:
  - {{id: look, review: reviewer, goal: This is look {0}., may_fail: true}}
"""


TRIED = """
name: own
steps:
  - {id: implement, agent: developer, prompt: developer/task}
  - {id: attack, agent: qa, goal: Break it., may_fail: true}
  - {id: look, run: "cat prices.py test_prices.py"}
  - {id: proof, check: all}
  - {id: land, change: A discount}
outputs: {files: steps.look.output}
"""


def test_what_a_tests_only_role_did_is_dropped_where_it_cannot_be_taken_out(stage: Stage) -> None:
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    process(stage, TRIED)
    developer = (
        edit(OLD, RIGHT),
        shell(f"printf '{CASE}' >> test_prices.py; python3 -m unittest -q"),
        over("Added.", evidence=EVIDENCE),
    )
    hides = shell("echo '# spoiled' >> prices.py; mv .git .hidden; echo '# tried' >> test_prices.py")
    with stage.model(script(developer, role("qa", hides, over("Broken."), over("Broken.")))) as model:
        assert stage.ask(model, "--blueprint", "own").wait(120) == 0, said(stage)

    ended = {each.step: each for each in told(stage, "step_finished")}
    assert ended["attack"].state == "failed"
    assert "the qa may only write tests, and what it did cannot be taken out" in ended["attack"].reason
    (given,) = (each.outputs for each in told(stage, "run_done") if each.outputs)
    assert "spoiled" not in given["files"]
    assert "tried" not in given["files"]
    assert len(told(stage, "commit_made")) == 1


def test_a_tests_only_role_does_not_begin_where_what_is_there_cannot_be_taken_out(stage: Stage) -> None:
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    process(stage, TRIED)
    hides = shell("python3 -m unittest -q; mv .git .hidden")
    developer = (edit(OLD, RIGHT), hides, over("Added.", evidence=EVIDENCE), over("Added.", evidence=EVIDENCE))
    with stage.model(script(developer, role("qa", over("Broken.")))) as model:
        assert stage.ask(model, "--blueprint", "own").wait(120) == 1, said(stage)

    ended = {each.step: each for each in told(stage, "step_finished")}
    assert "the work cannot be taken out, so nobody tests it" in ended["attack"].reason
    assert {each.role for each in told(stage, "agent_started")} == {"developer"}
    assert not stage.pulls()


ITEMS = """
name: own
steps:
  - id: each
    map: "[1, 2]"
    may_fail: true
    steps: [{id: work, agent: explorer, goal: "Look at {{ item }}.", budget: {turns: 2}}]
  - {id: after, emit: after}
"""


def test_an_item_that_comes_to_a_bound_stops_the_run_by_it_and_does_not_fail_it(stage: Stage) -> None:
    looks = role(
        "explorer",
        *({"tool_calls": [call("read_file", path=path)]} for path in ("prices.py", "SPEC.md", "test_prices.py")),
    )
    assert ran(stage, ITEMS, roles=(looks,)) == 4, said(stage)

    ends = {each.run: each for each in told(stage, "run_stopped")}
    assert {each.why for each in ends.values()} == {"limit"}
    assert "item 1: " in ends[top(stage).id].reason
    assert "2 turns" in ends[top(stage).id].reason
    assert not told(stage, "fact_emitted")
    assert all(run.over for run in stage.runs())
