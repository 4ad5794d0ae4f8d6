"""What an agent will see is told before it runs: what is known in tokens, the rest by its form and its bound."""

from __future__ import annotations

from nightmill.blueprint import parse, walk
from nightmill.blueprint.catalogue import Catalogue
from nightmill.blueprint.nouns import AgentStep, ReviewStep
from nightmill.blueprint.seen import Seen, seen
from tests.blueprint.conftest import ROLES

OWN = """\
name: own
inputs: {topic: {doc: x}, level: {type: choice, choices: [low, high]}}
steps:
  - id: plan
    agent: architect
    goal: "About {{ inputs.topic }}"
    inputs: {files: project.files, level: inputs.level}
    tools: [read_file, finish]
    output: {type: object, properties: {parts: {type: array, items: {type: string}}}, additionalProperties: false}
  - id: work
    agent: developer
    goal: Do it.
    inputs: {parts: steps.plan.output.parts, spec: spec.text}
  - id: more
    agent: developer
    goal: Again.
    goes_on: work
    again: "Now {{ steps.work.summary }}"
"""


def of(text: str, **measured: str) -> dict[str, Seen]:
    found = seen(
        parse(text.encode(), source="own.yaml"),
        roles=ROLES,
        review={},
        measured={k.replace("__", "."): v for k, v in measured.items()},
    )
    return {each.step: each for each in found}


def test_what_is_known_is_counted_and_the_rest_is_bounded() -> None:
    plan = of(OWN, project__files="x" * 4000)["plan"]
    pieces = {each.name: each for each in plan.pieces}

    assert pieces["files"].tokens == 1000
    assert pieces["role"].tokens == -(-len(ROLES["architect"].instructions.encode()) // 4)
    assert (pieces["level"].tokens, pieces["level"].most, pieces["level"].said) == (None, 10, "one of low, high")
    assert (pieces["in the goal"].source, pieces["in the goal"].most) == ("inputs.topic", 15_000)
    assert plan.known == sum(each.tokens or 0 for each in plan.pieces)
    assert plan.most == 15_010


def test_only_the_tools_of_the_step_and_what_it_hands_over_are_told() -> None:
    pieces = [each.name for each in of(OWN)["plan"].pieces]

    assert {"tool read_file", "tool finish"} <= set(pieces)
    assert not {"tool search", "tool list_files", "tool edit_file", "tool run_command"} & set(pieces)
    assert "what to hand over" in pieces
    assert "what to hand over" not in [each.name for each in of(OWN)["work"].pieces]


def test_what_another_step_gives_is_told_by_its_form_and_what_is_absent_by_name() -> None:
    work = of(OWN)["work"]
    parts = next(each for each in work.pieces if each.name == "parts")

    assert (parts.said, parts.most) == ("list of text", 10_000)
    assert "change.diff" in work.absent
    assert "spec.text" not in work.absent


def test_a_conversation_that_goes_on_has_all_that_was_said_in_it() -> None:
    more = of(OWN)["more"]

    assert [each.source for each in more.pieces if each.name in {"conversation", "in the words"}] == [
        "of work",
        "steps.work.summary",
    ]
    assert "spec.text" not in more.absent, "it was told in that conversation"


def test_no_shipped_agent_is_given_what_its_step_does_not_name(shipped: Catalogue) -> None:
    for name in shipped.entries:
        blueprint = shipped.get(name)
        told = {each.step: each for each in seen(blueprint, roles=ROLES, measured={}, review={})}
        agents = [step for step in walk(blueprint.steps) if isinstance(step, AgentStep | ReviewStep)]
        assert set(told) == {step.id for step in agents}, name
        for step in agents:
            named = {" ".join(text.split()) for text in step.inputs.values()}
            read = {each.source for each in told[step.id].pieces if each.name in step.inputs}
            assert read == named, (name, step.id)
            assert told[step.id].known < 5_000, (name, step.id, "a small step has a small context")
