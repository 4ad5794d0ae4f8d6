"""Tests of a blueprint: what its steps are to give, and which way the run then has to go. No model is asked.

They stand beside it, in `NAME.test.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from nightmill.blueprint.mistakes import shapeless
from nightmill.blueprint.nouns import Blueprint, CallStep, MapStep, RepeatStep, Step, StopStep, walk
from nightmill.blueprint.shapes import GIVEN, lacking, meant, of_step
from nightmill.errors import SettingsError
from nightmill.written import Lines, compose, values

__all__ = ["TESTS", "Case", "Given", "parse", "sample", "schema", "wrong"]

TESTS = ".test.yaml"
LARGEST = 256 << 10
DEEPEST = 24
Gives = dict[str, Any]
LEAST = {"number": 0, "integer": 0, "boolean": False, "string": ""}
Texts = str | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way that a run can go.

    Attributes:
        inputs: What it is started with.
        given: What every run is given (`task`, `spec`, `project`, …), where steps read it; what is left out is made up.
        steps: What a step gives, by its id; a list: each time that it is done, the last for all times after. `ok` and
            `reason` say that it failed. A step that is not named does well, and gives the least that it can.
        sees: Texts that have to stand in what an agent, a reviewer or a person is told in a step.
        order: Ids of the steps as they are done; of a blueprint that is called, "call/step". Not said: any order.
        ends: "waits" is a stop that waits for a person.
        reason: A text that has to stand in why it ended.
        outputs: Outputs as they have to be; others may be anything.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200, description="A sentence: what holds in it.")]
    inputs: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, Gives | tuple[Gives, ...]] = field(default_factory=dict)
    sees: dict[str, Texts] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    ends: Literal["done", "failed", "stopped", "waits"] = "done"
    reason: str = ""
    outputs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A file of cases."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    cases: Annotated[tuple[Case, ...], Field(min_length=1, max_length=200)]


@cache
def _adapter() -> TypeAdapter[Given]:
    return TypeAdapter(Given)


def schema() -> dict[str, Any]:
    """The JSON schema of such files, for editors."""
    found = _adapter().json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tests of a nightmill blueprint",
        **found,
    }


def parse(body: bytes, blueprint: Blueprint, *, source: str) -> tuple[Case, ...]:
    """The cases in the bytes of the file *source*, which are about *blueprint*.

    Raises:
        SettingsError: If it is no such file, or names what the blueprint has not; the message names the line.
    """
    written = values(compose(body, name=source, largest=LARGEST, deepest=DEEPEST), name=source)
    try:
        found = _adapter().validate_python(written.value)
    except ValidationError as error:
        raise shapeless(error.errors(), written, source, keys=_keys) from None
    for number, case in enumerate(found.cases):
        for way, said in wrong(case, blueprint):
            raise SettingsError(
                f"{source}:{_line(written.lines, ('cases', number, *way))}: {said}", hint="see `blueprint show`"
            )
    return found.cases


def _keys(_: Any, way: tuple[str | int, ...]) -> tuple[str, ...]:
    return tuple(Case.__dataclass_fields__) if way else tuple(Given.__dataclass_fields__)


def wrong(case: Case, blueprint: Blueprint) -> Iterator[tuple[tuple[str, ...], str]]:
    """What *case* says that *blueprint* has not: where, and in a sentence."""
    steps = {step.id: step for step in walk(blueprint.steps)}
    yield from _inputs(case, blueprint)
    for name in case.given:
        if name not in GIVEN:
            yield ("given", name), f"no run is given {name!r}{meant(name, tuple(GIVEN))}"
    for key, names in (("steps", case.steps), ("sees", case.sees), ("order", dict.fromkeys(case.order))):
        for name in names:
            if "/" not in name and name not in steps:
                yield (key, name), f"there is no step {name!r}{meant(name, tuple(steps))}"
    for name in case.steps.keys() & steps.keys():
        yield from ((("steps", name), said) for said in _gives(steps[name], case.steps[name]))


def _inputs(case: Case, blueprint: Blueprint) -> Iterator[tuple[tuple[str, ...], str]]:
    for name in case.inputs:
        if name not in blueprint.inputs:
            yield ("inputs", name), f"there is no input {name!r}{meant(name, tuple(blueprint.inputs))}"
    for name, each in blueprint.inputs.items():
        if each.needed and name not in case.inputs:
            yield ("inputs",), f"the input {name!r} is not given"


def _gives(step: Step, given: Gives | tuple[Gives, ...]) -> Iterator[str]:
    if isinstance(step, RepeatStep | MapStep | CallStep | StopStep):
        yield f"{step.id!r} gives what its own steps come to: say what those give"
        return
    for each in given if isinstance(given, tuple) else (given,):
        for name, value in each.items():
            found = lacking(of_step(step), (name,))
            if found is not None:
                yield f"{step.id!r} gives no {name!r}{meant(name, found[1])}"
            if name == "output" and isinstance(value, dict):
                for inner in value:
                    if (found := lacking(of_step(step), ("output", inner))) is not None:
                        yield f"the output of {step.id!r} has no {inner!r}{meant(inner, found[1])}"


def sample(shape: Mapping[str, Any]) -> Any:
    """The least value of *shape*, a JSON schema: empty texts and lists, zero, no, the first of a choice."""
    if "enum" in shape:
        return shape["enum"][0]
    if shape.get("type") == "object":
        named = shape.get("properties", {})
        return {name: sample(each) for name, each in named.items() if name in shape.get("required", named)}
    if shape.get("type") == "array":
        return [sample(shape.get("items", {}))] * shape.get("minItems", 0)
    return LEAST.get(shape.get("type", ""))


def _line(lines: Lines, way: tuple[Any, ...]) -> int:
    return next(lines[way[:size]] for size in range(len(way), -1, -1) if way[:size] in lines)
