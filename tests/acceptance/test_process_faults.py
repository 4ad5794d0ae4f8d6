"""A process is disturbed in each kind of step: it ends as it would have, or stops with its reason, and does nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bench.stage import Model, Stage, descendants, done, play, shell, until
from tests.acceptance.test_process import CASE, EVIDENCE, OLD, RIGHT, edit, over, process, role, said, script, told

pytestmark = pytest.mark.slow

STEPS = """
name: own
steps:
  - {id: first, run: "echo first >> notes.txt", keep: true}
  - {id: slow, run: "echo slow >> notes.txt; sleep 2.01", keep: true}
  - id: each
    map: "[1, 2]"
    at_once: 2
    steps: [{id: one, run: "sleep 2.02; cat notes.txt; echo $N", env: {N: item}}]
    gives: steps.one.output
  - {id: sure, ask: "Go on?", options: [on, off]}
  - {id: fact, emit: ready, data: {each: steps.each.results}}
  - {id: last, run: "echo last >> notes.txt; cat notes.txt", keep: true}
outputs: {notes: steps.last.output, each: steps.each.results}
"""
GAVE = {"notes": "first\nslow\nlast\n", "each": ["first\nslow\n1\n", "first\nslow\n2\n"]}

NAPS = {"run": "sleep 2.01", "map": "sleep 2.02"}
MOMENTS: dict[str, Callable[[Stage], Any]] = {
    "run": lambda _: NAPS["run"] in descendants().values(),
    "map": lambda _: NAPS["map"] in descendants().values(),
    "ask": lambda stage: stage.events("question_asked"),
}
"""When somebody is in the midst of a step."""


@contextmanager
def asked(stage: Stage, moment: str) -> Iterator[list[int]]:
    """The process of `STEPS` under way, in the midst of the step *moment*; gives the processes that are not its."""
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    steps = STEPS.replace("[on, off]", '["on", "off"]')
    for other, nap in NAPS.items():
        if other != moment:
            steps = steps.replace(nap, "true")
    process(stage, steps)
    with stage.model(play()) as model:
        spare = list(descendants())
        stage.ask(model, "--blueprint", "own")
        until(lambda: MOMENTS[moment](stage), what=moment)
        yield spare


def top(stage: Stage) -> Any:
    """The run of the task: those of the items came later."""
    return stage.runs(kind="task")[0]


def ended_as_ever(stage: Stage) -> None:
    """Each deed was done once, and the run gave what it gives when nobody disturbs it."""
    assert stage.run("spec").state == "done", said(stage)
    run = top(stage).id
    assert {each.run: each for each in told(stage, "run_done")}[run].outputs == GAVE
    assert [each.values for each in told(stage, "fact_emitted")] == [{"each": GAVE["each"]}]
    assert len(told(stage, "question_asked")) == 1
    assert set(Counter((each.run, each.step) for each in told(stage, "step_finished")).values()) == {1}
    assert len(stage.runs(kind="task")) == 3, "the task and its items"
    assert stage.broken() is None


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_worker_that_dies_in_a_step_is_followed_by_one_that_does_nothing_twice(stage: Stage, moment: str) -> None:
    with asked(stage, moment) as spare:
        assert stage.end(but=spare)
        stage.start("worker")
        until(lambda: stage.events("question_asked"), what="the question")
        stage.call("answer", top(stage).id, "on")
        until(lambda: stage.run("spec").over, what="the end")

    ended_as_ever(stage)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_is_paused_in_a_step_and_goes_on(stage: Stage, moment: str) -> None:
    with asked(stage, moment):
        stage.want("pause")
        until(lambda: top(stage).state == "paused", what="the pause")
        until(lambda: not stage.sandboxes(), what="that nothing is held")
        stage.want("run")
        until(lambda: stage.events("question_asked"), what="the question")
        stage.call("answer", top(stage).id, "on")
        until(lambda: stage.run("spec").over, what="the end")

    ended_as_ever(stage)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_is_cancelled_in_a_step_and_its_work_is_kept(stage: Stage, moment: str) -> None:
    with asked(stage, moment):
        stage.want("cancel")
        until(lambda: all(run.over for run in stage.runs()), what="the end of all")

    assert {run.state for run in stage.runs()} <= {"cancelled", "stopped", "done"}
    ends = {each.run: each for each in told(stage, "run_stopped")}
    assert ends[top(stage).id].why == "cancelled"
    kept = stage.hub.show(ends[top(stage).id].branch, "notes.txt").decode()
    assert kept.startswith("first\n")
    assert not told(stage, "fact_emitted")
    assert not [each for each in descendants().values() if each.startswith("sleep 2.0")]


JUDGED = """
name: own
steps:
  - {id: implement, agent: developer, prompt: developer/task}
  - {id: attack, agent: qa, goal: Break it., may_fail: true}
  - {id: look, run: "cat prices.py test_prices.py"}
  - {id: proof, check: all}
  - {id: land, change: A discount}
