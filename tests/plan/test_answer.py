"""What is taken from an architect's answer, and what it is told when it cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightmill import plan, spec
from nightmill.errors import ToolError

SPEC = spec.read(Path(__file__).parent.parent / "spec" / "specs" / "good" / "feature.md")
ALL = ["AC1", "AC2", "AC3", "AC4"]


def task(name: str = "T1", **changes: Any) -> dict[str, Any]:
    plain = {"id": name, "title": "Save searches", "instruction": "Build what the spec says.", "criteria": ALL}
    return plain | changes


def answer(*tasks: dict[str, Any]) -> str:
    return json.dumps({"tasks": tasks})


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "Here is the plan for {{x}}:\n\n```json\n{}\n```\n\nTell me if it fits.",
        'I thought about {{"a": 1}} first. {} That is all.',
        "```\n{}\n```",
    ],
)  # fmt: skip
def test_plan_is_found_in_fences_and_prose(form: str) -> None:
    body = answer(task(footprint={"paths": ["./src/a.py", "tests/**"], "symbols": ["a.b:c"]}))
    found = plan.read(form.format(body), SPEC, source="architect")

    assert found.source == "architect"
    assert found.tasks[0].criteria == tuple(ALL)
    assert found.tasks[0].footprint == plan.Footprint(paths=("src/a.py", "tests/**"), symbols=("a.b:c",))


def test_tasks_come_in_an_order_that_can_be_built() -> None:
    found = plan.read(answer(task("T2", depends=["T1"]), task("T1")), SPEC, source="architect")

    assert [each.id for each in found.tasks] == ["T1", "T2"]


REFUSED: dict[str, tuple[str, str]] = {
    "no JSON": ("I cannot plan this.", "holds no JSON object"),
    "cut off": (answer(task())[:-20], "holds no JSON object"),
    "no tasks": ('{"tasks": []}', "tasks: List should have at least 1 item"),
    "too many": (answer(*(task(f"T{number}") for number in range(13))), "at most 12 items"),
    "a field that is unknown": (answer(task(depends_on=["T0"])), "tasks.0.depends_on: Extra inputs"),
    "a wrong type": (answer(task(criteria="AC1")), "tasks.0.criteria: Input should be a valid list"),
    "an id that is no name": (answer(task("../x")), "tasks.0.id"),
    "ids twice": (answer(task("T1"), task("t1")), "the id 't1' is there twice"),
    "unknown criteria": (answer(task(criteria=[*ALL, "AC9"])), "unknown criteria 'AC9'; the spec has 'AC1'"),
    "criteria left out": (answer(task(criteria=["AC1", "AC3"])), "no task shows the criteria 'AC2', 'AC4'"),
    "unknown dependency": (answer(task(depends=["T7"])), "depends on 'T7', which is no task"),
    "a circle": (answer(task("A", depends=["B"]), task("B", depends=["A"])), "in a circle: A → B → A"),
    "itself": (answer(task("A", depends=["A"])), "in a circle: A → A"),
    "absolute path": (answer(task(footprint={"paths": ["/etc/passwd"]})), "not relative to the repository"),
    "home": (answer(task(footprint={"paths": ["~/.ssh/id"]})), "not relative to the repository"),
    "drive": (answer(task(footprint={"paths": ["C:/x"]})), "not relative to the repository"),
    "way out": (answer(task(footprint={"paths": ["a/../../b"]})), "leads out of the repository"),
    "git's own": (answer(task(footprint={"paths": [".GIT/hooks/x"]})), "is git's own"),
    "a path with a line break": (answer(task(footprint={"paths": ["a\nb"]})), "cannot be shown"),
    "too deep": ("[" * 100_000, "holds no JSON object"),
    "braces": ("{" * 100_000, "holds no JSON object"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_answer_that_does_not_hold_together_is_refused_with_its_reason(name: str) -> None:
    text, reason = REFUSED[name]

    with pytest.raises(ToolError) as caught:
        plan.read(text, SPEC, source="architect")

    assert reason in caught.value.message
    assert len(caught.value.message) < 6_000
    assert "JSON object" in caught.value.hint


def test_everything_that_is_wrong_is_said_at_once() -> None:
    text = answer(task(criteria=["AC1", "AC9"], depends=["T7"], footprint={"paths": ["/x"]}))

    with pytest.raises(ToolError) as caught:
        plan.read(text, SPEC, source="architect")

    assert caught.value.message.count("\n- ") == 4


def test_nothing_that_a_terminal_obeys_or_a_file_cannot_hold_gets_through() -> None:
    title = "Save\u001b[31m it\n now"

    assert plan.read(answer(task(title=title)), SPEC, source="architect").tasks[0].title == "Save [31m it now"
    with pytest.raises(ToolError) as caught:
        plan.read(answer(task(instruction="Build \ud800 it all.", criteria=["\ud800"])), SPEC, source="architect")
    caught.value.message.encode()


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["tasks", "id", "criteria", "x"]), inner, max_size=3)))  # fmt: skip
@settings(max_examples=150)
def test_any_answer_becomes_a_plan_or_a_message(value: Any) -> None:
    for text in (json.dumps(value), str(value), f"```json\n{json.dumps({'tasks': value})}\n```"):
        with pytest.raises(ToolError):
            plan.read(text, SPEC, source="architect")


def test_schema_is_what_the_reader_takes() -> None:
    schema = plan.schema()

    assert schema["properties"]["tasks"]["maxItems"] == plan.MOST_TASKS
    assert schema["additionalProperties"] is False
    json.dumps(schema)
