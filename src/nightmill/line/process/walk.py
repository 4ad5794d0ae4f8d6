"""The walk through a blueprint: which step comes next, what it may read, and how it ends. Nothing here does anything.

Between two steps there is nothing that could come out otherwise when it is done again: what looks at the world is a
`Doer`, whose outcomes are remembered. So a walk that starts over goes the same way, as far as it went before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

from nightmill.blueprint.expression import evaluate, paths, render
from nightmill.blueprint.nouns import Blueprint, CallStep, RepeatStep, Step, StopStep
from nightmill.blueprint.shapes import GIVEN, of_step
from nightmill.errors import SettingsError

__all__ = ["At", "Doer", "Ended", "Outcome", "walk"]

Values = Mapping[str, Any]
LONGEST_REASON = 2_000
NOTHING: Values = MappingProxyType({})


class Outcome(NamedTuple):
    """How a step ended. *value* is what later steps read of it, plain JSON; *reason* says why it is not *ok*."""

    ok: bool
    value: Mapping[str, Any] = NOTHING
    reason: str = ""


class Ended(NamedTuple):
    """How a walk ended. *step* is the way to the step that ended it, "" where all were gone through."""

    kind: Literal["done", "failed", "stopped"]
    outputs: Mapping[str, Any] = NOTHING
    reason: str = ""
    step: str = ""


class Doer(Protocol):
    """What does the steps."""

    async def do(self, step: Step, at: At) -> Outcome:
        """Do *step*. A failure is an outcome; what is raised ends the walk as it is."""
        ...

    async def given(self, name: str, part: str) -> Any:
        """The value *part* of *name*, one of those that every run is given; all of *name* for ""."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """Where a step stands: the way to it, which no other step of the run has, and what it may read."""

    path: str
    scope: str
    """Where its blueprint was called, "" for the run's own."""
    blueprint: Blueprint
    values: Values
    doer: Doer
    told: Callable[[str, Step, Outcome | None], None]
    blueprints: Mapping[str, Blueprint]

    async def value(self, expression: str) -> Any:
        """What *expression* comes to here.

        Raises:
            SettingsError: If it cannot be worked out.
        """
        return evaluate(expression, await self._with_given(expression, template=False))

    async def values_of(self, expressions: Mapping[str, str]) -> dict[str, Any]:
        """What each of *expressions* comes to here."""
        return {name: await self.value(text) for name, text in expressions.items()}

    async def text(self, template: str) -> str:
        """*template* with its values.

        Raises:
            SettingsError: If it cannot be worked out, or becomes too long.
        """
        return render(template, await self._with_given(template, template=True))

    def under(self, name: str, **values: Any) -> At:
        """A place within this one."""
        return replace(self, path=f"{self.path}/{name}" if self.path else name, values={**self.values, **values})

    async def _with_given(self, text: str, *, template: bool) -> Values:
        """The values with those of the run that *text* reads, and no other of them."""
        found: dict[str, Any] = {}
        for path in paths(text, template=template):
            name, *rest = path.names
            if name not in GIVEN or name in self.values:
                continue
            if "properties" not in GIVEN[name]:
                found[name] = await self.doer.given(name, "")
                continue
            parts = rest[:1] or list(GIVEN[name]["properties"])
            known = found.setdefault(name, {})
            for part in parts:
                if part not in known:
                    known[part] = await self.doer.given(name, part)
        return {**found, **self.values}


