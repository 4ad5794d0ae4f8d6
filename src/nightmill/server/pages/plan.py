"""The plan of a spec's run: its tasks in waves, with how each stands."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from nightmill import event
from nightmill.desk import planned
from nightmill.plan import Task
from nightmill.report.graph import MANY, Node, graph, ties, waves
from nightmill.report.words import Face, face
from nightmill.server.guard import TheRun, needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.site import site_of
from nightmill.store import Run

__all__ = ["router"]

router = of_pages()

LIFE = tuple(
    kind.name
    for kind in (
        event.PlanMade,
        event.TaskQueued,
        event.RunStarted,
        event.RunParked,
        event.RunPaused,
        event.RunResumed,
        event.RunDone,
        event.RunStopped,
        event.TurnFinished,
        event.PullRequestOpened,
    )
)
"""What changes this page."""

NOT_STARTED = Face("not started", "past", "ring")


@router.get("/runs/{run}/plan")
@needs("view", "run")
def plan(request: Request, run: TheRun) -> Response:
    """The page; of a task's run that of the run that started it."""
    door = site_of(request).door
    above = planned.whole(door, run)
    tasks, children = planned.tasks(door, above)
    rows = [(task, children.get(task.id), _node(task, children.get(task.id))) for task in tasks]
    return page(
        request,
        "plan.html",
        run=above,
        here=run.id,
        rows=rows,
        picture=graph([node for _, _, node in rows]) if rows else None,
        ties=ties(tasks),
        many=MANY,
        waves=1 + max(waves(tasks).values(), default=-1),
        life=LIFE,
    )


def _node(task: Task, child: Run | None) -> Node:
    if child is None:
        return Node(task, NOT_STARTED)
    note = f"#{child.pull_request}" if child.pull_request else f"turn {child.turns}" if child.turns else ""
    return Node(task, face(child.state, why=child.why, needs=child.why), f"/runs/{child.id}", note)
