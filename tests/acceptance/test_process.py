"""Whole runs by their blueprint: several roles, commits of each, findings that go back, a person who is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.stage import Stage, call, play, shell, until

pytestmark = pytest.mark.slow

OLD = "def total(prices):\n    return sum(prices)\n"
WRONG = "def total(prices, discount=0):\n    return sum(prices) - discount\n"
RIGHT = "def total(prices, discount=0):\n    return sum(prices) * (100 - discount) / 100\n"
CASE = "\\n    def test_discount(self):\\n        self.assertEqual(prices.total([10, 20], 10), 27)\\n"
EVIDENCE = [{"criterion": each, "by": "python3 -m unittest -q"} for each in ("AC1", "AC2")]


def edit(old: str, new: str) -> dict[str, Any]:
    return {"tool_calls": [call("edit_file", path="prices.py", edits=[{"old": old, "new": new}])]}


def over(summary: str, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [call("finish", summary=summary, **more)]}


def judged(*, approved: bool, findings: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    output = {"case_for": "It does it.", "case_against": "Large sums.", "findings": [*findings], "approved": approved}
    return over("Judged.", output=output)


def script(developer: tuple[dict[str, Any], ...], *others: dict[str, Any]) -> dict[str, Any]:
    """The script of `play` with *others* beside the developer; of two that fit a request the first answers."""
    made = play(*developer)
    ahead = {f"other-{number}": each for number, each in enumerate(others)}
    return {"roles": {**ahead, **made["roles"]}}


def role(name: str, *turns: dict[str, Any], sees: str = "") -> dict[str, Any]:
    """A role by the beginning of its instructions; *sees*: where its first message holds that."""
    words = {"qa": "You are QA", "explorer": "You are an explorer"}.get(name, f"You are the {name}")
    return {"system": words, "turns": list(turns), **({"user": sees} if sees else {})}


def told(stage: Stage, name: str) -> list[Any]:
    return [entry.event() for entry in stage.events(name)]


def said(stage: Stage) -> str:
    return (stage.folder / "said.log").read_text(errors="replace")


def test_a_review_sends_work_back_and_only_what_was_approved_lands(stage: Stage) -> None:
    finding = {"severity": "major", "title": "It takes off dollars", "detail": "Not percent.", "evidence": "20"}
    developer = (
        edit(OLD, WRONG),
        shell("python3 -m unittest -q"),
        over("Added.", evidence=EVIDENCE),
        edit(WRONG, RIGHT),
        shell(f"printf '{CASE}' >> test_prices.py; python3 -m unittest -q"),
        over("Mended.", evidence=EVIDENCE),
    )
    reviewers = (
        role("reviewer", judged(approved=True), sees="100 - discount"),
        role("reviewer", judged(approved=False, findings=(finding,))),
    )
    with stage.model(script(developer, *reviewers)) as model:
        asked = stage.ask(model, "--blueprint", "quick")
        assert asked.wait(120) == 0, said(stage)

    reviews = told(stage, "review_given")
    assert [each.approved for each in reviews] == [False, True]
    assert reviews[0].tree != reviews[1].tree == told(stage, "commit_made")[-1].tree
    (sent,) = told(stage, "sent_back")
    assert "dollars" in sent.reason
    assert [(each.role, each.kind) for each in told(stage, "mistake_made")] == [("developer", "finding")]
    assert len(stage.pulls()) == 1
    assert "differs" not in stage.call("requests", stage.run("task").id), "each is rebuilt as it was sent"


MOVED = """
name: own
steps:
  - {id: implement, agent: developer, prompt: developer/task}
  - {id: look, review: reviewer}
  - {id: more, run: "echo '# later' >> prices.py"}
  - {id: proof, check: all}
  - {id: land, change: "{{ task.title }}"}
