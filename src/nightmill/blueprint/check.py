"""Whether a blueprint makes sense, before anything of it runs: each fault with its file and line.

Names that nothing gives, steps that are never reached, blueprints that call each other in a circle, a role that judges
what it wrote, a change that nothing proved. A loop without a bound cannot be written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nightmill.blueprint.calls import always, circles, own_work, stops, waits
from nightmill.blueprint.expression import Path, paths
from nightmill.blueprint.facts import FACTS
from nightmill.blueprint.fits import shape_of, unfit
from nightmill.blueprint.names import Fault, Text, listed, texts, unknown
from nightmill.blueprint.nouns import (
    AgentStep,
    Blueprint,
    CallStep,
    ChangeStep,
    CheckStep,
    EmitStep,
    Input,
    MapStep,
    PythonStep,
    RepeatStep,
    ReviewStep,
    RunStep,
    Step,
    walk,
)
from nightmill.blueprint.shapes import GIVEN, Shape, Signature, closed, listing, malformed, meant, of_input, of_step
from nightmill.blueprint.values import misfit
from nightmill.crew import Role
from nightmill.errors import SettingsError

__all__ = ["Known", "checked", "faults"]

OURS = ("inputs", "steps", "round", "rounds", *GIVEN)
"""Names that an item of a map cannot have."""
FILLED = re.compile(rf"\{{\{{-?\s*((?:{'|'.join(OURS)})\b[\w.]*)")
"""What looks as if a command were to be filled with a value."""
MOVES = ("round", "change", "earlier")
"""What may be another in each round of a loop, whatever is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a blueprint may name: blueprints and roles by their names, functions, and tools of the harness."""

    blueprints: Mapping[str, Blueprint]
    roles: Mapping[str, Role]
    functions: Mapping[str, Signature] = field(default_factory=dict)
    """The registered functions that a `python` step may name."""
    checks: tuple[str, ...] | None = None
    """The names of the project's checks; None where there is no project to ask."""


def checked(blueprint: Blueprint, known: Known) -> Blueprint:
    """*blueprint*, if nothing is wrong with it.

    Raises:
        SettingsError: If something is; the message has a line for each fault.
    """
    found = faults(blueprint, known)
    if not found:
        return blueprint
    lines = [f"{blueprint.source}:{fault.line}: {fault.said}" for fault in found]
    raise SettingsError("\n".join(lines), hint=found[0].hint)


def faults(blueprint: Blueprint, known: Known) -> tuple[Fault, ...]:
    """All that is wrong with *blueprint*, in the order of its lines."""
    judging = _Judging(blueprint, known)
    judging.blueprint_()
    return tuple(sorted(judging.found))


