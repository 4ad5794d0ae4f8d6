"""A blueprint that is wrong is refused when it is read, with the line of each mistake."""

from __future__ import annotations

import jsonschema
import pytest
import yaml

from nightmill.blueprint import Blueprint, parse, schema, walk
from nightmill.blueprint.catalogue import Catalogue, Shelf
from nightmill.blueprint.fits import shape_of, unfit
from nightmill.blueprint.shapes import NUMBER, TEXT, Shape, Signature, closed, listing
from nightmill.crew import find
from nightmill.errors import SettingsError

GOOD = """\
name: good
inputs:
  path: {doc: The file.}
steps:
  - id: plan
    agent: architect
    goal: "Say how {{ inputs.path }} changes."
    output: {type: object, properties: {approach: {type: string}}, additionalProperties: false}
  - id: work
    repeat: 3
    until: steps.proof.ok
    steps:
      - id: implement
        agent: developer
        goal: "{{ steps.plan.output.approach }}"
        again: "{{ steps.proof.words }}"
      - id: proof
        check: all
        may_fail: true
  - id: look
    review: explorer
    inputs: {diff: change.diff}
  - id: land
    change: "{{ task.title }}"
    when: steps.look.approved
outputs: {number: steps.land.number}
"""
COUNT = Signature(
    inputs={"text": TEXT, "of": listing({"type": "object", "properties": {"title": TEXT}, "required": ["title"]})},
    needs=("text",),
    gives=closed(number=NUMBER),
)
ROLES = {role.name: role for role in find().roles}


def read(text: str, **more: str) -> Blueprint:
    """The blueprint *text*, which may call those of *more*, in a project whose checks are tests and style."""
    files = {f"{name}.yaml": body.encode() for name, body in {"good": text, **more}.items()}
    return Catalogue([Shelf("project", files)], ROLES, {"count": COUNT}, ("tests", "style")).get("good")


