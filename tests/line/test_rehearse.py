"""A blueprint is gone through as a case says, by the code that runs it; what differs is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nightmill.blueprint import cases, parse, shelves
from nightmill.blueprint.catalogue import Catalogue, Shelf
from nightmill.blueprint.nouns import Blueprint, MapStep, RepeatStep, walk
from nightmill.line.process import functions
from nightmill.line.process.rehearse import Rehearsed, rehearse
from tests.blueprint.conftest import ROLES

OWN = """\
name: own
inputs: {items: {type: list}}
steps:
  - id: loop
    repeat: 3
    until: steps.proof.ok
    steps:
      - {id: work, agent: developer, goal: "Begin.", again: "It said: {{ steps.proof.words }}"}
      - {id: proof, check: all, may_fail: true}
  - id: parts
    map: inputs.items
    gives: steps.one.exit
    steps: [{id: one, run: "echo $X", env: {X: item}}]
  - {id: other, call: called, inputs: {a: steps.parts.results}}
  - {id: end, stop: "There were {{ steps.parts.count }}.", when: steps.other.found}
outputs: {results: steps.parts.results}
"""
CALLED = """\
name: called
inputs: {a: {type: list}}
steps: [{id: look, review: reviewer, inputs: {a: inputs.a}}]
outputs: {found: steps.look.findings}
"""
SHIPPED = Catalogue([shelves.shipped()], ROLES, functions.SIGNATURES)


def run(case: str) -> Rehearsed:
    own = parse(OWN.encode(), source="own.yaml")
    called = parse(CALLED.encode(), source="called.yaml")
    (found,) = cases.parse(
        f"cases:\n  - name: a\n    inputs: {{items: [1, 2]}}\n{case}".encode(), own, source="own.test.yaml"
    )
    return rehearse(own, found, blueprints={"own": own, "called": called})


def test_steps_give_what_the_case_says_each_time_and_the_rest_does_well() -> None:
    found = run(
        "    steps: {proof: [{ok: false, words: nope}, {ok: true}], one: [{exit: 0}, {exit: 0}]}\n"
        "    sees: {work: [Begin., 'It said: nope'], one: '2', other/look: '['}\n"
        "    order: [work, proof, work, proof, one, one, other/look]\n"
        "    outputs: {results: [0, 0]}\n"
    )

    assert found.faults == ()
    assert found.passed


def test_what_a_function_cannot_take_is_a_failure_as_in_a_run() -> None:
    inputs = "{findings: steps.look.output.findings, results: steps.proof.results}"
    own = parse(
        "name: own\nsteps:\n  - {id: look, agent: qa, goal: x}\n  - {id: proof, check: all}\n"
        f"  - {{id: settle, python: findings.settle, inputs: {inputs}}}\n".encode(),
        source="own.yaml",
    )
    case = "cases: [{name: a, steps: {look: {output: {findings: none}}}, ends: failed, reason: is not of type 'array'}]"

    assert rehearse(own, *cases.parse(case.encode(), own, source="t.yaml"), blueprints={"own": own}).passed


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        ("    ends: failed", "it is done; it fails, the case says"),
        ("    steps: {proof: {ok: false}}", "it fails: loop is not done after 3 rounds"),
        ("    steps: {one: {exit: 3}}", "it fails: 2 of 2 items failed"),
        ("    steps: {other/look: {findings: [x]}}", "it stops: There were 2.; it is done, the case says"),
        (
            "    steps: {other/look: {findings: [x]}}\n    ends: stopped\n    reason: none",
            "it ended because 'There were 2.'",
        ),
        (
            "    order: [work, proof, one, other/look]",
            "done were work, proof, one, then 'one'; expected was 'other/look'",
        ),
        ("    order: [work, proof, one, one, other/look, end]", "then nothing more; expected was 'end'"),
        ("    outputs: {results: []}", "the output 'results' is [0, 0], not []"),
        ("    sees: {work: Ende}", "'work' is not told 'Ende'"),
        ("    sees: {work: 'It said'}", "'work' is not told 'It said'"),
        ("    sees: {end: x}", "'end' is never done, so it is told nothing"),
    ],
)
def test_what_is_not_as_the_case_says_is_told(case: str, fault: str) -> None:
    assert fault in " ".join(run(case).faults)


def every() -> list[tuple[Blueprint, cases.Case]]:
    files = shelves.shipped().files
    return [
        (SHIPPED.get(name), case)
        for name in SHIPPED.entries
        for case in cases.parse(files[f"{shelves.SHIPPED}/{name}.test.yaml"], SHIPPED.get(name), source=name)
    ]


@pytest.mark.parametrize(("blueprint", "case"), every(), ids=lambda each: each.name)
def test_a_shipped_blueprint_goes_the_way_that_its_cases_say(blueprint: Blueprint, case: cases.Case) -> None:
    assert rehearse(blueprint, case, blueprints=SHIPPED.known.blueprints).faults == ()


def test_every_step_of_the_shipped_blueprints_is_done_in_some_case() -> None:
    done: dict[str, set[str]] = {}
    for blueprint, case in every():
        done.setdefault(blueprint.name, set()).update(
            rehearse(blueprint, case, blueprints=SHIPPED.known.blueprints).order
        )

    for name in SHIPPED.entries:
        steps = {step.id for step in walk(SHIPPED.get(name).steps) if not isinstance(step, RepeatStep | MapStep)}
        assert steps == done[name] & steps, name


def test_the_guide_shows_a_blueprint_that_is_whole_and_goes_the_way_that_it_says() -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/blueprints.md").read_text(encoding="utf-8")
    own, tests = re.findall(r"```yaml\n(.+?)\n```", guide, re.DOTALL)
    found = Catalogue([Shelf("project", {"changelog.yaml": own.encode()})], ROLES)
    given = cases.parse(tests.encode(), found.get("changelog"), source="guide")

    assert [rehearse(found.get("changelog"), each, blueprints={}).faults for each in given] == [()] * 3
    assert all(f"✓ changelog: {each.name}\n" in guide for each in given)
