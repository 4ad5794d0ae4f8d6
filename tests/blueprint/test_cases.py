"""Cases say what steps give; what a blueprint cannot give or has not is refused with its line."""

from __future__ import annotations

import jsonschema
import pytest
import yaml

from nightmill.blueprint import cases, shelves
from nightmill.blueprint.cases import sample
from nightmill.blueprint.catalogue import Catalogue
from nightmill.errors import SettingsError


def refused(shipped: Catalogue, text: str, *, name: str = "quick") -> str:
    with pytest.raises(SettingsError) as raised:
        cases.parse(text.encode(), shipped.get(name), source="t.yaml")
    return raised.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cases: []", "t.yaml:1: `cases` is empty"),
        ("cases:\n  - {name: a, stepz: {}}", "t.yaml:2: unknown key 'stepz'; did you mean 'steps'?"),
        ("cases:\n  - {name: a, ends: never}", "t.yaml:2: `cases.0.ends` is 'never', and has to be one of: done,"),
        (
            "cases:\n  - name: a\n    steps:\n      prof: {ok: true}",
            "t.yaml:4: there is no step 'prof'; did you mean 'proof'?",
        ),
        ("cases:\n  - {name: a, order: [land, lnd]}", "t.yaml:2: there is no step 'lnd'; did you mean 'land'?"),
        ("cases:\n  - {name: a, sees: {x: y}}", "t.yaml:2: there is no step 'x'"),
        (
            "cases:\n  - {name: a, steps: {proof: {wrds: x}}}",
            "t.yaml:2: 'proof' gives no 'wrds'; did you mean 'words'?",
        ),
        ("cases:\n  - {name: a, steps: {work: {rounds: 1}}}", "t.yaml:2: 'work' gives what its own steps come to"),
        (
            "cases:\n  - {nmae: a}",
            "t.yaml:2: the key 'name' is missing\nt.yaml:2: unknown key 'nmae'; did you mean 'name'?",
        ),
        ("- {name: a}", "t.yaml:1: the file is a list, and has to be a mapping"),
        ("cases:\n  - {name: a, inputs: {x: 1}}", "t.yaml:2: there is no input 'x'"),
        ("cases:\n  - {name: a, given: {tsk: {}}}", "t.yaml:2: no run is given 'tsk'; did you mean 'task'?"),
        ("cases: [{name: a}, &x {name: b}]", "t.yaml:1: anchors and aliases are not allowed"),
    ],
)
def test_a_case_that_cannot_be_is_refused_with_its_line(shipped: Catalogue, text: str, said: str) -> None:
    assert refused(shipped, text).startswith(said)


def test_the_output_of_an_agent_has_the_names_of_its_schema(shipped: Catalogue) -> None:
    text = "cases:\n  - name: a\n    steps:\n      plan: [{output: {approach: x}}, {output: {approch: x}}]"

    assert refused(shipped, text, name="deliver") == (
        "t.yaml:4: the output of 'plan' has no 'approch'; did you mean 'approach'?"
    )
    assert refused(shipped, "cases: [{name: a}]", name="triage") == "t.yaml:1: the input 'report' is not given"


def test_the_least_value_of_a_schema_is_one_of_it(shipped: Catalogue) -> None:
    schemas = [getattr(step, "output", {}) for name in shipped.entries for step in shipped.get(name).steps]

    assert sum(bool(each) for each in schemas) >= 6
    for each in filter(None, schemas):
        jsonschema.validate(sample(each), each)


def test_every_shipped_blueprint_has_tests_that_the_published_schema_takes(shipped: Catalogue) -> None:
    files = shelves.shipped().files
    for name in shipped.entries:
        body = files[f"{shelves.SHIPPED}/{name}.test.yaml"]
        jsonschema.validate(yaml.safe_load(body), cases.schema())
        assert body.startswith(
            b"# yaml-language-server: $schema=../../../../docs/reference/blueprint.test.schema.json\n"
        )
        assert cases.parse(body, shipped.get(name), source=name)