def test_a_good_blueprint_is_read_with_the_lines_of_its_steps() -> None:
    found = read(GOOD)
    assert [(step.id, step.line) for step in walk(found.steps)] == [
        ("plan", 5),
        ("work", 9),
        ("implement", 13),
        ("proof", 17),
        ("look", 20),
        ("land", 23),
    ]
    assert found.changes


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("check: all", "check: all\n        agent: qa", 17, "both"),
        ("        goal:", "        gaol:", 15, "did you mean 'goal'"),
        ("repeat: 3", "repeat: 300", 10, "`repeat` is 300, and has to be at most 20"),
        ("name: good\n", "", 1, "'name' is missing"),
        ("    change:", "    chnge:", 23, "says not what it does"),
        ("  - id: land", "  - line: 3\n    id: land", 23, "unknown key 'line'"),
        ("agent: developer", "agent: Developer", 14, "small letters"),
        ("id: land", "id: plan", 23, "used twice"),
        ("id: land", "id: land\n    id: x", 24, "given twice"),
        ("inputs.path }}", "inputs.pat }}", 7, "did you mean 'path'"),
        ("output.approach", "output.aproach", 15, "did you mean 'approach'"),
        ("approach }}", "approach.deep }}", 15, "has no names in it"),
        ("until: steps.proof.ok", "until: steps.land.ok", 11, "comes later"),
        ("until: steps.proof.ok", "until: 1 > 2", 11, "always the same"),
        ("until: steps.proof.ok", "until: f(x)", 11, "a call"),
        ("agent: developer", "agent: develper", 13, "did you mean 'developer'"),
        ("review: explorer", "review: developer", 20, "its own work"),
        ("when: steps.look.approved", "when: 1 > 2", 23, "never reached"),
        ("check: all\n        may_fail: true", "run: make", 22, "nothing proves"),
        ("  - id: land", "  - {id: end, stop: enough}\n  - id: land", 24, "never reached"),
        ("diff: change.diff", "diff: change.dif", 22, "did you mean 'diff'"),
        ("diff: change.diff", "diff: secrets.key", 22, "no 'secrets'"),
        ("{doc: The file.}", "{type: choice}", 3, "choice of nothing"),
        ("number: steps.land.number", "number: steps.land.no", 26, "has no 'no'"),
        ("again:", "goes_on: nobody\n        again:", 13, "no agent step 'nobody'"),
        ('again: "{{ steps.proof.words }}"', "tools: [telepathy]", 13, "telepathy"),
        ("  - id: look\n    review: explorer", "  - id: look\n    call: other", 20, "no blueprint 'other'"),
        ("  - id: look\n    review: explorer", "  - id: look\n    python: cuont", 20, "did you mean 'count'"),
        ("repeat: 3", "repeat: true", 10, "`repeat` is true, and has to be a whole number"),
        ("check: all", "check: tests", 18, "`check` is 'tests', and has to be a list"),
        ("check: all", "check: []", 18, "`check` is empty"),
        ("check: all", "check: [tetss]", 17, "no check of this project 'tetss'; did you mean 'tests'"),
        ("check: all", "check: [tests]", 23, "nothing proves the change of 'land' after 'implement'"),
        ("  - id: land", "  - {id: more, agent: qa, goal: x}\n  - id: land", 24, "of 'land' after 'more'"),
        ("  - id: land", "  - {id: no, run: ls}\n  - id: land", 23, "`id` is false, and has to be a text"),
        ("    when:", "    wehn:", 25, "unknown key 'wehn'; did you mean 'when'"),
        ("    change:", "    chang:", 23, "says not what it does; did you mean 'change'"),
        ("until: steps.proof.ok", "until: steps.plan.ok", 11, "reads nothing that its rounds change"),
        ("until: steps.proof.ok", "until: steps.proof", 11, "a step is always there"),
        ("until: steps.proof.ok", "until: '{{ steps.proof.ok }}'", 11, "it stands by itself, without {{ and }}"),
        ("until: steps.proof.ok", "until: (steps.proof.ok", 11, "'(' is not closed by ')'"),
        ("{doc: The file.}", "{type: nubmer}", 3, "`inputs.path.type` is 'nubmer'"),
        ("{doc: The file.}", "{type: number, default: x}", 3, "does not take its own default 'x'"),
        ("{doc: The file.}", "{pattern: '['}", 3, "no regular expression"),
        ("{approach: {type: string}}", "{approach: {type: txt}}", 8, "`output.approach.type` is 'txt', which JSON"),
        ("type: string}}", "type: string}}, required: [aproach]", 8, "requires 'aproach', which it does not allow"),
        ("  - id: land", "  - {id: end, stop: x, when: 1 < 2}\n  - id: land", 24, "'end' before it always stops"),
        (
            "      - id: proof",
            "      - {id: end, stop: x}\n      - id: proof",
            18,
            "never reached: 'end' before it always",
        ),
        (
            "  - id: land",
            "  - {id: sh, run: 'echo {{ task.title }}'}\n  - id: land",
            23,
            "nothing is put into a command",
        ),
        ("  - id: land", "  - {id: sh, run: ls, env: {a b: task.title}}\n  - id: land", 23, "the name 'a b' has to be"),
    ],
)
def test_a_mistake_is_refused_with_its_line(old: str, new: str, line: int, said: str) -> None:
    assert old in GOOD
    with pytest.raises(SettingsError, match=r"good\.yaml") as refused:
        read(GOOD.replace(old, new))
    assert f"good.yaml:{line}: " in refused.value.message, refused.value.message
    assert said in refused.value.message


def test_blueprints_that_call_each_other_in_a_circle_are_refused() -> None:
    calls = "name: {}\nsteps:\n  - id: go\n    call: {}\n"
    with pytest.raises(SettingsError, match="a circle: good → b → c → good"):
        read(calls.format("good", "b"), b=calls.format("b", "c"), c=calls.format("c", "good"))


def test_a_role_may_not_judge_what_a_called_blueprint_had_it_write() -> None:
    called = "name: b\nsteps:\n  - id: go\n    agent: developer\n    goal: write\n"
    own = "name: good\nsteps:\n  - {id: a, call: b}\n  - id: look\n    review: developer\n"
    with pytest.raises(SettingsError, match=r"good\.yaml:4: .*its own work"):
        read(own, b=called)


def test_all_that_has_no_shape_is_said_at_once_each_with_its_line() -> None:
    text = (
        GOOD.replace("repeat: 3", "repeat: many")
        .replace("agent: architect", "agnet: architect")
        .replace("{doc:", "{dco:")
    )
    with pytest.raises(SettingsError) as refused:
        read(text)
    assert refused.value.message.splitlines() == [
        "good.yaml:3: unknown key 'dco'; did you mean 'doc'?",
        "good.yaml:5: the step says not what it does; did you mean 'agent'?",
        "good.yaml:10: `repeat` is 'many', and has to be a whole number",
    ]


