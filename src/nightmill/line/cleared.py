"""The commits that are kept for tasks which runs left, under refs of their own, and which of them nobody needs any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nightmill.errors import NightmillError
from nightmill.line.reclaim import Thing
from nightmill.store.runs import WAITING

if TYPE_CHECKING:
    from nightmill.kept import Filed, Task
    from nightmill.repo import Hub
    from nightmill.store.runs import Runs
    from nightmill.store.tasks import Tasks

__all__ = ["clear", "ref_of"]

OVER: tuple[Task, ...] = ("landed", "followed", "settled", "dropped")


def ref_of(task: str) -> str:
    """The ref that keeps the work of *task*."""
    return f"refs/nightmill/tasks/{task}"


def clear(tasks: Tasks, runs: Runs, hub: Callable[[str], Hub], *, pretend: bool) -> list[Thing]:
    """Delete the refs of tasks that nobody can start any more: dropped, or ended by a run. With *pretend*, only say so.

    A run that goes on from one that took such a task up begins with its commit, so nothing of a project at work goes.
    """
    at_work = {run.project for run in runs.list(states=("queued", "running", *WAITING))}
    found = (_cleared(each, hub, busy=each.project in at_work, pretend=pretend) for each in tasks.list(states=OVER))
    return [each for each in found if each is not None]


def _cleared(task: Filed, hub: Callable[[str], Hub], *, busy: bool, pretend: bool) -> Thing | None:
    try:
        kept, ref = hub(task.project), ref_of(task.id)
        if (commit := kept.resolve(ref)) is None:
            return None
        if not busy and not pretend:
            kept.ref(ref, "", expected_old=commit)
    except (NightmillError, OSError):
        return None  # its repository is not on this machine, or somebody has moved it: the next time
    why = "runs of its project are under way, and may begin with it" if busy else f"the task is {task.state}"
    return Thing(path=kept.path / ref, kind="task", bytes=0, gone=not busy, why=why)