class _Over(Exception):
    """The walk ends here."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.reason)
        self.ended = ended


@dataclass(slots=True)
class _Failed(Exception):
    """A step failed that may not."""

    reason: str
    step: str


async def walk(
    blueprint: Blueprint,
    inputs: Values,
    *,
    doer: Doer,
    blueprints: Mapping[str, Blueprint],
    told: Callable[[str, Step, Outcome | None], None] = lambda _path, _step, _outcome: None,
    values: Values = NOTHING,
) -> Ended:
    """Go through *blueprint* with *inputs*; *blueprints* are those that it may call, by name.

    *told* hears of every step as it ends, with None for one that is left out. *values* are what the steps may read from
    before, where they are those of an item of a map.
    """
    top = At(path="", scope="", blueprint=blueprint, values=values, doer=doer, told=told, blueprints=blueprints)
    try:
        return Ended("done", await _through(top, blueprint, inputs))
    except _Over as over:
        return over.ended
    except _Failed as failed:
        return Ended("failed", reason=failed.reason, step=failed.step)


async def _through(at: At, blueprint: Blueprint, inputs: Values) -> dict[str, Any]:
    """What *blueprint* gives that is called at *at*."""
    known = NOTHING if at.path else at.values  # who is called sees what it is given and nothing else
    steps: dict[str, Any] = dict(known.get("steps", {}))
    own = {"inputs": known.get("inputs") or _filled(blueprint, inputs), "steps": steps}
    inside = replace(at, scope=at.path, blueprint=blueprint, values={**known, **own})
    await _all(blueprint.steps, inside, steps)
    return await inside.values_of(blueprint.outputs)


def _filled(blueprint: Blueprint, inputs: Values) -> dict[str, Any]:
    return {name: inputs.get(name, given.default) for name, given in blueprint.inputs.items()}


async def _all(steps: tuple[Step, ...], at: At, gave: dict[str, Any]) -> None:
    """Do *steps* in order; what each gives goes into *gave*, where the next ones read it.

    Raises:
        _Failed: If one failed that may not.
        _Over: If one ends the walk.
    """
    for step in steps:
        here = at.under(step.id)
        outcome = await _one(step, here, at, gave)
        gave[step.id] = _plain(step, outcome)
        at.told(here.path, step, outcome)
        if outcome is not None and not outcome.ok and not step.may_fail:
            raise _Failed(outcome.reason or f"the step {step.id!r} failed", here.path)


async def _one(step: Step, here: At, at: At, gave: dict[str, Any]) -> Outcome | None:
    try:
        if step.when and not await at.value(step.when):
            return None
        match step:
            case RepeatStep():
                return await _repeat(step, here, gave)
            case CallStep():
                called = at.blueprints[step.call]
                return Outcome(ok=True, value=await _through(here, called, await at.values_of(step.inputs)))
            case StopStep():
                await _stop(step, here, at)
        return await at.doer.do(step, replace(at, path=here.path))
    except SettingsError as error:  # an expression that these values do not fit
        return Outcome(ok=False, reason=f"{error.message} ({error.hint})" if error.hint else error.message)
    except _Failed as failed:
        if not step.may_fail:
            raise
        return Outcome(ok=False, reason=failed.reason)


async def _repeat(step: RepeatStep, here: At, gave: dict[str, Any]) -> Outcome:
    for number in range(1, step.repeat + 1):
        values = {**here.values, "round": number, "rounds": step.repeat}
        inside = replace(here, path=f"{here.path}.{number}", values=values)
        await _all(step.steps, inside, gave)
        if await inside.value(step.until):
            return Outcome(ok=True, value={"rounds": number})
    last = [gave[each.id]["reason"] for each in step.steps if gave[each.id]["ok"] is False]
    reason = f"{step.title or step.id} is not done after {step.repeat} rounds: {last[-1] if last else step.until}"
    return Outcome(ok=False, value={"rounds": step.repeat}, reason=reason)


async def _stop(step: StopStep, here: At, at: At) -> None:
    reason = (await at.text(step.stop))[:LONGEST_REASON]
    if step.wait:
        await at.doer.do(step, replace(at, path=here.path))
    outcome = Outcome(ok=True, reason=reason)
    at.told(here.path, step, outcome)
    raise _Over(Ended("stopped", reason=reason, step=here.path))


def _plain(step: Step, outcome: Outcome | None) -> dict[str, Any]:
    """What later steps read of *outcome*: all names of its kind, with nothing where it gave nothing."""
    empty = dict.fromkeys(of_step(step)["properties"])
    if outcome is None:
        return {**empty, "ok": None, "ran": False, "reason": ""}
    return {**empty, **outcome.value, "ok": outcome.ok, "ran": True, "reason": outcome.reason}