def test_who_only_wrote_tests_may_judge_the_code_of_others_and_never_the_tests_alone() -> None:
    tests = "  - {id: tests, agent: qa, goal: write}\n  - {id: look, review: qa}\n"
    assert read(f"name: good\nsteps:\n  - {{id: code, agent: developer, goal: write}}\n{tests}")
    with pytest.raises(SettingsError, match=r"good\.yaml:4: .*its own work"):
        read(f"name: good\nsteps:\n{tests}")


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ("{text: task.title}", ""),
        ("{text: task.criteria}", "good.yaml:3: the input 'text' of 'go', 'task.criteria', is a list and not a text"),
        ("{txet: task.title, text: task.title}", "no input 'txet'; did you mean 'text'"),
        ("{}", "does not give the input 'text'"),
    ],
)
def test_what_a_called_blueprint_is_given_has_to_be_what_it_takes(inputs: str, said: str) -> None:
    called = "name: b\ninputs: {text: {doc: x}}\nsteps:\n  - {id: one, ask: '{{ inputs.text }}'}\n"
    own = f"name: good\nsteps:\n  - {{id: go, call: b, inputs: {inputs}}}\n"
    if not said:
        assert read(own, b=called)
        return
    with pytest.raises(SettingsError) as refused:
        read(own, b=called)
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("map: task.title, steps: [{id: one, run: ls}]", "'task.title', is a text and not a list"),
        ("map: task.paths, each: steps, steps: [{id: one, run: ls}]", "cannot be called 'steps'"),
        ("map: task.paths, steps: []", "`steps` is empty"),
        ("map: task.paths, steps: [{id: one, call: b}]", "the step 'b/asked' cannot be in a map"),
        ("map: task.paths, steps: [{id: one, stop: x, wait: true}]", "the step 'one' cannot be in a map"),
    ],
)
def test_a_map_has_a_list_and_steps_that_can_be_done_side_by_side(step: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read(f"name: good\nsteps:\n  - {{id: all, {step}}}\n", b="name: b\nsteps:\n  - {id: asked, ask: what}\n")
    assert said in refused.value.message


def test_nobody_waits_in_a_map_and_its_items_are_known_only_inside() -> None:
    text = (
        "name: good\nsteps:\n  - id: all\n    map: '[1, 2]'\n    steps:\n      - {id: one, ask: 'what {{ item }}?'}\n"
    )
    with pytest.raises(SettingsError, match=r"good\.yaml:6: .*cannot be in a map"):
        read(text)
    after = text.replace("ask: 'what {{ item }}?'", "run: make, env: {N: item}") + "  - {id: end, stop: '{{ item }}'}\n"
    with pytest.raises(SettingsError, match=r"good\.yaml:7: .*no 'item'"):
        read(after)


def test_a_bomb_is_no_blueprint() -> None:
    with pytest.raises(SettingsError, match="anchors"):
        parse(b"name: &a x\nsteps: [*a]\n", source="x.yaml")
    with pytest.raises(SettingsError, match="nested deeper"):
        parse(b"steps: " + b"[" * 100 + b"]" * 100, source="x.yaml")
    with pytest.raises(SettingsError, match="larger than"):
        parse(b"#" * (300 << 10), source="x.yaml")


def test_the_schema_accepts_what_is_read_and_refuses_what_is_not() -> None:
    published = schema()
    jsonschema.Draft202012Validator.check_schema(published)
    jsonschema.validate(yaml.safe_load(GOOD), published)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(GOOD.replace("check: all", "chek: all")), published)
    assert not {"digest", "source"} & published["properties"].keys()


def test_the_end_of_a_loop_may_depend_on_its_round() -> None:
    text = "name: good\nsteps:\n  - {id: a, repeat: 5, until: round >= 2, steps: [{id: b, run: make}]}\n"
    assert read(text)


COUNTED = GOOD.replace("  - id: land", "  - id: counted\n    python: count\n    inputs: {INPUTS}\n  - id: land")


def counting(inputs: str, number: str = "steps.counted.number") -> str:
    return COUNTED.replace("{INPUTS}", inputs).replace("number: steps.land.number", f"number: {number}")


@pytest.mark.parametrize(
    "inputs",
    [
        "{text: steps.plan.output.approach}",
        "{text: inputs.path ~ 'x', of: steps.look.findings}",
        "{text: steps.work.rounds | string, of: '[]'}",
        "{text: '\"a\" if inputs.path else 1', of: steps.look.blocking | sort}",
    ],
)
def test_what_a_function_takes_and_gives_is_read_as_what_any_step_gives(inputs: str) -> None:
    assert read(counting(inputs)).name == "good"


