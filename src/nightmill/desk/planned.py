"""The plan of a spec's run as it is now: its tasks in waves, how each stands, and what may collide."""

from __future__ import annotations

from nightmill import event
from nightmill.desk.door import Door
from nightmill.desk.nouns import Planned, Standing, Tie
from nightmill.kept import Run
from nightmill.plan import Task
from nightmill.report.graph import ties, waves
from nightmill.report.summary import read

__all__ = ["MOST", "standing", "tasks", "whole"]

MOST = 100
"""Tasks that are shown."""


def whole(door: Door, run: Run) -> Run:
    """The run whose plan *run* is part of: of a task's run the one that started it, if that is of its project."""
    above = next(iter(door.runs.some({run.parent})), run) if run.parent else run
    return above if above.project == run.project else run


def tasks(door: Door, run: Run) -> tuple[list[Task], dict[str, Run]]:
    """The tasks of the latest plan of *run*, and their runs by the id of the task."""
    names = (event.PlanMade.name, event.TaskQueued.name)
    told = [entry.event() for entry in door.ledger.read(run=run.id, names=names)]
    plans = [each for each in told if isinstance(each, event.PlanMade)]
    found = [task for plain in (plans[-1].tasks[:MOST] if plans else ()) if (task := read(Task, plain)) is not None]
    started = {each.child: each.task for each in told if isinstance(each, event.TaskQueued)}
    return found, {started[child.id]: child for child in door.runs.some(set(started))}


def standing(door: Door, run: Run) -> Standing:
    """The plan that *run* is part of; without tasks where it has none, or none yet."""
    above = whole(door, run)
    found, children = tasks(door, above)
    wave = waves(found)
    return Standing(
        run=above.id,
        title=above.title,
        state=above.state,
        tasks=tuple(_planned(task, wave[task.id], children.get(task.id)) for task in found),
        ties=tuple(Tie(one=each.one, other=each.other, paths=each.paths) for each in ties(found)),
    )


def _planned(task: Task, wave: int, child: Run | None) -> Planned:
    return Planned(
        id=task.id,
        title=task.title,
        criteria=task.criteria,
        depends=task.depends,
        paths=task.footprint.paths,
        symbols=task.footprint.symbols,
        wave=wave + 1,
        state=child.state if child else "planned",
        why=child.why if child else "",
        run=child.id if child else "",
        pull_request=child.pull_request if child else 0,
    )