@dataclass(slots=True)
class _Judging:
    blueprint: Blueprint
    known: Known
    found: set[Fault] = field(default_factory=set)

    def blueprint_(self) -> None:
        self._inputs()
        ids: dict[str, int] = {}
        for step in walk(self.blueprint.steps):
            if step.id in ids:
                self._fault(step.line, f"the id {step.id!r} is used twice", "give each step a name of its own")
            ids.setdefault(step.id, step.line)
        after = self._steps(self.blueprint.steps, {})
        for name, text in self.blueprint.outputs.items():
            self._text(Text(f"outputs.{name}", text, template=False), after, {}, None)
        self.found.update(circles(self.blueprint, self.known.blueprints))
        self.found.update(own_work(self.blueprint, self.known.blueprints, self.known.roles))

    def _inputs(self) -> None:
        for name, given in self.blueprint.inputs.items():
            if wrong := _wrong_input(name, given):
                self._fault(1, *wrong, at=f"inputs.{name}")

    def _steps(
        self, steps: tuple[Step, ...], before: Mapping[str, Shape], within: Mapping[str, Shape] | None = None
    ) -> dict[str, Shape]:
        """Judge *steps*, which may read what *before* gives; *within* is what a loop or a map adds."""
        shapes, extra, ended = dict(before), dict(within or {}), ""
        for step in steps:
            if ended:
                self._fault(step.line, f"the step {step.id!r} is never reached: {ended}", "take it out, or move it up")
                ended = ""
            self._step(step, shapes, extra)
            shapes[step.id] = self._shape(step)
            if isinstance(step, RepeatStep):  # after it, its steps are as its last round left them
                shapes |= {each.id: self._shape(each) for each in walk(step.steps)}
            if last := stops(step, self.known.blueprints):
                ended = f"{last!r} before it always stops the run"
        return shapes

    def _step(self, step: Step, shapes: Mapping[str, Shape], extra: Mapping[str, Shape]) -> None:
        inner = extra
        if isinstance(step, RepeatStep):
            inner = {**extra, "round": {"type": "number"}, "rounds": {"type": "number"}}
            # Each step of a loop may look at all of it: as it was in the round before, nothing in the first.
            looped = {each.id: self._shape(each) for each in walk(step.steps)}
            self._steps(step.steps, {**shapes, **looped}, inner)
            shapes = {**shapes, **looped}
        if isinstance(step, MapStep):
            inner = {**extra, step.each: {}}
            given = self._steps(step.steps, shapes, inner)
            self._map(step, self._scope(shapes, extra))
            self._text(Text("gives", step.gives, template=False), given, inner, step)
        for text in texts(step):
            if text.key != "gives":
                self._text(text, shapes, inner if text.key == "until" else extra, step)
        if isinstance(step, RepeatStep):
            self._loop(step)
        if step.when and always(step.when) is False:
            self._fault(step.line, f"the step {step.id!r} is never reached: its `when` is never true", "take it out")
        self._own(step, shapes, extra)

    def _own(self, step: Step, shapes: Mapping[str, Shape], extra: Mapping[str, Shape]) -> None:
        """What only one kind of step can have wrong."""
        match step:
            case AgentStep():
                self._agent(step)
                self._goes_on(step, shapes)
            case ReviewStep():
                self._role(step.review, step.line)
            case RunStep():
                self._run(step)
            case CheckStep():
                self._checks(step)
            case CallStep():
                self._call(step, self._scope(shapes, extra))
            case PythonStep() | EmitStep():
                self._tells(step, self._scope(shapes, extra))
            case ChangeStep():
                self._change(step)

    def _run(self, step: RunStep) -> None:
        if found := FILLED.search(step.run):
            said = f"the command of {step.id!r} holds '{{{{ {found[1]}', and nothing is put into a command"
            hint = f'name it under `env`, such as {{VALUE: {found[1]}}}, and write "$VALUE"'
            self._fault(step.line, said, hint, at=f"steps.{step.id}.run")

    def _checks(self, step: CheckStep) -> None:
        if step.check != "all" and self.known.checks is not None:
            for name in step.check:
                self._named(name, self.known.checks, "check of this project", step.line)

    def _agent(self, step: AgentStep) -> None:
        role = self._role(step.agent, step.line)
        if bool(step.goal) == bool(step.prompt):
            self._fault(step.line, f"the step {step.id!r} needs a `goal` or a `prompt`, one of them", "say what for")
        if role is not None and role.tools is not None:
            for tool in step.tools:
                self._named(tool, role.tools, f"tool of the role {role.name!r}", step.line)
        if step.output and step.output.get("type") != "object":
            self._fault(step.line, f"the `output` of {step.id!r} is no object", "begin it with `type: object`")
        elif why := malformed(step.output):
            said = f"nothing fits the `output` of {step.id!r}: {why}"
            self._fault(step.line, said, "it is a JSON schema", at=f"steps.{step.id}.output")

    def _goes_on(self, step: AgentStep, shapes: Mapping[str, Shape]) -> None:
        if not step.goes_on:
            return
        agents = {each.id: each for each in walk(self.blueprint.steps) if isinstance(each, AgentStep)}
        other = agents.get(step.goes_on)
        if other is None or step.goes_on not in shapes:
            self._fault(step.line, f"there is no agent step {step.goes_on!r} before {step.id!r}", "name one")
        elif other.agent != step.agent:
            self._fault(step.line, f"{step.goes_on!r} is the work of another role", "a conversation has one role")
        if not step.again:
            self._fault(step.line, f"the step {step.id!r} goes on with no words", "write `again: …`")

    def _call(self, step: CallStep, scope: Mapping[str, Shape]) -> None:
        self._named(step.call, tuple(self.known.blueprints), "blueprint", step.line)
        called = self.known.blueprints.get(step.call)
        if called is not None:
            takes = {name: of_input(each) for name, each in called.inputs.items()}
            needs = tuple(name for name, each in called.inputs.items() if each.needed)
            self._takes(step, step.inputs, Signature(inputs=takes, needs=needs), scope)

    def _tells(self, step: PythonStep | EmitStep, scope: Mapping[str, Shape]) -> None:
        if isinstance(step, EmitStep):
            self._takes(step, step.data, FACTS.get(step.emit), scope)
            return
        self._named(step.python, tuple(self.known.functions), "function", step.line)
        self._takes(step, step.inputs, self.known.functions.get(step.python), scope)

    def _takes(self, step: Step, given: Mapping[str, str], takes: Signature | None, scope: Mapping[str, Shape]) -> None:
        """Refuse what *step* gives and what it does not give where something *takes* exactly that."""
        if takes is None:
            return
        self._given(step, given, tuple(takes.inputs), takes.needs)
        for name in given.keys() & takes.inputs.keys():
            if why := unfit(shape_of(given[name], scope), takes.inputs[name]):
                said = f"the input {name!r} of {step.id!r}, {given[name].strip()!r}, {why}"
                key = "data" if isinstance(step, EmitStep) else "inputs"
                self._fault(step.line, said, "name what is of that form", at=f"steps.{step.id}.{key}.{name}")

    def _given(self, step: Step, given: Mapping[str, str], known: Sequence[str], needed: Sequence[str]) -> None:
        for name in given:
            self._named(name, known, "input", step.line)
        for name in needed:
            if name not in given:
                self._fault(step.line, f"the step {step.id!r} does not give the input {name!r}", "add it to `inputs`")

    def _loop(self, step: RepeatStep) -> None:
        at, inside = f"steps.{step.id}.until", {each.id for each in walk(step.steps)}
        if any(fault.at == at for fault in self.found):
            return  # what cannot be read is said already
        if always(step.until) is not None:
            self._fault(step.line, f"`until` of {step.id!r} is always the same", "name what a step in it gives", at=at)
        elif not any(_moves(path, inside) for path in paths(step.until, template=False)):
            said = f"`until` of {step.id!r} reads nothing that its rounds change"
            self._fault(step.line, said, f"name what a step in it gives; {listed(sorted(inside))}", at=at)

    def _map(self, step: MapStep, scope: Mapping[str, Shape]) -> None:
        if step.each in OURS:
            self._fault(step.line, f"an item of {step.id!r} cannot be called {step.each!r}", "that name is another's")
        if why := unfit(shape_of(step.map, scope), listing({})):
            said = f"`map` of {step.id!r}, {step.map.strip()!r}, {why}"
            self._fault(step.line, said, "name a list", at=f"steps.{step.id}.map")
        for each in walk(step.steps):
            if found := waits(each, self.known.blueprints):
                said = f"the step {found!r} cannot be in a map: its forks are thrown away and nobody waits in one"
                self._fault(each.line, said, "put it after the map")

    def _change(self, step: ChangeStep) -> None:
        """A change needs all checks between what was written last and it: the gate would never open."""
        proven, last = False, ""
        for each in walk(self.blueprint.steps):
            if each.id == step.id:
                break
            if isinstance(each, AgentStep) and self._writes(each):
                proven, last = False, each.id
            proven = proven or isinstance(each, CallStep) or (isinstance(each, CheckStep) and each.check == "all")
        if not proven:
            after = f" after {last!r}" if last else ""
            self._fault(step.line, f"nothing proves the change of {step.id!r}{after}", "put a `check: all` before it")

    def _writes(self, step: AgentStep) -> bool:
        role = self.known.roles.get(step.agent)
        return role is not None and role.writes != "nothing"

    # Names

    def _shape(self, step: Step) -> Shape:
        outputs = {name: tuple(each.outputs) for name, each in self.known.blueprints.items()}
        return of_step(step, outputs=outputs, functions=self.known.functions)

    def _scope(self, shapes: Mapping[str, Shape], extra: Mapping[str, Shape]) -> dict[str, Shape]:
        """All that a text may read where the steps before it give *shapes*."""
        inputs = {name: of_input(each) for name, each in self.blueprint.inputs.items()}
        return {**GIVEN, **extra, "inputs": closed(**inputs), "steps": closed(**shapes)}

    def _text(self, text: Text, shapes: Mapping[str, Shape], extra: Mapping[str, Shape], step: Step | None) -> None:
        if not text.text:
            return
        later = [each.id for each in walk(self.blueprint.steps)]
        at = f"steps.{step.id}.{text.key}" if step else text.key
        for said, hint in unknown(text, self._scope(shapes, extra), later=later):
            self._fault(step.line if step else 1, said, hint, at=at)

    def _role(self, name: str, line: int) -> Role | None:
        self._named(name, tuple(self.known.roles), "role", line)
        return self.known.roles.get(name)

    def _named(self, name: str, known: Sequence[str], what: str, line: int) -> None:
        if name not in known:
            self._fault(line, f"there is no {what} {name!r}{meant(name, known)}", listed(known))

    def _fault(self, line: int, said: str, hint: str, *, at: str = "") -> None:
        self.found.add(Fault(line, said, hint, at))


def _moves(path: Path, inside: set[str]) -> bool:
    """Whether *path* may lead to something else after a round of the steps *inside* a loop."""
    first, *rest = path.names
    return first in MOVES or (first == "steps" and (not rest or rest[0] in inside))


def _wrong_input(name: str, given: Input) -> tuple[str, str] | None:
    """What is wrong with the input *name*, and what to do; None if nothing is."""
    if given.type == "choice" and not given.choices:
        return f"the input {name!r} is a choice of nothing", "list its `choices`"
    try:
        re.compile(given.pattern)
    except re.error as error:
        return f"the pattern of the input {name!r} is no regular expression: {error}", "as Python has them"
    if given.default is not None and (why := misfit(given.default, given)):
        return f"the input {name!r} does not take its own default {given.default!r}: {why}", "correct one of them"
    return None
