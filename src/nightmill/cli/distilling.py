"""Which steps of which run can be distilled, and which not and why, as the ledger and the records of its turns have it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightmill import event
    from nightmill.blueprint import Blueprint
    from nightmill.blueprint.nouns import AgentStep, CheckStep
    from nightmill.cli.door import Door
    from nightmill.improve import Act, Place, Value, Visit
    from nightmill.line.assignment import Assignment
    from nightmill.store.runs import Run

__all__ = ["Choice", "Cost", "Past", "Source", "chosen", "gave", "past", "proving", "source", "values_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A run that is done.

    *blueprints* are those that it went through, whole; the run of an item of a `map` was given the *part* of one. *items* are
    the runs of the items of its own maps.
    """

    row: Run
    assignment: Assignment
    told: tuple[event.Event, ...]
    visits: tuple[Visit, ...]
    blueprints: tuple[Blueprint, ...]
    part: Blueprint | None = None
    items: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What the run was asked in."""
        task, spec = self.assignment.task, self.assignment.spec
        return "\n".join((*((task.title, task.instruction) if task else ()), spec.title, spec.text))

    @property
    def inputs(self) -> dict[str, Any]:
        """What its blueprint was given."""
        given: dict[str, Any] = self.assignment.values.get("inputs") or {
            name: self.assignment.inputs.get(name, each.default) for name, each in self.blueprints[0].inputs.items()
        }
        return given


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An agent's step: the rounds *visits* of it, together; *why* says why it cannot be distilled, "" if it can."""

    step: str
    visits: tuple[Visit, ...]
    place: Place | None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a step used; *money* in US dollars, None if unknown."""

    tokens: int
    money: float | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is distilled: *acts* from the snapshot *start* to the snapshot *end*, and the tree that was *proven* in the end."""

    past: Past
    choice: Choice
    place: Place
    acts: tuple[Act, ...]
    proven: str
    cost: Cost

    @property
    def start(self) -> str:
        """The snapshot that the agent began at."""
        return self.choice.visits[0].start

    @property
    def end(self) -> str:
        """The snapshot that it left."""
        return self.choice.visits[-1].end


def past(door: Door, named: str) -> Past:
    """The run *named*, or the only task of it.

    Raises:
        SettingsError: If it is not done, or has several tasks.
    """
    from nightmill.improve import TOLD, visits
    from nightmill.line.assignment import read

    row = _task(door, named)
    assignment = read(door.blobs.get(row.assignment))
    told = tuple(entry.event() for entry in door.ledger.read(run=row.id, names=TOLD))
    blueprints, part = assignment.blueprints, None
    above = door.runs.get(row.parent) if row.parent else None
    if above is not None and above.kind == "task":  # an item of a map, which was given a part of its blueprint
        part = assignment.blueprints[0]
        whole = {each.name: each for each in read(door.blobs.get(above.assignment)).blueprints}
        blueprints = (whole.pop(part.name), *whole.values())
    items = tuple(sorted(each.id for each in door.runs.list(parent=row.id)))
    return Past(
        row=row,
        assignment=assignment,
        told=told,
        visits=visits(told),
        blueprints=blueprints,
        part=part,
        items=items,
    )


def chosen(found: Past, step: str) -> tuple[Choice, ...]:
    """The agents' steps of the run that *step* names, by its id or by the way to it; "": all."""
    from nightmill.improve import spans

    agents = [each for each in found.visits if each.kind == "agent"]
    one = [each for each in agents if each.path == step]
    groups = [(each,) for each in one] if one else spans(agents)
    every = [_choice(found, group) for group in groups]
    return tuple(
        each
        for each in every
        if step in {"", each.step, each.visits[0].step, each.visits[0].path.rpartition("/")[2]} or one
    )


def source(door: Door, found: Past, choice: Choice) -> Source:
    """All of *choice* that the records say.

    Raises:
        SettingsError: If it cannot be distilled.
    """
    from nightmill.errors import SettingsError

    if choice.why or choice.place is None:
        raise SettingsError(f"the step {choice.step} of {found.row.id} stays an agent's: {choice.why}")
    turns = [turn for visit in choice.visits for turn in visit.turns]
    costs = [each.cost for each in turns]
    return Source(
        past=found,
        choice=choice,
        place=choice.place,
        acts=_acts(door, found, choice.visits),
        proven=_proven(found.told),
        cost=Cost(
            tokens=sum(each.usage.get("input", 0) + each.usage.get("output", 0) for each in turns),
            money=None if None in costs else sum(each or 0.0 for each in costs),
            seconds=sum(each.seconds for each in turns),
        ),
    )


def values_of(found: Past, place: Place) -> tuple[Value, ...]:
    """What a script in *place* can be given of what the run was: of what is called, nothing that its caller works out there."""
    from nightmill.improve import found as values

    if place.called:
        return ()
    item = {place.item: found.assignment.values.get(place.item)} if place.item else {}
    return values({**item, **found.inputs}, found.words, taken={*place.blueprint.inputs, place.item})


