"""What a role did wrong is counted once, is shown, and asks for more at the gate, whatever dies meanwhile."""

from __future__ import annotations

import json

import pytest

from bench.stage import Stage, descendants, shell, until
from nightmill.store.blobs import Blobs
from tests.acceptance.test_process import CASE, EVIDENCE, OLD, RIGHT, WRONG, edit, over, process, said, script, told
from tests.acceptance.test_process_faults import top

pytestmark = pytest.mark.slow

STEPS = """
name: own
steps:
  - id: build
    repeat: 2
    until: steps.proof.ok
    steps:
      - id: implement
        agent: developer
        goal: "{{ task.instruction }}"
        inputs: {criteria: task.criteria}
        again: "{{ steps.proof.words }}"
      - {id: proof, check: all, may_fail: true}
  - {id: sure, approve: "Add it?"}
  - {id: land, change: "{{ task.title }}"}
"""
POLICY = "unsupervised: proven\nprotect: []\nladder:\n- {mistake: claim, instruction: 1, approval: 1}\n"
BREAKS = CASE.replace("27", "26")
DEVELOPER = (
    edit(OLD, RIGHT),
    shell(f"printf '{BREAKS}' >> test_prices.py"),
    over("Added.", evidence=EVIDENCE),
    over("Added.", evidence=EVIDENCE),
    shell("sed -i 's/, 26)$/, 27)/' test_prices.py; python3 -m unittest -q"),
    over("Mended.", evidence=EVIDENCE),
)


def test_a_claim_that_failed_asks_a_person_who_would_not_have_been_asked(stage: Stage) -> None:
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    process(stage, STEPS)
    (stage.home / "policy.yaml").write_text(POLICY)
    with stage.model(script(DEVELOPER)) as model:
        spare = list(descendants())
        stage.ask(model, "--blueprint", "own")
        until(lambda: stage.events("question_asked") or any(run.over for run in stage.runs()), what="the question")
        assert not top(stage).over, said(stage)
        assert stage.end(but=spare)
        stage.start("worker")
        waiting = stage.call("waiting", top(stage).id)
        assert "said that it was done, and the checks failed, 1 times in 50 runs (ladder: approval)" in waiting
        stage.call("approve", top(stage).id)
        until(lambda: stage.run("spec").over, what="the end")

    assert stage.run("spec").state == "done", said(stage)
    (made,) = told(stage, "mistake_made")
    failed = next(each for each in told(stage, "verdict_given") if not each.passed)
    assert (made.role, made.kind, made.on) == ("developer", "claim", failed.tree)
    assert len(told(stage, "question_asked")) == 1
    assert len(stage.pulls()) == 1

    (record,) = json.loads(stage.call("crew", "--json"))["records"]
    assert (record["role"], record["kind"], record["times"], record["measure"]) == ("developer", "claim", 1, "approval")
    assert "claim 1 (anthropic:claude-sonnet-4-5): approval" in stage.call("crew")

    with stage.model(script(())) as model:  # whoever comes next in that role is told
        stage.ask(model, "--blueprint", "own").wait(120)
        (first, *_) = told(stage, "agent_started")[1:]
        brief = Blobs(stage.home / "blobs").get(first.brief)
        assert b"said that it was done, and the checks failed: 1 times" in brief


def test_a_complaint_that_is_silenced_asks_a_person_who_would_not_have_been_asked(stage: Stage) -> None:
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    process(stage, STEPS)
    (stage.home / "policy.yaml").write_text("unsupervised: proven\nprotect: []\n")
    developer = (
        edit(OLD, RIGHT),
        shell(f"printf '{CASE}' >> test_prices.py; sed -i '1s/$/  # noqa: D100/' prices.py; python3 -m unittest -q"),
        over("Added.", evidence=EVIDENCE),
    )
    with stage.model(script(developer)) as model:
        assert stage.ask(model, "--blueprint", "own").wait(120) == 3, said(stage)
        assert "major at prices.py:1: suppressed: # noqa: D100" in stage.call("waiting", top(stage).id)
        stage.call("approve", top(stage).id)
        until(lambda: stage.run("spec").over, what="the end")

    assert stage.run("spec").state == "done", said(stage)


def test_who_refuses_a_change_has_it_counted_against_who_wrote_it(stage: Stage) -> None:
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    process(stage, STEPS.replace('"Add it?"', '"Add it?", by: person'))
    developer = (
        edit(OLD, WRONG),
        edit(WRONG, RIGHT),
        shell(f"printf '{CASE}' >> test_prices.py; python3 -m unittest -q"),
        over("Added.", evidence=EVIDENCE),
    )
    with stage.model(script(developer)) as model:
        assert stage.ask(model, "--blueprint", "own").wait(120) == 3, said(stage)
        stage.call("refuse", top(stage).id, "--because", "Not this year.")
        until(lambda: stage.run("spec").over, what="the end")

    assert [(each.role, each.kind) for each in told(stage, "mistake_made")] == [("developer", "refusal")]
    (note,) = told(stage, "note_written")
    assert note.commit
    assert note.text.endswith("it made a change that a person refused: `Not this year.`; `asked: Add it?`")
