"""Plans that need no model: the spec's own tasks, or the whole spec as one task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from nightmill.errors import SpecError, ToolError
from nightmill.plan.nouns import Footprint, Plan, Task
from nightmill.plan.ordering import order
from nightmill.spec import Spec, SpecTask

__all__ = ["MOST_TASKS", "from_spec", "single"]

MOST_TASKS = 12
"""Tasks of one plan; a spec's own finer list is taken heading by heading."""
TITLE_LENGTH = 120


def single(spec: Spec) -> Plan:
    """One task that shows every criterion of *spec*."""
    every = tuple(criterion.id for criterion in spec.criteria)
    paths = dict.fromkeys(path for task in spec.tasks if not task.done for path in task.paths)
    task = Task(
        id="T1",
        title=spec.title[:TITLE_LENGTH],
        instruction=spec.goal,
        criteria=every,
        footprint=Footprint(paths=tuple(paths)),
    )
    return Plan(tasks=(task,), source="spec")


def from_spec(spec: Spec) -> Plan | None:
    """The open tasks that *spec* gives, None if it gives none.

    A task without stated dependencies comes after those above it; tasks marked as parallel wait only for the last
    one above that is not. A criterion belongs to the last task that names it or its requirement, because only then
    all its parts are there; those that no task names belong to the last task of all, which then waits for every other.

    Raises:
        SpecError: If a task depends on one that is not there, or on itself by a circle.
    """
    open_tasks = [task for task in spec.tasks if not task.done]
    if not open_tasks:
        return None
    _check(spec.tasks)
    if len(open_tasks) > MOST_TASKS:
        open_tasks = _by_group(open_tasks)
    waits = _waits(open_tasks)
    drafts = [_task(task, depends) for task, depends in zip(open_tasks, waits, strict=True)]
    try:
        ordered = order(drafts)
    except ToolError as error:
        raise SpecError(error.message, hint=error.hint) from error
    named = {task.id: task.requirements for task in open_tasks}
    return Plan(tasks=_with_criteria(ordered, named, spec), source="spec")


def _check(tasks: Sequence[SpecTask]) -> None:
    known: set[str] = set()
    for task in tasks:
        if task.id in known:
            raise SpecError(f"task {task.id!r} is there twice (line {task.line})", hint="give each task its own id")
        known.add(task.id)
    for task in tasks:
        for each in task.depends or ():
            if each not in known:
                raise SpecError(
                    f"task {task.id!r} depends on {each!r}, which is not there (line {task.line})",
                    hint="name a task of this spec",
                )


def _by_group(tasks: Sequence[SpecTask]) -> list[SpecTask]:
    """One task per heading: a finer list is a list of edits, and a run ends with a change that can be reviewed."""
    found: list[SpecTask] = []
    for number, (group, members) in enumerate(groupby(tasks, key=lambda task: task.group), start=1):
        inside = list(members)
        found.append(
            replace(
                inside[0],
                id=f"G{number}",
                text="\n".join([group, *(f"- {task.id} {task.text}" for task in inside)]).strip(),
                parallel=False,
                requirements=tuple(dict.fromkeys(each for task in inside for each in task.requirements)),
                depends=None,
                paths=tuple(dict.fromkeys(path for task in inside for path in task.paths)),
            )
        )
    return found


def _waits(tasks: Sequence[SpecTask]) -> list[tuple[str, ...]]:
    still_open = {task.id for task in tasks}
    found: list[tuple[str, ...]] = []
    barrier: tuple[str, ...] = ()
    wave: tuple[str, ...] = ()
    for task in tasks:
        if task.depends is not None:
            found.append(tuple(each for each in task.depends if each in still_open))
        else:
            found.append(barrier if task.parallel else wave or barrier)
        if task.parallel:
            wave = (*wave, task.id)
        else:
            barrier, wave = (task.id,), ()
    return found


def _task(task: SpecTask, depends: tuple[str, ...]) -> Task:
    title = " ".join(task.text.split("\n", 1)[0].split())
    return Task(
        id=task.id,
        title=title[:TITLE_LENGTH],
        instruction=task.text,
        criteria=(),
        depends=depends,
        footprint=Footprint(paths=task.paths),
    )


def _with_criteria(ordered: Sequence[Task], named: dict[str, tuple[str, ...]], spec: Spec) -> tuple[Task, ...]:
    shows: dict[str, list[str]] = {task.id: [] for task in ordered}
    left: list[str] = []
    for criterion in spec.criteria:
        # Kiro's tasks name requirement 2 as "2"; it is called "R2" here.
        names = {criterion.id, *criterion.requirements, *(each.removeprefix("R") for each in criterion.requirements)}
        last = next((task.id for task in reversed(ordered) if names.intersection(named[task.id])), "")
        (shows[last] if last else left).append(criterion.id)
    tasks = [replace(task, criteria=tuple(shows[task.id])) for task in ordered]
    if left:
        needed = {each for task in ordered for each in task.depends}
        ends = [task.id for task in ordered[:-1] if task.id not in needed]
        last_task = tasks[-1]
        depends = tuple(dict.fromkeys([*last_task.depends, *ends]))
        tasks[-1] = replace(last_task, criteria=(*last_task.criteria, *left), depends=depends)
    return tuple(tasks)