"""


def test_what_changed_after_it_was_approved_does_not_land(stage: Stage) -> None:
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    process(stage, MOVED)
    developer = (
        edit(OLD, RIGHT),
        shell(f"printf '{CASE}' >> test_prices.py; python3 -m unittest -q"),
        over("Added.", evidence=EVIDENCE),
    )
    with stage.model(script(developer, role("reviewer", judged(approved=True)))) as model:
        assert stage.ask(model, "--blueprint", "own").wait(120) == 1, said(stage)

    assert "the reviewer has judged another tree than the one that would land" in said(stage)
    assert not stage.pulls()


def test_a_review_that_policy_wants_is_given(stage: Stage) -> None:
    stage.settings |= {"NIGHTMILL_PLAN": "single"}
    (stage.home / "policy.yaml").write_text("rules:\n- {paths: [prices.py], reviews: {security: 1}}\n")
    developer = (
        edit(OLD, RIGHT),
        shell(f"printf '{CASE}' >> test_prices.py; python3 -m unittest -q"),
        over("Added.", evidence=EVIDENCE),
    )
    attacker = {"system": "You are the attacker", "turns": [judged(approved=True)]}
    with stage.model(script(developer, role("reviewer", judged(approved=True)), attacker)) as model:
        assert stage.ask(model, "--blueprint", "quick").wait(120) == 0, said(stage)

    assert [each.role for each in told(stage, "review_given")] == ["reviewer", "security"]
    assert len(stage.pulls()) == 1


def test_a_developer_who_finds_nothing_to_change_is_not_sent_back_to_invent_something(stage: Stage) -> None:
    with stage.model(script((shell("python3 -m unittest -q"), over("It holds already: 30 for [10, 20].")))) as model:
        asked = stage.ask(model, "--blueprint", "quick")
        assert asked.wait(120) == 3, said(stage)

    assert not told(stage, "sent_back")
    waiting = stage.call("waiting")
    assert "It holds already" in waiting
    assert "nightmill answer" in waiting


QA_CASE = "\\n    def test_all_of_it(self):\\n        self.assertEqual(prices.total([10, 20], 100), 0)\\n"
PLANNED = {"approach": "A second argument.", "where": ["prices.py"], "leave": [], "risks": ["percent"], "open": []}


def delivered(*, found: bool) -> tuple[tuple[dict[str, Any], ...], tuple[dict[str, Any], ...]]:
    """A developer and the others of `deliver`; *found*: QA finds something that stands, once."""
    answer = {"answers": [{"id": "Q1", "state": "fixed", "proof": "test_all_of_it"}]}
    finding = {
        "id": "Q1",
        "severity": "major",
        "criterion": "AC1",
        "title": "All of it",
        "test": "test_prices.py::test_all_of_it",
        "expected": "0",
        "happened": "-70",
    }
    developer = (
        edit(OLD, WRONG if found else RIGHT),
        shell(f"printf '{CASE.replace('27', '20') if found else CASE}' >> test_prices.py; python3 -m unittest -q"),
        over("Added.", evidence=EVIDENCE),
        edit(WRONG, RIGHT),
        shell("sed -i 's/, 20)$/, 27)/' test_prices.py; python3 -m unittest -q"),
        over("It takes off percent.", output=answer),
    )
    attack = shell(f"printf '{QA_CASE}' >> test_prices.py; python3 -m unittest -q")
    nothing = over("Held.", output={"findings": [], "settled": [], "held": ["all"]})
    again = shell("python3 -m unittest -q")
    tried = (attack, over("Broken.", output={"findings": [finding], "settled": [], "held": []}), again, nothing)
    others = (
        role("architect", judged(approved=True), sees="You judge the whole change"),
        role("qa", judged(approved=True), sees="You judge the whole change"),
        role("reviewer", judged(approved=True)),
        role("architect", over("Planned.", output=PLANNED), sees="how this task is best done"),
        role("qa", *(tried if found else (attack, nothing))),
    )
    return developer, others


@pytest.mark.parametrize("found", [False, True])
def test_a_delivery_is_agreed_on_by_all_and_signed_by_those_who_made_it(stage: Stage, *, found: bool) -> None:
    developer, others = delivered(found=found)
    with stage.model(script(developer, *others)) as model:
        asked = stage.ask(model, "--blueprint", "deliver")
        assert asked.wait(180) == 0, said(stage)

    tree = told(stage, "commit_made")[-1].tree
    agreed = [each for each in told(stage, "review_given") if each.tree == tree and each.approved]
    assert {each.role for each in agreed} == {"architect", "qa", "reviewer"}
    authors = [each.author.partition("@")[0].partition("<")[2] for each in told(stage, "commit_made")]
    assert authors == (["developer", "qa", "developer"] if found else ["developer", "qa"])
    (pull,) = stage.pulls()
    assert ("developer: It takes off percent." in pull["body"]) is found, "what it is now, not what it was at first"
    assert "Broken." not in pull["body"]
    assert all(pull["body"].count(f"`{each}` ") and "not shown" not in pull["body"] for each in ("AC1", "AC2"))
    proofs = [(each.check, each.tree) for each in told(stage, "check_finished")]
    assert len(proofs) == len(set(proofs)), "a tree that is proven is not proven again"
    assert not told(stage, "agent_nudged")
    log = stage.hub.log(pull["head"], limit=9, without="main")
    assert [commit.email.partition("@")[0] for commit in reversed(log)] == authors
    assert bool(told(stage, "sent_back")) is found
    heard = [each for each in told(stage, "sent_back") if each.step.endswith("/attack")]
    assert all("test_all_of_it" in each.reason for each in heard)
    assert len(heard) == found
    wrong = [(each.role, each.kind, each.on) for each in told(stage, "mistake_made")]
    assert wrong == ([("developer", "finding", ":Q1")] if found else [])
    noted = [each.text.partition(": it ")[2] for each in told(stage, "note_written") if each.commit]
    mended = "had a finding of another role to mend: `All of it`; `test: test_prices.py::test_all_of_it`"
    assert noted == ([mended] if found else [])


OWN = """
name: own
steps:
  - id: each
    map: "[1, 2, 3]"
    at_once: 2
    steps:
      - {id: twice, run: 'echo $((N * 2)); echo made > made.txt', env: {N: item}}
    gives: steps.twice.output
  - id: clean
    run: test ! -e made.txt
  - id: which
    ask: Which of {{ steps.each.results }}?
    options: ["2", "4"]
  - id: implement
    agent: developer
    prompt: developer/task
  - id: proof
    check: all
  - id: sure
    approve: Add {{ steps.which.answer }}?
    by: person
  - id: land
    change: "{{ task.title }}"