def proving(door: Door, found: Source, tree: str) -> CheckStep | None:
    """The check of the blueprint that the *tree* passed which the agent's step left, one of all checks before others."""
    from nightmill import event
    from nightmill.blueprint.nouns import CheckStep, walk

    told = found.past.told
    after = told[told.index(found.choice.visits[-1].turns[-1]) :]
    ids = [
        each.step.rpartition("/")[2]
        for each in after
        if isinstance(each, event.StepFinished) and (each.kind, each.state) == ("check", "done")
        if gave(door, each.value).get("tree") == tree
    ]
    own = [each for each in walk(found.place.blueprint.steps) if isinstance(each, CheckStep)]
    others = [each for one in found.past.blueprints for each in walk(one.steps) if isinstance(each, CheckStep)]
    fitting = [each for each in own if each.id in ids]
    fitting += [replace(each, claims="") for each in others if each.id in ids and each not in own]
    return next((each for each in fitting if each.check == "all"), next(iter(fitting), None))


def _acts(door: Door, found: Past, some: Sequence[Visit]) -> tuple[Act, ...]:
    from nightmill.improve import acts
    from nightmill.line.record import read_record
    from nightmill.tool import crewed

    every = [
        act
        for visit in some
        for act in acts(
            (read_record(door.blobs.get(each.record)) for each in visit.turns),
            crewed(found.assignment.model, only=visit.tools),
        )
    ]
    return tuple(replace(act, number=number) for number, act in enumerate(every, 1))


def _task(door: Door, named: str) -> Run:
    """The run *named*, or the only task of it."""
    from nightmill.errors import SettingsError

    row = door.runs.get(named)
    if row.kind == "spec":
        tasks = door.runs.list(parent=row.id)
        if len(tasks) != 1:
            ids = ", ".join(each.id for each in reversed(tasks)) or "none"
            raise SettingsError(f"run {row.id} has {len(tasks)} tasks: {ids}", hint="name the one to distil")
        row = tasks[0]
    if row.state != "done":
        raise SettingsError(f"run {row.id} is {row.state}, not done", hint="only what was proven is distilled")
    return row


def _choice(found: Past, group: tuple[Visit, ...]) -> Choice:
    from nightmill.improve import find

    first, last = group[0], group[-1]
    step = first.path if len(group) == 1 else first.step
    place = find(found.assignment.blueprints, first.path)
    if place is not None and found.part is not None and not place.called:
        place = replace(place, blueprint=found.blueprints[0], item=_item(found.blueprints[0], place.step))
    return Choice(step=step, visits=group, place=place, why=_why(found, place, first, last))


def _item(blueprint: Blueprint, step: AgentStep) -> str:
    """What the map of *blueprint* that *step* is in calls its items."""
    from nightmill.blueprint.nouns import MapStep, walk

    maps = (each for each in walk(blueprint.steps) if isinstance(each, MapStep))
    return next((each.each for each in maps if any(one.id == step.id for one in walk(each.steps))), "")


def _why(found: Past, place: Place | None, first: Visit, last: Visit) -> str:
    """Why what was done from *first* to *last* cannot become a script; "": nothing speaks against it yet."""
    from nightmill.improve import lacking
    from nightmill.line.brief import role

    if place is None:
        return "the run's blueprint has no such step of an agent"
    acting = role(place.step.agent, found.assignment)
    agent = found.assignment.agent if acting.name == "developer" else None
    proven = bool(last.turns) and _proven(found.told[found.told.index(last.turns[-1]) :])
    against = {
        f"the {acting.name} writes nothing, and what it says is its work": acting.writes == "nothing",
        f"{agent.name if agent else ''} did it, and nothing says which commands of its own it ran": agent is not None,
        f"it came to no good end: {last.reason or last.state or 'it did not end'}": last.state != "done",
        "the run does not tell at which snapshot it began, as newer ones do: run it again": not first.start,
        "it changed nothing": first.start == last.end,
        "it is in a loop within a loop, and a script would come again in each round of the outer one": place.loops > 1
        or place.again,
        "nothing was proven after it, and only what was proven is distilled": not proven,
    }
    return next((why for why, so in against.items() if so), "") or lacking(place)


def _proven(told: Sequence[event.Event]) -> str:
    """The tree that passed its checks last; "": none did."""
    from nightmill import event

    return next((each.tree for each in reversed(told) if isinstance(each, event.VerdictGiven) and each.passed), "")


def gave(door: Door, key: str) -> dict[str, Any]:
    """What a step gave, by the blob *key*."""
    value: dict[str, Any] = json.loads(door.blobs.get(key)) if key else {}
    return value
