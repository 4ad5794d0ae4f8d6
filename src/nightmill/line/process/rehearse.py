"""A blueprint gone through with no model and no sandbox: what its steps give is written down in a case."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nightmill.blueprint import Blueprint, Step, kind
from nightmill.blueprint.cases import Case, sample
from nightmill.blueprint.nouns import AgentStep, CallStep, MapStep, PythonStep, RepeatStep, ReviewStep, StopStep
from nightmill.blueprint.shapes import GIVEN, of_step
from nightmill.line.process import functions
from nightmill.line.process.walk import At, Ended, Outcome, walk

__all__ = ["Rehearsed", "rehearse"]

ROUND = re.compile(r"\.\d+$")
"""At the end of a loop's name on the way to a step."""
ENDS = {"done": "is done", "failed": "fails", "stopped": "stops", "waits": "waits for a person"}
TOLD = ("goal", "again", "approve", "ask", "change", "stop")
"""Texts that somebody reads; rendered each time, so that one that cannot be is found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """How a case went. *order*: the steps as they were done; *faults*: what is not as the case says, a sentence each."""

    case: str
    ends: str
    reason: str
    order: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether all is as the case says."""
        return not self.faults


def rehearse(blueprint: Blueprint, case: Case, *, blueprints: Mapping[str, Blueprint]) -> Rehearsed:
    """Go through *blueprint* as *case* says; *blueprints* are those that it may call.

    The way is found by the code that finds it in a run.
    """
    playing = _Playing(case=case, blueprints=blueprints)
    inputs = {name: case.inputs.get(name, each.default) for name, each in blueprint.inputs.items()}
    ended = asyncio.run(walk(blueprint, inputs, doer=playing, blueprints=blueprints, told=playing.told))
    ends = "waits" if ended.kind == "stopped" and playing.waited else ended.kind
    return Rehearsed(
        case=case.name,
        ends=ends,
        reason=ended.reason,
        order=tuple(playing.order),
        faults=(*playing.faults, *_differs(case, ended, ends, playing)),
    )


@dataclass(slots=True)
class _Playing:
    """The `Doer` that does nothing: it gives what the case says."""

    case: Case
    blueprints: Mapping[str, Blueprint]
    order: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    times: dict[str, int] = field(default_factory=dict)
    heard: dict[str, str] = field(default_factory=dict)
    waited: bool = False

    async def do(self, step: Step, at: At) -> Outcome:
        name = _name(at.path)
        await self._hear(name, step, at)
        if isinstance(step, MapStep):
            return await self._each(step, at)
        if isinstance(step, StopStep):
            self.waited = True
            return Outcome(ok=True)
        if isinstance(step, PythonStep) and name not in self.case.steps:
            return await self._calls(step, at)
        return self._gives(name, step)

    async def given(self, name: str, part: str) -> Any:
        made = sample(GIVEN[name])
        known = {**made, **self.case.given.get(name, {})} if isinstance(made, dict) else self.case.given.get(name, made)
        return known.get(part) if part else known

    def told(self, path: str, step: Step, outcome: Outcome | None) -> None:
        if outcome is not None and not isinstance(step, RepeatStep | CallStep | MapStep):
            self.order.append(_name(path))

    async def _hear(self, name: str, step: Step, at: At) -> None:
        """Work out all that the step reads, and keep what somebody is told this time."""
        texts = {key: await at.text(getattr(step, key)) for key in TOLD if getattr(step, key, "")}
        goes_on = bool(getattr(step, "goes_on", "")) or self.times.get(name, 0) > 0
        if "again" in texts:
            texts = {key: text for key, text in texts.items() if (key == "again") == goes_on}
        told = list(texts.values())
        for key in ("inputs", "env", "data"):
            values = (await at.values_of(getattr(step, key, {}))).values()
            told += [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in values]
        self.heard[name] = "\n".join([self.heard.get(name, ""), *told])

    def _gives(self, name: str, step: Step) -> Outcome:
        said = self.case.steps.get(name, {})
        turn = self.times[name] = self.times.get(name, 0) + 1
        value = dict(said[min(turn, len(said)) - 1] if isinstance(said, tuple) else said)
        reason = str(value.pop("reason", ""))
        made = {**_usual(step), **value}
        if isinstance(made.get("output"), dict) and isinstance(step, AgentStep):
            made["output"] = {**sample(step.output or {"type": "object"}), **made["output"]}
        fails = made.get("approved") is False or bool(made.get("exit"))
        ok = bool(value.get("ok", not fails))
        made = {key: each for key, each in made.items() if key not in {"ok", "ran", "reason"}}
        return Outcome(ok=ok, value=made, reason=reason or ("" if ok else f"{name} failed, as the case says"))

    async def _calls(self, step: PythonStep, at: At) -> Outcome:
        """What the function really gives; the name of a blob is its text here."""
        inputs = await at.values_of(step.inputs)
        try:
            return Outcome(ok=True, value=functions.call(step.python, inputs, read=str.encode))
        except (ValueError, TypeError, LookupError, AttributeError) as error:  # as in a run
            return Outcome(ok=False, reason=f"{step.python}: {error}")

    async def _each(self, step: MapStep, at: At) -> Outcome:
        items = await at.value(step.map)
        if not isinstance(items, list):
            return Outcome(ok=False, reason=f"`map` of {step.id!r} came to {type(items).__name__}, not to a list")
        if len(items) > step.most:
            return Outcome(ok=False, reason=f"{len(items)} items, and {step.id!r} takes {step.most} at most")
        results, failed = [], 0
        own = Blueprint(name=at.blueprint.name, steps=step.steps, outputs={"gives": step.gives} if step.gives else {})
        for item in items:
            values = {**at.values, step.each: item}
            ended = await walk(own, {}, doer=self, blueprints=self.blueprints, told=self.told, values=values)
            failed += ended.kind != "done"
            results.append(ended.outputs.get("gives"))
        value = {"results": results, "count": len(items), "failed": failed}
        return Outcome(ok=not failed, value=value, reason=f"{failed} of {len(items)} items failed" if failed else "")