outputs: {each: steps.each.results, which: steps.which.answer, sure: steps.sure.by}
"""


def process(stage: Stage, text: str) -> Path:
    """The operator's blueprint `own`, which a person has approved of."""
    (stage.home / "blueprints").mkdir()
    file = stage.home / "blueprints" / "own.yaml"
    file.write_text(text)
    stage.call("blueprint", "approve", "own")
    return file


def test_items_are_done_in_forks_and_people_are_asked_while_nothing_is_held(stage: Stage) -> None:
    own = process(stage, OWN)
    developer = (
        edit(OLD, RIGHT),
        shell(f"printf '{CASE}' >> test_prices.py; python3 -m unittest -q"),
        over("Added.", evidence=EVIDENCE),
    )
    with stage.model(play(*developer)) as model:
        asked = stage.ask(model, "--blueprint", "own")
        assert asked.wait(120) == 3, said(stage)
        (which,) = told(stage, "question_asked")
        assert which.title == "Which of - 2\n- 4\n- 6?"
        until(lambda: not stage.sandboxes(), what="that nothing is held")
        assert not stage.events("turn_started")[1:], "only the plan was asked for"
        run = which.run

        own.write_text(OWN.replace("[1, 2, 3]", "[7]"))
        stage.call("run", "SPEC.md", *stage.named(model), "--blueprint", "own", expect=(1,))
        assert len(stage.runs(kind="spec")) == 1, "what changed since it was approved does not run"
        stage.call("answer", run, "3", expect=(1,))
        stage.call("answer", run, "4")
        until(lambda: len(told(stage, "question_asked")) == 2, what="the second question")
        assert not told(stage, "pull_request_opened")
        stage.call("approve", run)
        until(lambda: stage.run("spec").over, what="the end")

    assert stage.run("spec").state == "done", said(stage)
    ended = {each.run: each for each in told(stage, "run_done")}[run]
    assert ended.outputs["each"] == ["2\n", "4\n", "6\n"]
    assert ended.outputs["which"] == "4"
    assert "@" in ended.outputs["sure"]
    assert len(stage.pulls()) == 1


def test_what_a_person_refuses_does_not_land(stage: Stage) -> None:
    short = OWN[: OWN.index("  - id: each")] + OWN[OWN.index("  - id: implement") : OWN.index("outputs:")]
    process(stage, short.replace("{{ steps.which.answer }}", "it"))
    developer = (edit(OLD, RIGHT), shell("python3 -m unittest -q"), over("Added.", evidence=EVIDENCE))
    with stage.model(play(*developer)) as model:
        assert stage.ask(model, "--blueprint", "own").wait(120) == 3, said(stage)
        (question,) = told(stage, "question_asked")
        stage.call("refuse", question.run, "--because", "Not this year.")
        until(lambda: stage.run("spec").over, what="the end")

    assert stage.run("task").state == "stopped"
    assert "Not this year." in stage.run("task").reason
    assert told(stage, "work_preserved")
    assert not stage.pulls()


def test_two_people_say_yes_to_a_waiting_run_each_once_and_no_author_and_the_merge_counts_both(stage: Stage) -> None:
    short = OWN[: OWN.index("  - id: each")] + OWN[OWN.index("  - id: implement") : OWN.index("outputs:")]
    process(stage, short.replace("{{ steps.which.answer }}", "it"))
    (stage.home / "policy.yaml").write_text("rules: [{about: sums, paths: [prices.py], approvals: 2}]\n")
    developer = (
        edit(OLD, RIGHT),
        shell(f"printf '{CASE}' >> test_prices.py; python3 -m unittest -q"),
        over("Added.", evidence=EVIDENCE),
    )
    with stage.model(play(*developer)) as model:
        assert stage.ask(model, "--blueprint", "own").wait(120) == 3, said(stage)
        (first,) = told(stage, "question_asked")
        approve(stage, first.run, "developer <developer@nightmill.invalid>", expect=1)
        approve(stage, first.run, "Ada <ada@example.org>")
        until(lambda: len(told(stage, "question_asked")) == 2, what="that the second person is asked")
        second = told(stage, "question_asked")[1]
        assert (second.tree, second.policy) == (first.tree, first.policy)
        approve(stage, first.run, "Ada Again <ADA@example.org>", expect=1)
        assert not told(stage, "pull_request_opened")
        approve(stage, first.run, "Bob <bob@example.org>")
        until(lambda: stage.run("spec").over, what="the end")

    assert stage.run("spec").state == "done", said(stage)
    stage.settings["NIGHTMILL_PERSON"] = "Ada <ada@example.org>"
    stage.call("pr", "merge", "1")
    assert [each["state"] for each in stage.pulls()] == ["merged"]


def approve(stage: Stage, run: str, person: str, *, expect: int = 0) -> None:
    """Say yes to *run* as *person*."""
    stage.settings["NIGHTMILL_PERSON"] = person
    stage.call("approve", run, expect=(expect,))
