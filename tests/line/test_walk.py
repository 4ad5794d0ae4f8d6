"""Any blueprint with any outcomes and any crashes ends as a small model of its meaning says, and does each step once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightmill.blueprint import Blueprint, Known, faults, parse
from nightmill.blueprint.nouns import CallStep, RepeatStep, RunStep, Step, StopStep
from nightmill.crew import find
from nightmill.line.process.walk import At, Ended, Outcome, walk
from nightmill.line.stop import Stopped

MOST_DEPTH = 3
ROLES = {role.name: role for role in find().roles}


class Crash(Exception):
    """The worker dies."""


class Over(Exception):
    """The model's way out, with the step that came to its bound."""


@dataclass
class World:
    """A doer whose outcomes are drawn once per step and remembered, as the engine remembers them.

    *dies* says before which of all deeds, counted over all lives, the worker dies: before it is remembered or after.
    *limits* are the numbers of steps that come to a bound, which ends the run whatever may fail; that is remembered, too.
    """

    draws: list[bool]
    dies: set[int] = field(default_factory=set)
    limits: frozenset[int] = frozenset()
    kept: list[tuple[str, Outcome | None]] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    at: int = 0
    deeds: int = 0
    told: list[tuple[str, str]] = field(default_factory=list)

    async def do(self, step: Step, at: At) -> Outcome:
        if self.at < len(self.kept):
            path, outcome = self.kept[self.at]
            assert path == at.path, f"it was {path} before, and is {at.path} now"
            self.at += 1
            return self.ended(path, outcome)
        self.deeds += 1
        if self.deeds in self.dies:
            raise Crash
        ok = self.draws[len(self.kept) % len(self.draws)]
        outcome = Outcome(ok=ok, value={"exit": len(self.kept)}, reason="" if ok else f"{step.id} failed")
        outcome = None if len(self.kept) in self.limits else outcome
        self.done.append(at.path)
        self.kept.append((at.path, outcome))
        self.at += 1
        if -self.deeds in self.dies:
            raise Crash
        return self.ended(at.path, outcome)

    @staticmethod
    def ended(path: str, outcome: Outcome | None) -> Outcome:
        if outcome is None:
            raise Stopped("limit", "a bound", path)
        return outcome

    async def given(self, name: str, part: str) -> Any:
        return f"{name}.{part}"

    def tell(self, path: str, step: Step, outcome: Outcome | None) -> None:
        self.told.append((path, "skipped" if outcome is None else "done" if outcome.ok else "failed"))


def live(blueprint: Blueprint, blueprints: Mapping[str, Blueprint], world: World) -> Ended:
    """Walk until it ends, however often the worker dies."""
    while True:
        world.at = 0
        world.told.clear()
        try:
            return asyncio.run(walk(blueprint, {}, doer=world, blueprints=blueprints, told=world.tell))
        except Crash:
            continue
        except Stopped as stopped:
            return Ended("stopped", reason=stopped.reason, step=stopped.hint)


@dataclass
class Model:
    """What a blueprint means, said once more and shorter: steps in order, conditions, loops, calls."""

    draws: list[bool]
    blueprints: Mapping[str, Blueprint]
    limits: frozenset[int] = frozenset()
    done: list[str] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)

    def go(self, blueprint: Blueprint) -> tuple[str, str]:
        """(kind, the step that ended it)."""
        try:
            return self.steps(blueprint.steps, "", {}) or ("done", "")
        except Over as over:
            return "stopped", str(over)

    def steps(self, steps: tuple[Step, ...], above: str, gave: dict[str, Any]) -> tuple[str, str] | None:  # noqa: C901 - one place says it all
        for step in steps:
            path = f"{above}/{step.id}" if above else step.id
            if step.when and not gave.get(step.when.removeprefix("steps.").removesuffix(".ok")):
                gave[step.id] = None
                self.told.append((path, "skipped"))
                continue
            match step:
                case StopStep():
                    self.told.append((path, "done"))
                    return "stopped", path
                case CallStep():
                    end = self.steps(self.blueprints[step.call].steps, path, {})
                case RepeatStep():
                    end = self.repeat(step, path, gave)
                case _:
                    end = None if self.draw(path) else ("failed", path)
            if end is not None and end[0] == "stopped":
                return end
            gave[step.id] = end is None
            if end is not None and not step.may_fail and end[1] != path:
                return end  # a step within it failed that may not
            self.told.append((path, "done" if end is None else "failed"))
            if end is not None and not step.may_fail:
                return end
        return None

    def repeat(self, step: RepeatStep, path: str, gave: dict[str, Any]) -> tuple[str, str] | None:
        until = step.until.removeprefix("steps.").removesuffix(".ok")
        for number in range(1, step.repeat + 1):
            end = self.steps(step.steps, f"{path}.{number}", gave)
            if end is not None:
                return end
            if gave.get(until):
                return None
        return "failed", path

    def draw(self, path: str) -> bool:
        self.done.append(path)
        if len(self.done) - 1 in self.limits:
            raise Over(path)
        return self.draws[(len(self.done) - 1) % len(self.draws)]