@pytest.mark.parametrize(
    ("inputs", "number", "line", "said"),
    [
        ("{text: task.title}", "steps.counted.numbr", 29, "has no 'numbr'; did you mean 'number'"),
        ("{text: task.title}", "steps.counted.number.deep", 29, "has no names in it"),
        ("{txt: task.title, text: task.title}", "steps.counted.number", 23, "no input 'txt'; did you mean 'text'"),
        ("{of: steps.look.findings}", "steps.counted.number", 23, "does not give the input 'text'"),
        ("{text: steps.look.findings}", "steps.counted.number", 25, "is a list and not a text"),
        ("{text: steps.work.rounds}", "steps.counted.number", 25, "is a number and not a text"),
        ("{text: not inputs.path}", "steps.counted.number", 25, "is true or false and not a text"),
        ("{text: '3'}", "steps.counted.number", 25, "is a number and not a text"),
        ("{text: steps.look.findings | length}", "steps.counted.number", 25, "is a number and not a text"),
        ("{text: task.title, of: task.title}", "steps.counted.number", 25, "is a text and not a list"),
        (
            "{text: task.title, of: project.checks}",
            "steps.counted.number",
            25,
            "is a list of what is a text and not a mapping",
        ),
        ("{text: task.title, of: task.criteria}", "steps.counted.number", 25, "is a list of what has no 'title'"),
    ],
)
def test_what_does_not_fit_a_function_is_refused_with_its_line(inputs: str, number: str, line: int, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read(counting(inputs, number))

    assert f"good.yaml:{line}: " in refused.value.message
    assert said in refused.value.message


SHAPES: dict[str, Shape] = {
    "one": {"anyOf": [TEXT, NUMBER]},
    "choice": {"enum": ["a", 1, True, None, ["x"]]},
    "held": closed(name=TEXT, each=listing(closed(name=NUMBER))),
    "whole": {"type": "integer"},
}


@pytest.mark.parametrize(
    ("expression", "wanted", "why"),
    [
        ("one", TEXT, ""),
        ("one", listing({}), "is a number or a text and not a list"),
        ("choice", {"type": "boolean"}, ""),
        ("choice", {"type": "object"}, "is a list or a number or a text or nothing or true or false and not a mapping"),
        ("whole", NUMBER, ""),
        ("held['name']", NUMBER, "is a text and not a number"),
        ("held.each[0].name", TEXT, "is a number and not a text"),
        ("held", closed(each=listing(closed(name=TEXT))), "has a 'each' that is a list of what has a 'name' that is"),
        ("{'a': 1}", TEXT, "is a mapping and not a text"),
        ("(1, 2)", TEXT, "is a list and not a text"),
        ("unknown.names[one]", TEXT, ""),
        ("f(x)", TEXT, ""),
        ("held.each | first", TEXT, ""),
    ],
)  # fmt: skip
def test_a_value_is_said_not_to_fit_only_where_no_value_could(expression: str, wanted: Shape, why: str) -> None:
    found = unfit(shape_of(expression, SHAPES), wanted)
    assert found.startswith(why) if why else not found


LEFT = GOOD.replace("  - id: land", "  - id: left\n    emit: remediation\n    data: {DATA}\n  - id: land")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("{findings: steps.look.findings, checks: steps.proof.words, approach: steps.plan.output.approach}", ""),
        ("{checks: steps.proof.words}", "does not give the input 'findings'"),
        ("{findings: steps.look.findings, tree: change.tree}", "there is no input 'tree'"),
        ("{findings: steps.look.case_for}", "is a text and not a list"),
        ("{findings: task.criteria, checks: steps.proof.results}", "'steps.proof.results', is a list and not a text"),
    ],
)
def test_what_a_run_leaves_has_a_form_of_its_own(data: str, said: str) -> None:
    if not said:
        assert read(LEFT.replace("{DATA}", data)).name == "good"
        return
    with pytest.raises(SettingsError, match=r"good\.yaml:2[35]: ") as refused:
        read(LEFT.replace("{DATA}", data))

    assert said in refused.value.message


def test_a_task_is_not_left_in_a_map_whose_forks_are_thrown_away() -> None:
    steps = "[{id: left, emit: remediation, data: {findings: '[]'}}, {id: told, emit: other, data: {x: '1'}}]"
    inside = f"  - {{id: each, map: '[1]', steps: {steps}}}\n  - id: land"
    with pytest.raises(SettingsError, match="'left' cannot be in a map") as refused:
        read(GOOD.replace("  - id: land", inside))

    assert "told" not in refused.value.message
