"""A blueprint with all that it calls: where a run can come to in it, and who judges whose work on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nightmill.blueprint.expression import constant
from nightmill.blueprint.facts import REMEDIATION
from nightmill.blueprint.names import Fault
from nightmill.blueprint.nouns import (
    AgentStep,
    ApproveStep,
    AskStep,
    Blueprint,
    CallStep,
    ChangeStep,
    EmitStep,
    MapStep,
    RepeatStep,
    ReviewStep,
    Step,
    StopStep,
    walk,
)
from nightmill.crew import Role
from nightmill.errors import SettingsError

__all__ = ["always", "circles", "own_work", "reached", "stops", "waits"]

Blueprints = Mapping[str, Blueprint]


def reached(blueprint: Blueprint, blueprints: Blueprints) -> list[Blueprint]:
    """*blueprint*, and all of *blueprints* that a run of it can come to."""
    found: list[Blueprint] = []
    todo = [blueprint]
    while todo:
        at = todo.pop()
        if at not in found:
            found.append(at)
            names = [step.call for step in walk(at.steps) if isinstance(step, CallStep)]
            todo += [blueprints[name] for name in names if name in blueprints]
    return found


def circles(blueprint: Blueprint, blueprints: Blueprints) -> Iterator[Fault]:
    """Blueprints that call each other in a circle: a loop without a bound."""

    def follow(at: Blueprint, way: tuple[str, ...], line: int) -> Iterator[Fault]:
        for step in walk(at.steps):
            if not isinstance(step, CallStep) or step.call not in blueprints:
                continue
            where = line or step.line  # where it begins, in the file that is looked at
            if step.call in way:
                yield Fault(where, f"a circle: {' → '.join((*way, step.call))}", "a loop is a `repeat`")
            else:
                yield from follow(blueprints[step.call], (*way, step.call), where)

    yield from follow(blueprint, (blueprint.name,), 0)


def own_work(blueprint: Blueprint, blueprints: Blueprints, roles: Mapping[str, Role]) -> Iterator[Fault]:
    """A role that judges what it wrote, here or in what is called.

    Who writes tests may judge the code that others wrote; where nobody writes code, the tests are what is judged.
    """
    every = [step for at in reached(blueprint, blueprints) for step in walk(at.steps)]
    working = [roles[step.agent] for step in every if isinstance(step, AgentStep) and step.agent in roles]
    writing = {each.name for each in working if each.writes == "code"} or {
        each.name for each in working if each.writes == "tests"
    }
    mine = set(map(id, walk(blueprint.steps)))
    for step in every:
        if isinstance(step, ReviewStep) and step.review in writing:
            line = step.line if id(step) in mine else 1
            said = f"the role {step.review!r} would judge its own work in {step.id!r}"
            yield Fault(line, said, "let another role judge: the approver is not the author")


def stops(step: Step, blueprints: Blueprints, within: tuple[str, ...] = ()) -> str:
    """The id of the step that ends every run which comes to *step*; "" if one may go on behind it."""
    if step.when and always(step.when) is not True:
        return ""
    if isinstance(step, StopStep):
        return step.id
    steps: tuple[Step, ...] = step.steps if isinstance(step, RepeatStep) else ()
    if isinstance(step, CallStep) and step.call in blueprints and step.call not in within:
        steps, within = blueprints[step.call].steps, (*within, step.call)
    return next((found for each in steps if (found := stops(each, blueprints, within))), "")


def waits(step: Step, blueprints: Blueprints) -> str:
    """The id of what cannot be done in a fork that is thrown away, *step* itself or one that it calls; "": nothing."""
    leaves = (isinstance(step, EmitStep) and step.emit == REMEDIATION) or (isinstance(step, StopStep) and step.wait)
    if leaves or isinstance(step, ChangeStep | ApproveStep | AskStep | MapStep):
        return step.id
    if not isinstance(step, CallStep) or step.call not in blueprints:
        return ""
    inner = (each for at in reached(blueprints[step.call], blueprints) for each in walk(at.steps))
    found = next((each.id for each in inner if not isinstance(each, CallStep) and waits(each, blueprints)), "")
    return f"{step.call}/{found}" if found else ""


def always(expression: str) -> bool | None:
    """Whether *expression* is always true or always false; None if that depends on values, or it is none."""
    try:
        return constant(expression)
    except SettingsError:
        return None  # said where its names are looked at
