"""What is known of a value before it is there: a JSON schema, as far as it says which names a value has.

`steps.plan.output.risk` is looked up name by name. An object without `properties`, or that allows others, may have any.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nightmill.blueprint.nouns import (
    SEVERITIES,
    AgentStep,
    ApproveStep,
    AskStep,
    CallStep,
    ChangeStep,
    CheckStep,
    Input,
    MapStep,
    PythonStep,
    RepeatStep,
    ReviewStep,
    RunStep,
    Step,
)

__all__ = [
    "ANY",
    "FINDING",
    "FLAG",
    "GIVEN",
    "NUMBER",
    "TEXT",
    "Shape",
    "Signature",
    "closed",
    "lacking",
    "listing",
    "malformed",
    "meant",
    "of_input",
    "of_step",
]

Shape = Mapping[str, Any]
"""A JSON schema."""

ANY: Shape = {}
TEXT: Shape = {"type": "string"}
FLAG: Shape = {"type": "boolean"}
NUMBER: Shape = {"type": "number"}
TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
TEXTS: Shape = {"type": "array", "items": TEXT}


def closed(**properties: Shape) -> Shape:
    """An object with exactly *properties*."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def listing(items: Shape) -> Shape:
    """A list of *items*."""
    return {"type": "array", "items": items}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What something takes, each input by its name, those that it *needs*, and what it *gives*: an object."""

    inputs: Mapping[str, Shape]
    needs: tuple[str, ...] = ()
    gives: Shape = field(default_factory=dict)


FINDING: Shape = {
    **closed(
        id=TEXT,
        severity={"enum": list(SEVERITIES)},
        title=TEXT,
        detail=TEXT,
        path=TEXT,
        line={"type": "integer"},
        criterion=TEXT,
        evidence=TEXT,
    ),
    "required": ["severity", "title", "detail"],
}
"""What a role finds in a change: `id` is given by the system, `path` and `line` say where, `evidence` what shows it."""

GIVEN: dict[str, Shape] = {
    "task": closed(
        title=TEXT, instruction=TEXT, criteria={"type": "array", "items": closed(id=TEXT, text=TEXT)}, paths=TEXTS
    ),
    "spec": closed(title=TEXT, text=TEXT),
    "project": closed(id=TEXT, language=TEXT, facts=TEXT, instructions=TEXT, files=TEXT, checks=TEXTS),
    "skills": TEXT,
    "earlier": TEXT,
    "change": closed(diff=TEXT, files=TEXTS, tree=TEXT, lines=NUMBER, reviews=TEXTS),
    "run": closed(id=TEXT, by=TEXT),
}
"""What every run is given. A blueprint that names none of it sees none of it."""

CHECKED: Shape = closed(
    check=TEXT,
    passed=FLAG,
    exit=NUMBER,
    stopped=TEXT,
    failures={"type": "array", "items": closed(id=TEXT, kind=TEXT)},
    tests=TEXT,
)
GIVES: dict[type[Any], dict[str, Shape]] = {
    RunStep: {"exit": NUMBER, "output": TEXT, "stopped": TEXT, "seconds": NUMBER},
    CheckStep: {
        "tree": TEXT,
        "words": TEXT,
        "results": {"type": "array", "items": CHECKED},
        "not_shown": TEXTS,
    },
    AgentStep: {"summary": TEXT, "evidence": ANY, "changed": TEXTS, "turns": NUMBER},
    ReviewStep: {
        "role": TEXT,
        "approved": FLAG,
        "case_for": TEXT,
        "case_against": TEXT,
        "findings": {"type": "array", "items": FINDING},
        "blocking": {"type": "array", "items": FINDING},
        "tree": TEXT,
    },
    ApproveStep: {"by": TEXT, "because": TEXT, "tree": TEXT},
    AskStep: {"answer": TEXT, "by": TEXT},
    MapStep: {"results": {"type": "array"}, "count": NUMBER, "failed": NUMBER},
    RepeatStep: {"rounds": NUMBER},
    CallStep: {},
    ChangeStep: {"number": NUMBER, "branch": TEXT, "commit": TEXT},
    PythonStep: {},
}


def of_input(given: Input) -> Shape:
    """The shape of an input."""
    kinds: dict[str, Shape] = {
        "number": NUMBER,
        "boolean": FLAG,
        "list": {"type": "array"},
        "object": ANY,
        "choice": {"enum": list(given.choices)},
    }
    return kinds.get(given.type, TEXT)


def of_step(
    step: Step,
    *,
    outputs: Mapping[str, Sequence[str]] | None = None,
    functions: Mapping[str, Signature] | None = None,
) -> Shape:
    """What *step* gives; *outputs* are the names of the outputs of blueprints that it may call, *functions* those that it may."""
    own: dict[str, Shape] = dict(GIVES.get(type(step), {}))
    if isinstance(step, AgentStep):
        own["output"] = step.output or ANY
    if isinstance(step, CallStep):
        own |= dict.fromkeys((outputs or {}).get(step.call, ()), ANY)
    known = (functions or {}).get(step.python) if isinstance(step, PythonStep) else None
    shape = closed(ok=FLAG, ran=FLAG, reason=TEXT, **own, **(known.gives.get("properties", {}) if known else {}))
    return {**shape, "additionalProperties": True} if isinstance(step, PythonStep) and known is None else shape


def lacking(shape: Shape, names: Sequence[str]) -> tuple[int, tuple[str, ...]] | None:
    """The number of the first of *names*, read one after the other, that a value of *shape* cannot have.

    With it the names that there are, none where the value has no names at all; None if nothing is lacking.
    """
    for number, name in enumerate(names):
        properties = shape.get("properties")
        if properties is None:
            plain = shape.get("type") in {"string", "number", "integer", "boolean", "array"} or "enum" in shape
            return (number, ()) if plain else None
        if name not in properties:
            return None if shape.get("additionalProperties") is True else (number, tuple(properties))
        shape = properties[name]
    return None


def malformed(shape: Any, at: str = "output") -> str:
    """Why nothing can be of *shape*, which is to be a JSON schema and stands *at* its place, in words; "" if something can."""
    if not isinstance(shape, Mapping):
        return f"`{at}` is no schema"
    named = shape.get("type", [])
    for each in [named] if isinstance(named, str) else named:
        if each not in TYPES:
            return f"`{at}.type` is {each!r}, which JSON has not{meant(str(each), TYPES)}"
    properties = shape.get("properties", {})
    if not isinstance(properties, Mapping):
        return f"`{at}.properties` is no mapping of names to schemas"
    for name in shape.get("required", ()):
        if name not in properties and shape.get("additionalProperties") is False:
            return f"`{at}` requires {name!r}, which it does not allow{meant(str(name), tuple(properties))}"
    inner = {f"{at}.{name}": each for name, each in properties.items()}
    inner |= {f"{at}.items": shape["items"]} if "items" in shape else {}
    inner |= {f"{at}.{key}": each for key in ("anyOf", "oneOf", "allOf") for each in shape.get(key, ())}
    return next((why for place, each in inner.items() if (why := malformed(each, place))), "")


def meant(name: str, known: Sequence[str]) -> str:
    """The one of *known* that *name* was probably to be, in words."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
