"""The blueprint of a run with a script in an agent's place. All else stays: steps, conditions, inputs, outputs, names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nightmill.blueprint.expression import paths, reworded
from nightmill.blueprint.names import MAPPINGS, TEMPLATES, VALUES, Text, texts
from nightmill.blueprint.nouns import (
    AgentStep,
    Blueprint,
    CallStep,
    CheckStep,
    Input,
    MapStep,
    RepeatStep,
    RunStep,
    Step,
    walk,
)
from nightmill.improve.values import PATTERN

if TYPE_CHECKING:
    from nightmill.improve.acts import Trap
    from nightmill.improve.distil import Distilled

__all__ = ["Place", "Swap", "find", "lacking"]

TASK = "{{ task.title }}\n\n{{ task.instruction }}\n"
"""The goal where a shipped prompt was the goal, which has no room for traps; *PROMPTED* is what stands in that."""
PROMPTED = {
    "criteria": "task.criteria",
    "spec": "spec.text",
    "facts": "project.facts",
    "instructions": "project.instructions",
    "skills": "skills",
    "earlier": "earlier",
}
NOTE = """

---

A script comes before you in this step: it does what was done here in an earlier run. This time it did not do. If it failed,
the checkout is as it was before it; if it ended well and the checks after it failed, the checkout is as it left it. See in
{seen} what happened, find out what is different this time, and do it. Others met these traps before:

"""
CAME_BACK = """
If this is not the first round of it, this is what came of the one before:

"""
AGAIN = """

A script that does what was done here in an earlier run came before you, and did not do. It said: {{{{ steps.{script}.reason }}}}
{checks}Others met these traps before:

"""
LONGEST = 19_000
"""Characters of a goal with its traps: a template of a blueprint holds 20,000."""
LEFT = frozenset({"reason", "evidence"})
"""Of what an agent's step gives, what later steps read as nothing where the script did it: no reason, and no claims."""
LONGEST_ID = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an agent's *step* stands: directly in *blueprint*, or in *loops* `repeat`s around it.

    *called*: whether a step of the run's own blueprint calls the one that it is in; *again*: more than once, in a loop.
    *item*: what the `map` that it is in calls its items, "" where it is in none.
    """

    blueprint: Blueprint
    step: AgentStep
    loops: int = 0
    called: bool = False
    again: bool = False
    item: str = ""


def find(blueprints: Sequence[Blueprint], path: str) -> Place | None:
    """Where the way *path* through the first of *blueprints* leads; None if that is no agent's step of any of them."""
    known = {each.name: each for each in blueprints}
    place: dict[str, Any] = {"blueprint": blueprints[0]}
    steps, loops = blueprints[0].steps, 0
    for name in path.split("/"):
        step = next((each for each in steps if each.id == name.partition(".")[0]), None)
        match step:
            case RepeatStep():
                steps, loops = step.steps, loops + 1
            case CallStep():
                place = {"blueprint": known[step.call], "called": True, "again": place.get("again", False) or loops > 0}
                steps, loops = known[step.call].steps, 0
            case AgentStep():
                return Place(step=step, loops=loops, **place)
            case _:
                return None
    return None


def lacking(place: Place) -> str:
    """What others read of the agent's step that no script gives, in a sentence; "": nothing."""
    step = place.step
    own = {id(each) for each in walk((step,))}
    others = [(each.id, text) for each in walk(place.blueprint.steps) if id(each) not in own for text in texts(each)]
    others += [("", Text(f"outputs.{name}", text, template=False)) for name, text in place.blueprint.outputs.items()]
    for name, text in others:
        for read in _read(text, step.id):
            who = f"`{text.key}` of the step {name}" if name else f"`{text.key}` of the blueprint"
            return f"{who} reads {read}, which only an agent gives: what it was in this run is true of this run"
    return ""