def _usual(step: Step) -> dict[str, Any]:
    """What a step gives that does well."""
    made: dict[str, Any] = sample(of_step(step, functions=functions.SIGNATURES))
    what = kind(step)
    made |= {"approved": True, "role": step.review} if isinstance(step, ReviewStep) else {}
    made |= {"number": 1} if what == "change" else {}
    return made


def _name(path: str) -> str:
    """The step at *path*, as cases name it: loops are left out, calls are not."""
    *way, last = path.split("/")
    return "/".join([*(part for part in way if not ROUND.search(part)), last])


def _differs(case: Case, ended: Ended, ends: str, playing: _Playing) -> Iterator[str]:
    if ends != case.ends:
        yield f"it {ENDS[ends]}{f': {ended.reason}' if ended.reason else ''}; it {ENDS[case.ends]}, the case says"
    elif case.reason not in ended.reason:
        yield f"it ended because {ended.reason!r}, and not because {case.reason!r}"
    if case.order and tuple(playing.order) != case.order:
        yield _order(case.order, playing.order)
    for name, value in case.outputs.items():
        if ended.outputs.get(name) != value:
            yield f"the output {name!r} is {ended.outputs.get(name)!r}, not {value!r}"
    for name, wanted in case.sees.items():
        yield from _unheard(name, (wanted,) if isinstance(wanted, str) else wanted, playing.heard.get(name))


def _unheard(name: str, wanted: tuple[str, ...], heard: str | None) -> Iterator[str]:
    if heard is None:
        yield f"{name!r} is never done, so it is told nothing"
        return
    for text in wanted:
        if text not in heard:
            yield f"{name!r} is not told {text!r}"


def _order(wanted: tuple[str, ...], done: list[str]) -> str:
    """Where two orders part, with what is around."""
    at = next((at for at, (one, other) in enumerate(zip(wanted, done, strict=False)) if one != other), None)
    at = min(len(wanted), len(done)) if at is None else at
    then = f"then {done[at]!r}" if at < len(done) else "then nothing more"
    expected = repr(wanted[at]) if at < len(wanted) else "the end"
    return f"done were {', '.join(done[:at]) or 'no steps'}, {then}; expected was {expected}"
