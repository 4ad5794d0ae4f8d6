"""Tasks that runs left: listed, looked at, started and dropped."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from nightmill.desk.nouns import Remainder
from nightmill.kept import Filed
from nightmill.server.api.runs import Limit, RunOut, cursor_of, read_cursor
from nightmill.server.guard import TheTask, Who, needs, of_api
from nightmill.server.receipts import named, once, repeat
from nightmill.server.site import site_of

__all__ = ["router"]

router = of_api("tasks")


class Tasks(BaseModel):
    """A page of tasks, oldest first."""

    tasks: list[Filed]
    next: str | None = Field(description="The cursor of the next page, null at the end.")


class TakeUp(BaseModel):
    """How it is to be gone on with. What is left out is as it was in the run that left it."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field("", max_length=200, description="`provider:name`.")
    blueprint: str = Field("", max_length=80, description="How it is worked on.")


class TakenUp(BaseModel):
    """The run that goes on with it."""

    run: RunOut
    new: bool = Field(description="False: somebody was first, and this is their run.")


class Because(BaseModel):
    """Why nobody has to go on with it."""

    model_config = ConfigDict(extra="forbid")

    because: str = Field(min_length=1, max_length=4000)


@router.get("/tasks")
@needs("view", "some")
def listed(
    request: Request,
    who: Who,
    project: Annotated[str, Query(max_length=80)] = "",
    every: Annotated[bool, Query(description="Those that are closed, too.")] = False,  # noqa: FBT002 - as above
    cursor: Annotated[str, Query(max_length=200)] = "",
    limit: Limit = 50,
) -> Tasks:
    """What runs left and nobody has ended yet, in what you may see, oldest first."""
    seen = who.projects("view")
    found = site_of(request).door.tasks.list(
        projects=seen if not project else {project} if seen is None or project in seen else set(),
        states=() if every else ("open", "started"),
        after=read_cursor(cursor) if cursor else None,
        limit=limit + 1,
    )
    more = cursor_of(found[limit - 1].filed, found[limit - 1].id) if len(found) > limit else None
    return Tasks(tasks=list(found[:limit]), next=more)


@router.get("/tasks/{task}")
@needs("view", "task")
def one(request: Request, task: TheTask) -> Remainder:
    """A task with all that is known of it, and the spec that a run of it is started with."""
    from nightmill.desk import remedy  # noqa: PLC0415 - all that makes a run, which a server at rest need not hold

    return remedy.shown(site_of(request).door, task.id)


@router.post("/tasks/{task}/start", status_code=201)
@needs("operate", "task")
def start(request: Request, task: TheTask, who: Who, wanted: TakeUp) -> TakenUp:
    """Have a run go on with it, from the work that there is, in your name. The run that left it, if it still waits, ends.

    However many start it at once, it is one run.
    """
    site = site_of(request)

    def do() -> dict[str, Any]:
        from nightmill.desk import remedy  # noqa: PLC0415 - all that makes a run, which a server at rest need not hold
        from nightmill.line.submit import identifier  # noqa: PLC0415

        home = Path.home()  # noqa: TID251 - the server is a door, and its user is who trusts folders
        run = identifier(named(request))
        asked = remedy.Wanted(task=task.id, by=who.by, home=home, run=run, **body)
        started = remedy.start(site.door, asked, now=site.clock)
        return {"run": asdict(started.run), "new": started.new or started.run.id == run}

    body, base = wanted.model_dump(), site.door.database
    return TakenUp.model_validate(once(base, request, body, do, who=who.address, now=site.clock(), found=repeat))


@router.post("/tasks/{task}/drop")
@needs("operate", "task")
def drop(request: Request, task: TheTask, who: Who, why: Because) -> Filed:
    """Let nobody go on with it. Its work stays where it is; the run that left it, if it still waits, ends."""
    site = site_of(request)

    def do() -> dict[str, Any]:
        from nightmill.desk import remedy  # noqa: PLC0415 - all that makes a run, which a server at rest need not hold

        return asdict(remedy.drop(site.door, task.id, by=who.by, because=why.because))

    def found() -> dict[str, Any]:
        from nightmill.desk import remedy  # noqa: PLC0415 - as above

        return asdict(remedy.dropped(site.door, task.id, by=who.by))

    body, base = why.model_dump(), site.door.database
    return Filed(**once(base, request, body, do, who=who.address, now=site.clock(), found=found))