def _read(text: Text, step: str) -> Iterator[str]:
    """What *text* reads of *step* beside what there is a word for."""
    if not text.text:
        return
    known = dict.fromkeys(_words(step, step), "none")
    known |= {("steps", step, name): "none" for name in LEFT}
    for path in paths(reworded(text.text, known, template=text.template), template=text.template):
        if path.names[:2] == ("steps", step) or (path.names == ("steps",)):
            yield str(path)


def _words(step: str, by: str) -> dict[tuple[str, ...], str]:
    """What stands in place of what was read of the agent's *step*, where that is done by the script that *by* proves."""
    said = f"'Done by the script in place of {step}.'"
    return {
        ("steps", step, "ok"): f"(steps.{by}.ok or steps.{step}.ok)",
        ("steps", step, "ran"): f"(steps.{by}.ok or steps.{step}.ran)",
        ("steps", step, "summary"): f"(steps.{step}.summary or ({said} if steps.{by}.ok else none))",
        ("steps", step, "changed"): f"(change.files if steps.{by}.ok else steps.{step}.changed)",
    }


@dataclass(frozen=True)
class Swap:
    """*made* in *place* of the agent's step, in the *round* of its loop (0: there is none), as the blueprint *name*.

    *check* is the check of the original that proved the tree right after the step; None: none did, and so the agent takes
    over only where the script fails.
    """

    name: str
    place: Place
    made: Distilled
    round: int = 0
    check: CheckStep | None = None

    @cached_property
    def script(self) -> str:
        """The id of the script's step."""
        return self._free("script")

    @cached_property
    def proof(self) -> str:
        """The id of the check right after it; "": there is none."""
        return self._free("proof") if self.check is not None else ""

    @cached_property
    def blueprint(self) -> Blueprint:
        """The whole of it."""
        old = self.place.blueprint
        kept = old.name == self.name
        given = {
            each.name: Input(doc=f"In place of {each.text}, from {each.whence}.", default=each.text, pattern=PATTERN)
            for each in self.made.values
            if each.name not in {*old.inputs, self.place.item}
        }
        return replace(
            old,
            name=self.name,
            version=old.version + 1 if kept else 1,
            cues=old.cues if kept else (),
            inputs={**old.inputs, **given},
            steps=self._swapped(old.steps),
            outputs={name: self._text(text) for name, text in old.outputs.items()},
            source="",
            digest="",
        )

    def until_then(self, blueprint: Blueprint) -> Blueprint:
        """*blueprint*, this one or a part of it, up to the script and its check: nothing after them, and no agent for them."""
        return replace(blueprint, steps=self._cut(blueprint.steps))

    def part(self, blueprint: Blueprint) -> tuple[Step, ...]:
        """The steps of the map in *blueprint* that the script is in."""
        maps = (each for each in walk(blueprint.steps) if isinstance(each, MapStep))
        return next(each.steps for each in maps if any(one.id == self.script for one in walk(each.steps)))

    def _cut(self, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        found: list[Step] = []
        for step in steps:
            if step.id == self.place.step.id:
                break
            inside = isinstance(step, RepeatStep) and any(each.id == self.script for each in walk(step.steps))
            if isinstance(step, RepeatStep) and inside:
                found.append(replace(step, steps=self._cut(step.steps), until=f"steps.{self.script}.ran"))
                break
            found.append(step)
        return tuple(found)

    def _swapped(self, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        found: list[Step] = []
        for step in steps:
            if step.id == self.place.step.id:
                found += [self._script(), *([self._proof()] if self.check is not None else ()), self._agent()]
            elif isinstance(step, RepeatStep | MapStep):
                found.append(replace(self._reworded(step), steps=self._swapped(step.steps)))
            else:
                found.append(self._reworded(step))
        return tuple(found)

    def _script(self) -> RunStep:
        when = [f"({self._text(self.place.step.when)})"] if self.place.step.when else []
        when += [f"round == {self.round}"] if self.round else []
        return RunStep(
            id=self.script,
            title=f"{(self.place.step.title or self.place.step.id)[:100]}, by a script",
            when=" and ".join(when),
            run=self.made.script,
            env={each.variable: self._given(each.name) for each in self.made.values},
            seconds=self.made.seconds,
            may_fail=True,
        )

    def _given(self, name: str) -> str:
        """The expression of the value *name*."""
        return name if name == self.place.item else f"inputs.{name}"

    def _proof(self) -> CheckStep:
        if self.check is None:
            raise AssertionError("there is a check")
        claims = self._text(self.check.claims)
        title = "What the script made"
        when = f"steps.{self.script}.ok"
        return CheckStep(id=self.proof, title=title, when=when, check=self.check.check, claims=claims, may_fail=True)

    def _agent(self) -> AgentStep:
        """The agent, where the script does not do, and in later rounds."""
        step: AgentStep = self._reworded(self.place.step)
        did = f"steps.{self.proof or self.script}.ok"
        when = f"not {did}"
        if step.when:
            asked = f"(steps.{self.script}.ran or ({step.when}))" if self.round else f"steps.{self.script}.ran"
            when = f"{asked} and {when}"
        said, checks = self._input("script_said", step), self._input("script_checks", step)
        seen = {said: f"steps.{self.script}.reason"} | ({checks: f"steps.{self.proof}.words"} if self.proof else {})
        goal = (step.goal or TASK).rstrip("\n") + NOTE.format(seen=" and ".join(f"`{name}`" for name in seen))
        back = CAME_BACK + step.again if step.again and self.round and not step.goes_on else ""
        again = step.again
        if step.goes_on:
            proof = f"The checks after it said: {{{{ steps.{self.proof}.words }}}}\n" if self.proof else ""
            again = _listed(again.rstrip("\n") + AGAIN.format(script=self.script, checks=proof), self.made.traps)
        return replace(
            step,
            when=when,
            goal=_listed(goal, self.made.traps, after=back),
            prompt="",
            inputs={**(PROMPTED if step.prompt else {}), **step.inputs, **seen},
            again=again,
        )

    def _reworded(self, step: Any) -> Any:
        changed: dict[str, Any] = {}
        for key in (*VALUES, *TEMPLATES):
            if text := getattr(step, key, ""):
                changed[key] = self._text(text, template=key in TEMPLATES)
        for key in MAPPINGS:
            if found := getattr(step, key, {}):
                changed[key] = {name: self._text(text) for name, text in found.items()}
        return replace(step, **changed)

    def _text(self, text: str, *, template: bool = False) -> str:
        words = _words(self.place.step.id, self.proof or self.script)
        return reworded(text, words, template=template) if text else text

    def _free(self, what: str) -> str:
        """An id for *what* that no step has."""
        taken = {each.id for each in walk(self.place.blueprint.steps)}
        return _first(f"{self.place.step.id[: LONGEST_ID - 10]}_{what}", taken)

    @staticmethod
    def _input(name: str, step: AgentStep) -> str:
        return _first(name, step.inputs)


def _first(name: str, taken: Mapping[str, Any] | set[str]) -> str:
    return next(each for each in (name, *(f"{name}_{n}" for n in range(2, 1000))) if each not in taken)


def _listed(text: str, traps: Sequence[Trap], *, after: str = "") -> str:
    """*text* with *traps* below it, as many as there is room for, and then *after*."""
    lines = [_line(trap) for trap in traps] or ["- none\n"]
    while lines and len(text) + sum(map(len, lines)) + len(after) > LONGEST:
        lines.pop()
    return "".join((text, *lines, after))


def _line(trap: Trap) -> str:
    instead = f" What worked: {trap.instead}" if trap.instead else ""
    line = f"- {trap.tried[:200]}: it said {trap.said[-300:]!r}.{instead[:240]}\n"
    return line.replace("{{", "{ {").replace("}}", "} }").replace("{%", "{ %").replace("{#", "{ #")
