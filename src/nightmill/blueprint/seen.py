"""What an agent of a step will see, piece by piece, before anything runs: so that whoever approves sees how little it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nightmill.blueprint.expression import paths
from nightmill.blueprint.nouns import AgentStep, Blueprint, ReviewStep, Step, walk
from nightmill.blueprint.shapes import GIVEN, Shape, closed, of_input, of_step
from nightmill.crew import Role
from nightmill.prompt import part
from nightmill.tool.toolset import crewed

__all__ = ["GIVENS", "Piece", "Seen", "seen"]

NOTHING: Mapping[str, str] = {}
TOKEN = 4
"""Bytes of a token, about: nobody has a model's own count before it is asked."""
LONGEST = 60_000
"""Characters of one input; the middle of a longer one is left out."""
RESULT, OUTPUT = 40_000, 20_000
"""Characters of what an agent hands over, and of what a command prints."""

GIVENS = (
    "spec.text",
    "task.instruction",
    "task.criteria",
    "project.files",
    "project.instructions",
    "project.facts",
    "change.diff",
    "skills",
    "earlier",
)
"""The large ones of what every run is given."""
REVIEWED = {"criteria": "task.criteria", "spec": "spec.text", "diff": "change.diff"}
"""What a reviewer sees where its step names nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of what an agent sees.

    Attributes:
        source: Where it comes from: a file, an expression.
        tokens: About so many; None: known only when the step runs.
        most: Tokens at most, where they are not known.
        said: What it is, where it is not known yet.
    """

    name: str
    source: str
    tokens: int | None
    most: int = 0
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that the agent of one step sees at its first turn, and *absent*: the large things that it does not see."""

    step: str
    title: str
    role: str
    pieces: tuple[Piece, ...]
    absent: tuple[str, ...]

    @property
    def known(self) -> int:
        """Tokens of what is known already."""
        return sum(each.tokens or 0 for each in self.pieces)

    @property
    def most(self) -> int:
        """Tokens that what is not known yet adds at most."""
        return sum(each.most for each in self.pieces if each.tokens is None)


def seen(
    blueprint: Blueprint,
    *,
    roles: Mapping[str, Role],
    measured: Mapping[str, str],
    review: Shape,
    memory: Mapping[str, str] = NOTHING,
) -> tuple[Seen, ...]:
    """What each agent of *blueprint* sees.

    *measured* are values that are known already, as texts, by their expressions; *review* is the schema of what a reviewer
    hands over. *memory* is what each role is given of its notes.
    """
    steps = tuple(walk(blueprint.steps))
    shapes = {step.id: of_step(step) for step in steps}
    inputs = {name: of_input(each) for name, each in blueprint.inputs.items()}
    looking = _Looking(
        {**GIVEN, "inputs": closed(**inputs), "steps": closed(**shapes)},
        measured,
        {step.id: step for step in steps},
        review,
        memory,
    )
    return tuple(looking.at(step, roles[step.agent if isinstance(step, AgentStep) else step.review])
                 for step in steps if isinstance(step, AgentStep | ReviewStep))  # fmt: skip


@dataclass(frozen=True)
class _Looking:
    scope: Mapping[str, Shape]
    measured: Mapping[str, str]
    steps: Mapping[str, Step]
    review: Shape
    memory: Mapping[str, str]

    def at(self, step: AgentStep | ReviewStep, role: Role) -> Seen:
        pieces = (*self._always(role), *self._goal(step), *self._inputs(step), *_tools(step, role, self.review))
        return Seen(step=step.id, title=step.title, role=role.name, pieces=pieces, absent=self._absent(step, pieces))

    def _absent(self, step: AgentStep | ReviewStep, pieces: Iterable[Piece]) -> tuple[str, ...]:
        """The large things that are in none of *pieces*, nor in the conversation that goes on."""
        read = {piece.source for piece in pieces}
        other = self.steps.get(step.goes_on) if isinstance(step, AgentStep) else None
        if isinstance(other, AgentStep):
            read |= {piece.source for piece in (*self._goal(other), *self._inputs(other))}
        return tuple(name for name in GIVENS if name not in read)

    def _always(self, role: Role) -> Iterator[Piece]:
        yield Piece(name="role", source=role.source, tokens=_tokens(role.instructions))
        yield Piece(name="harness", source="prompt agent/harness", tokens=_tokens(part("agent/harness").text))
        if notes := self.memory.get(role.name):
            yield Piece(name="notes", source=f"memory of the {role.name}", tokens=_tokens(notes))

    def _goal(self, step: AgentStep | ReviewStep) -> Iterator[Piece]:
        if isinstance(step, AgentStep) and step.prompt:
            yield Piece(name="prompt", source=f"prompt {step.prompt}", tokens=_tokens(part(step.prompt).text))
            return
        text, where = step.goal, "goal"
        if isinstance(step, AgentStep) and step.goes_on:
            said = "all that was said in it, up to where older parts are left out"
            yield Piece(name="conversation", source=f"of {step.goes_on}", tokens=None, said=said)
            text, where = step.again, "words"
        if where == "goal":
            around = f"agent/{'review' if isinstance(step, ReviewStep) else 'goal'}"
            yield Piece(name="around the goal", source=f"prompt {around}", tokens=_tokens(part(around).text))
        yield Piece(name=where, source="its own text", tokens=_tokens(text))
        for path in dict.fromkeys(str(each) for each in paths(text, template=True)):
            if path.split(".")[0] not in {"round", "rounds"}:
                yield self._value(f"in the {where}", path)

    def _inputs(self, step: AgentStep | ReviewStep) -> Iterator[Piece]:
        named = step.inputs or (REVIEWED if isinstance(step, ReviewStep) else {})
        for name, expression in named.items():
            yield self._value(name, " ".join(expression.split()))
        if isinstance(step, AgentStep) and step.skills:
            yield self._value("skills", "skills")

    def _value(self, name: str, expression: str) -> Piece:
        if expression in self.measured:
            return Piece(name=name, source=expression, tokens=_tokens(self.measured[expression]))
        shape = self._shape(expression)
        return Piece(
            name=name, source=expression, tokens=None, most=_most(expression, shape) // TOKEN, said=_words(shape)
        )

    def _shape(self, expression: str) -> Shape:
        at: Shape = {"properties": self.scope}
        for name in expression.split("."):
            at = at.get("properties", {}).get(name, {})
        return at


def _tools(step: AgentStep | ReviewStep, role: Role, review: Shape) -> Iterator[Piece]:
    only = (step.tools if isinstance(step, AgentStep) else ()) or role.tools
    output = step.output if isinstance(step, AgentStep) else review
    for each in crewed("", only=only).schemas:
        text = each.name + each.description + json.dumps(each.parameters)
        yield Piece(name=f"tool {each.name}", source="its schema", tokens=_tokens(text))
    if output:
        yield Piece(name="what to hand over", source="its schema", tokens=_tokens(json.dumps(output)))


def _tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // TOKEN)


def _most(expression: str, shape: Shape) -> int:
    """Characters at most of a value of *shape*."""
    if shape.get("type") in {"number", "integer", "boolean"} or "enum" in shape:
        return 40
    if expression.endswith((".title", ".id", ".tree", ".branch")):
        return 400
    if ".output" in expression and expression.startswith("steps."):
        return OUTPUT if expression.endswith(".output") and shape.get("type") == "string" else RESULT
    return LONGEST


def _words(shape: Shape) -> str:
    """*shape* in a few words."""
    if "enum" in shape:
        return f"one of {', '.join(map(str, shape['enum']))}"
    what: Any = shape.get("type")
    if what == "array":
        inner = shape.get("items", {})
        return f"list of {_words(inner)}" if inner else "list"
    if what == "object" or "properties" in shape:
        names = ", ".join(shape.get("properties", {}))
        return f"{{{names}}}" if names else "object"
    return {"string": "text", "number": "number", "integer": "number", "boolean": "yes or no"}.get(
        what or "", "anything"
    )