class Names:
    """Names that no other step has."""

    def __init__(self) -> None:
        self.count = 0

    def next(self) -> str:
        self.count += 1
        return f"s{self.count}"


@st.composite
def blocks(draw: st.DrawFn, names: Names, before: tuple[str, ...], calls: tuple[str, ...], depth: int) -> list[Step]:
    """Steps of which each may look at those before it."""
    steps: list[Step] = []
    known = list(before)
    for _ in range(draw(st.integers(1, 4))):
        name, may_fail = names.next(), draw(st.booleans())
        when = f"steps.{draw(st.sampled_from(known))}.ok" if known and draw(st.booleans()) else ""
        kinds = ["run", "run", "run", *(["repeat"] if depth < MOST_DEPTH else []), *(["call"] if calls else []), "stop"]
        match draw(st.sampled_from(kinds)):
            case "run":
                steps.append(RunStep(id=name, run="true", when=when, may_fail=may_fail))
            case "call":
                called = draw(st.sampled_from(calls))
                steps.append(CallStep(id=name, call=called, when=when, may_fail=may_fail))
            case "repeat":
                inner = draw(blocks(names, tuple(known), calls, depth + 1))
                until = f"steps.{draw(st.sampled_from([each.id for each in inner]))}.ok"
                number = draw(st.integers(1, 3))
                steps.append(
                    RepeatStep(id=name, repeat=number, until=until, steps=tuple(inner), when=when, may_fail=may_fail)
                )
            case "stop" if known:
                steps.append(StopStep(id=name, stop="enough", when=f"steps.{known[-1]}.ok"))
            case _:
                steps.append(RunStep(id=name, run="true"))
        known.append(name)
    return steps


@st.composite
def processes(draw: st.DrawFn) -> dict[str, Blueprint]:
    """A blueprint "top", and others that it may call, which call only those after them."""
    found: dict[str, Blueprint] = {}
    for name in ("low", "middle", "top"):
        steps = draw(blocks(Names(), (), tuple(found), 0))
        found[name] = Blueprint(name=name, steps=tuple(steps), source=f"{name}.yaml")
    return found


@settings(max_examples=400)
@given(
    processes(),
    st.lists(st.booleans(), min_size=1, max_size=12),
    st.sets(st.integers(-60, 60), max_size=8),
    st.frozensets(st.integers(0, 40), max_size=1),
)
def test_every_process_ends_as_it_is_meant_to_and_does_each_step_once(
    found: dict[str, Blueprint], draws: list[bool], dies: set[int], limits: frozenset[int]
) -> None:
    top = found["top"]
    known = Known(blueprints=found, roles=ROLES)
    assert not [fault for fault in faults(top, known) if "never reached" not in fault.said]
    model = Model(draws, found, limits)
    kind, step = model.go(top)
    world = World(draws, dies, limits)
    ended = live(top, found, world)

    assert (ended.kind, ended.step) == (kind, step)
    assert ended.kind == "done" or ended.reason
    assert world.done == model.done, "each once, in this order, whatever died"
    assert world.told == model.told
    assert len(set(world.done)) == len(world.done), "no two steps have one way"


def process(text: str) -> Blueprint:
    """The blueprint *text*."""
    return parse(text.encode(), source="x.yaml")


def test_a_step_reads_what_it_names_and_a_called_blueprint_only_what_it_is_given() -> None:
    own = process(
        "name: own\ninputs: {word: {default: mine}, secret: {default: mine}}\nsteps:\n"
        "  - {id: zero, run: make}\n"
        "  - {id: two, call: low, inputs: {word: task.title}}\n"
        "outputs: {said: steps.two.said}\n"
    )
    low = process(
        "name: low\ninputs: {word: {}, other: {default: d}}\nsteps:\n  - {id: one, run: make, env: {W: inputs.word}}\n"
        "outputs: {said: inputs.word ~ inputs.other ~ (steps.zero is defined) ~ (inputs.secret is defined)}\n"
    )
    ended = asyncio.run(walk(own, {}, doer=World([True]), blueprints={"low": low}))
    assert ended.outputs == {"said": "task.titledFalseFalse"}


@pytest.mark.parametrize(("until", "rounds"), [("round == 2", 2), ("steps.b.exit == 3", 4), ("false", None)])
def test_a_loop_goes_on_until_its_condition_or_its_bound(until: str, rounds: int | None) -> None:
    text = f"name: x\nsteps:\n  - id: a\n    repeat: 5\n    until: {until!r}\n    steps: [{{id: b, run: make}}]\n"
    ended = asyncio.run(walk(process(text + "outputs: {n: steps.a.rounds}\n"), {}, doer=World([True]), blueprints={}))
    assert ended.outputs.get("n") == rounds
    assert ended.kind == ("done" if rounds else "failed")


def test_an_expression_that_its_values_do_not_fit_is_a_failure_with_its_words() -> None:
    text = "name: x\nsteps:\n  - {id: a, run: make}\n  - {id: b, run: make, when: steps.a.exit < 'x'}\n"
    ended = asyncio.run(walk(process(text), {}, doer=World([True]), blueprints={}))
    assert (ended.kind, ended.step) == ("failed", "b")
    assert "cannot be worked out" in ended.reason