outputs: {why: steps.attack.reason, files: steps.look.output}
"""


def test_who_writes_tests_alone_and_changes_code_has_nothing_of_it_kept(stage: Stage) -> None:
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    process(stage, JUDGED)
    developer = (
        edit(OLD, RIGHT),
        shell(f"printf '{CASE}' >> test_prices.py; python3 -m unittest -q"),
        over("Added.", evidence=EVIDENCE),
    )
    strayed = shell("echo '# spoiled' >> prices.py; echo '# tried' >> test_prices.py")
    with stage.model(script(developer, role("qa", strayed, over("Broken."), over("Broken.")))) as model:
        assert stage.ask(model, "--blueprint", "own").wait(120) == 0, said(stage)

    ended = {each.step: each for each in told(stage, "step_finished")}
    assert ended["attack"].state == "failed"
    assert "the qa may only write tests, and changed prices.py" in ended["attack"].reason
    (given,) = (each.outputs for each in told(stage, "run_done") if each.outputs)
    assert "spoiled" not in given["files"]
    assert "tried" not in given["files"]
    assert [each.author.partition("<")[2].partition("@")[0] for each in told(stage, "commit_made")] == ["developer"]
    (pull,) = stage.pulls()
    assert b"spoiled" not in stage.hub.show(pull["head"], "prices.py")


ITEMS = """
name: own
steps:
  - id: each
    map: "[1, 0, 2]"
    at_once: 2
    may_fail: true
    steps: [{id: one, run: 'test $N != 0 && echo $N', env: {N: item}}]
    gives: steps.one.output
outputs: {each: steps.each.results, failed: steps.each.failed, why: steps.each.reason}
"""


def ran(stage: Stage, text: str, *developer: dict[str, Any], roles: tuple[dict[str, Any], ...] = ()) -> int | None:
    """The exit status of `nightmill run` with the process *text*, in which *roles* act beside the developer."""
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    process(stage, text)
    with stage.model(script(developer, *roles)) as model:
        return _status(stage, model)


def _status(stage: Stage, model: Model) -> int | None:
    return stage.ask(model, "--blueprint", "own").wait(120)


def test_an_item_that_fails_leaves_the_others_and_is_told_with_its_reason(stage: Stage) -> None:
    assert ran(stage, ITEMS) == 0, said(stage)

    (given,) = (each.outputs for each in told(stage, "run_done") if "failed" in each.outputs)
    assert given["each"] == ["1\n", None, "2\n"]
    assert given["failed"] == 1
    assert given["why"].startswith("1 of 3 items failed: item 2: one: exit status 1")


def test_a_map_that_may_not_fail_ends_the_run_when_all_its_items_are_over(stage: Stage) -> None:
    assert ran(stage, ITEMS.replace("    may_fail: true\n", "")) == 1, said(stage)

    assert "1 of 3 items failed" in top(stage).reason
    assert all(run.over for run in stage.runs())


BOUNDED = """
name: own
steps:
  - {id: work, agent: developer, prompt: developer/task, budget: {turns: 2}, may_fail: true}
  - {id: after, emit: after}
"""


def test_a_bound_of_a_step_is_a_stop_and_what_was_done_is_kept(stage: Stage) -> None:
    turns = (edit(OLD, RIGHT), shell("ls"), shell("ls -a"), *done("Never."))
    assert ran(stage, BOUNDED, *turns) == 4, said(stage)

    (ended,) = (each for each in told(stage, "run_stopped") if each.run == top(stage).id)
    assert ended.why == "limit"
    assert "2 turns" in ended.reason
    assert b"100 - discount" in stage.hub.show(ended.branch, "prices.py")
    assert not told(stage, "fact_emitted")
