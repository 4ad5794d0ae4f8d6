"""Whether a blueprint makes sense, before anything of it runs: each fault with its file and line.

Names that nothing gives, steps that are never reached, blueprints that call each other in a circle, a role that judges
what it wrote, a change that nothing proved. A loop without a bound cannot be written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nightmill.blueprint.expression import constant
from nightmill.blueprint.facts import FACTS, REMEDIATION
from nightmill.blueprint.fits import shape_of, unfit
from nightmill.blueprint.names import Fault, Text, listed, texts, unknown
from nightmill.blueprint.nouns import (
    AgentStep,
    ApproveStep,
    AskStep,
    Blueprint,
    CallStep,
    ChangeStep,
    CheckStep,
    EmitStep,
    MapStep,
    PythonStep,
    RepeatStep,
    ReviewStep,
    Step,
    StopStep,
    walk,
)
from nightmill.blueprint.shapes import GIVEN, Shape, Signature, closed, meant, of_input, of_step
from nightmill.crew import Role
from nightmill.errors import SettingsError

__all__ = ["Known", "checked", "faults"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a blueprint may name: blueprints and roles by their names, functions, and tools of the harness."""

    blueprints: Mapping[str, Blueprint]
    roles: Mapping[str, Role]
    functions: Mapping[str, Signature] = field(default_factory=dict)
    """The registered functions that a `python` step may name."""


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
            self._text(Text(f"outputs.{name}", text, template=False), after, {}, line=1)
        self._circle()
        self._authors()

    def _inputs(self) -> None:
        for name, given in self.blueprint.inputs.items():
            if given.type == "choice" and not given.choices:
                self._fault(1, f"the input {name!r} is a choice of nothing", "list its `choices`")

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
            if isinstance(step, StopStep) and not step.when:
                ended = f"{step.id!r} before it always stops the run"
        return shapes

    def _step(self, step: Step, shapes: Mapping[str, Shape], extra: Mapping[str, Shape]) -> None:
        inner = extra
        if isinstance(step, RepeatStep):
            inner = {**extra, "round": {"type": "number"}, "rounds": {"type": "number"}}
            # Each step of a loop may look at all of it: as it was in the round before, nothing in the first.
            looped = {each.id: self._shape(each) for each in walk(step.steps)}
            self._steps(step.steps, {**shapes, **looped}, inner)
            self._loop(step)
            shapes = {**shapes, **looped}
        if isinstance(step, MapStep):
            inner = {**extra, step.each: {}}
            given = self._steps(step.steps, shapes, inner)
            self._map(step)
            self._text(Text("gives", step.gives, template=False), given, inner, line=step.line)
        for text in texts(step):
            if text.key != "gives":
                self._text(text, shapes, inner if text.key == "until" else extra, line=step.line)
        if step.when and _constant(step.when) is False:
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
            case CallStep():
                self._call(step)
            case PythonStep():
                self._named(step.python, tuple(self.known.functions), "function", step.line)
                self._takes(step, step.inputs, self.known.functions.get(step.python), self._scope(shapes, extra))
            case EmitStep():
                self._takes(step, step.data, FACTS.get(step.emit), self._scope(shapes, extra))
            case ChangeStep():
                self._change(step)

    def _agent(self, step: AgentStep) -> None:
        role = self._role(step.agent, step.line)
        if bool(step.goal) == bool(step.prompt):
            self._fault(step.line, f"the step {step.id!r} needs a `goal` or a `prompt`, one of them", "say what for")
        if role is not None and role.tools is not None:
            for tool in step.tools:
                self._named(tool, role.tools, f"tool of the role {role.name!r}", step.line)
        if step.output and step.output.get("type") != "object":
            self._fault(step.line, f"the `output` of {step.id!r} is no object", "begin it with `type: object`")

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

    def _call(self, step: CallStep) -> None:
        self._named(step.call, tuple(self.known.blueprints), "blueprint", step.line)
        called = self.known.blueprints.get(step.call)
        if called is not None:
            needed = tuple(name for name, each in called.inputs.items() if each.needed)
            self._given(step, step.inputs, tuple(called.inputs), needed)

    def _takes(self, step: Step, given: Mapping[str, str], takes: Signature | None, scope: Mapping[str, Shape]) -> None:
        """Refuse what *step* gives and what it does not give where something *takes* exactly that."""
        if takes is None:
            return
        self._given(step, given, tuple(takes.inputs), takes.needs)
        for name in given.keys() & takes.inputs.keys():
            if why := unfit(shape_of(given[name], scope), takes.inputs[name]):
                said = f"the input {name!r} of {step.id!r}, {given[name].strip()!r}, {why}"
                self._fault(step.line, said, "name what is of that form")

    def _given(self, step: Step, given: Mapping[str, str], known: Sequence[str], needed: Sequence[str]) -> None:
        for name in given:
            self._named(name, known, "input", step.line)
        for name in needed:
            if name not in given:
                self._fault(step.line, f"the step {step.id!r} does not give the input {name!r}", "add it to `inputs`")

    def _loop(self, step: RepeatStep) -> None:
        if _constant(step.until) is not None:
            self._fault(step.line, f"`until` of {step.id!r} is always the same", "name what a step in it gives")

    def _map(self, step: MapStep) -> None:
        for each in walk(step.steps):
            leaves = isinstance(each, EmitStep) and each.emit == REMEDIATION
            if leaves or isinstance(each, ChangeStep | ApproveStep | AskStep | MapStep):
                self._fault(
                    each.line,
                    f"the step {each.id!r} cannot be in a map: its forks are thrown away and nobody waits in one",
                    "put it after the map",
                )

    def _change(self, step: ChangeStep) -> None:
        """A change needs a check somewhere before it: the gate would never open."""
        before = []
        for each in walk(self.blueprint.steps):
            if each.id == step.id:
                break
            before.append(each)
        if not any(isinstance(each, CheckStep | CallStep) for each in before):
            self._fault(step.line, f"nothing proves the change of {step.id!r}", "put a `check: all` before it")

    # The blueprint with all that it calls

    def _circle(self) -> None:
        """Refuse blueprints that call each other in a circle: a loop without a bound."""

        def follow(at: Blueprint, way: tuple[str, ...]) -> None:
            for step in walk(at.steps):
                if not isinstance(step, CallStep) or step.call not in self.known.blueprints:
                    continue
                if step.call in way:
                    line = step.line if at is self.blueprint else self._calling(way).line
                    self._fault(line, f"a circle: {' → '.join((*way, step.call))}", "a loop is a `repeat`")
                else:
                    follow(self.known.blueprints[step.call], (*way, step.call))

        follow(self.blueprint, (self.blueprint.name,))

    def _calling(self, way: tuple[str, ...]) -> Step:
        called = (each for each in walk(self.blueprint.steps) if isinstance(each, CallStep) and each.call == way[1])
        return next(called)

    def _authors(self) -> None:
        """Refuse a role that judges what it wrote, here or in what is called."""
        every = [step for at in self._reached() for step in walk(at.steps)]
        writing = {step.agent for step in every if isinstance(step, AgentStep) and self._writes(step)}
        mine = set(map(id, walk(self.blueprint.steps)))
        for step in every:
            if isinstance(step, ReviewStep) and step.review in writing:
                line = step.line if id(step) in mine else 1
                hint = "let another role judge: the approver is not the author"
                self._fault(line, f"the role {step.review!r} would judge its own work in {step.id!r}", hint)

    def _writes(self, step: AgentStep) -> bool:
        role = self.known.roles.get(step.agent)
        return role is not None and role.writes == "code"

    def _reached(self) -> list[Blueprint]:
        found, todo = [], [self.blueprint]
        while todo:
            at = todo.pop()
            if at not in found:
                found.append(at)
                names = [step.call for step in walk(at.steps) if isinstance(step, CallStep)]
                todo += [self.known.blueprints[name] for name in names if name in self.known.blueprints]
        return found

    # Names

    def _shape(self, step: Step) -> Shape:
        outputs = {name: tuple(each.outputs) for name, each in self.known.blueprints.items()}
        return of_step(step, outputs=outputs, functions=self.known.functions)

    def _scope(self, shapes: Mapping[str, Shape], extra: Mapping[str, Shape]) -> dict[str, Shape]:
        """All that a text may read where the steps before it give *shapes*."""
        inputs = {name: of_input(each) for name, each in self.blueprint.inputs.items()}
        return {**GIVEN, **extra, "inputs": closed(**inputs), "steps": closed(**shapes)}

    def _text(self, text: Text, shapes: Mapping[str, Shape], extra: Mapping[str, Shape], *, line: int) -> None:
        if text.text:
            later = [each.id for each in walk(self.blueprint.steps)]
            self.found.update(unknown(text, self._scope(shapes, extra), line=line, later=later))

    def _role(self, name: str, line: int) -> Role | None:
        self._named(name, tuple(self.known.roles), "role", line)
        return self.known.roles.get(name)

    def _named(self, name: str, known: Sequence[str], what: str, line: int) -> None:
        if name not in known:
            self._fault(line, f"there is no {what} {name!r}{meant(name, known)}", listed(known))

    def _fault(self, line: int, said: str, hint: str) -> None:
        self.found.add(Fault(line, said, hint))


def _constant(expression: str) -> bool | None:
    try:
        return constant(expression)
    except SettingsError:
        return None  # said where its names are looked at
