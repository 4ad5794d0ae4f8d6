"""Pull requests: listed, looked at, approved, merged and sent back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from nightmill.access import Person
from nightmill.desk import changes
from nightmill.desk.door import Door
from nightmill.errors import RepoError
from nightmill.forge import PullRequest
from nightmill.server.api.runs import Limit, cursor_of, read_cursor
from nightmill.server.guard import TheProject, Who, needs, of_api
from nightmill.server.problem import Refused
from nightmill.server.receipts import once
from nightmill.server.site import site_of

__all__ = ["router"]

router = of_api("changes")

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Do = Callable[[Door, PullRequest], object]
Done = Callable[[Door, PullRequest], bool]
State = Literal["open", "merged", "closed"]


class ChangeOut(BaseModel):
    """A pull request: *tree* is what *passed* was found out of, *author* who made its commit. Times are Unix seconds."""

    project: str
    number: int
    title: str
    state: State
    run: str
    branch: str
    target: str
    head: str
    base: str
    tree: str
    author: str
    passed: bool
    opened: float
    merged: float = Field(description="0: it is not.")
    merged_by: str
    merge_commit: str


class Changes(BaseModel):
    """A page of pull requests, newest first."""

    changes: list[ChangeOut]
    next: str | None = Field(description="The cursor of the next page, null at the end.")


class StandOut(BaseModel):
    """A pull request, and what stands between it and its merge, as you would merge it now."""

    change: ChangeOut
    body: str
    answer: Literal["merged", "closed", "stuck", "unproven", "asks", "denied", "free"] = Field(
        description="free: you may merge it. asks, denied: what policy says. unproven: no check ran on what merging gives."
    )
    tree: str = Field(description="What merging it gives; empty where it cannot be merged.")
    reasons: list[str]
    hint: str
    barred: str = Field(description="Why you may say neither yes nor no; empty: you may.")
    mine: bool = Field(description="Whether you have said yes to exactly that tree.")


class ChangeDiff(BaseModel):
    """What it changes, as git writes it; *cut*: there is more."""

    diff: str
    cut: bool


class Yes(BaseModel):
    """A yes to exactly one tree: the one that was looked at."""

    model_config = ConfigDict(extra="forbid")

    tree: str = Field(min_length=1, max_length=64, description="What merging it gives, as you were told.")
    because: str = Field("", max_length=4000)


class Merge(BaseModel):
    """Which tree is to come out of it."""

    model_config = ConfigDict(extra="forbid")

    tree: str = Field(min_length=1, max_length=64, description="What merging it gives, as you were told.")


class Back(BaseModel):
    """Why it goes back."""

    model_config = ConfigDict(extra="forbid")

    because: str = Field(min_length=1, max_length=4000)


@router.get("/changes")
@needs("view", "some")
def listed(
    request: Request,
    who: Who,
    project: Annotated[str, Query(max_length=80)] = "",
    state: Annotated[State | Literal[""], Query(description="Only those.")] = "",
    cursor: Annotated[str, Query(max_length=200)] = "",
    limit: Limit = 50,
) -> Changes:
    """The pull requests that you may see, newest first. Whether one can be merged says the one."""
    seen = who.projects("view")
    found = site_of(request).door.forge.all(
        project=project, state=state, projects=seen, after=_after(cursor) if cursor else None, limit=limit + 1
    )
    last = found[limit - 1] if len(found) > limit else None
    more = cursor_of(last.opened, f"{last.number}/{last.project}") if last else None
    return Changes(changes=[_out(each) for each in found[:limit]], next=more)


@router.get("/projects/{project}/changes/{number}")
@needs("view", "project")
def one(request: Request, project: TheProject, number: Number, who: Who) -> StandOut:
    """One of them, and whether you may merge it."""
    door = site_of(request).door
    asked = _found(door, project, number)
    return _stand(changes.stand(door, asked, by=who.by, may=who.may("approve", project)))


@router.get("/projects/{project}/changes/{number}/diff")
@needs("view", "project")
def diff(request: Request, project: TheProject, number: Number) -> ChangeDiff:
    """What it changes."""
    door = site_of(request).door
    asked = _found(door, project, number)
    found = door.hub(project).diff(asked.base, asked.head)
    return ChangeDiff(diff=door.hidden.patch(found.text), cut=found.cut)


@router.post("/projects/{project}/changes/{number}/approve")
@needs("approve", "project")
def approve(request: Request, project: TheProject, number: Number, who: Who, yes: Yes) -> StandOut:
    """Say yes to exactly the tree that you looked at. Who has a part in it cannot."""

    def do(door: Door, asked: PullRequest) -> None:
        changes.approve(door, asked, tree=yes.tree, by=who.by, because=yes.because)

    def done(_: Door, __: PullRequest) -> bool:
        return True

    return _decided(request, project, number, who, yes, do, done)


@router.post("/projects/{project}/changes/{number}/merge")
@needs("approve", "project")
def merge(request: Request, project: TheProject, number: Number, who: Who, wanted: Merge) -> StandOut:
    """Merge it, if that gives exactly the tree that you looked at, and that is proven and allowed."""

    def do(door: Door, asked: PullRequest) -> None:
        changes.merge(door, asked, tree=wanted.tree, by=who.by)

    def done(door: Door, asked: PullRequest) -> bool:
        return changes.was_merged(door, asked, by=who.by)

    return _decided(request, project, number, who, wanted, do, done)


@router.post("/projects/{project}/changes/{number}/back")
@needs("approve", "project")
def send_back(request: Request, project: TheProject, number: Number, who: Who, why: Back) -> StandOut:
    """Close it, with the reason. Its branch stays."""

    def do(door: Door, asked: PullRequest) -> None:
        changes.send_back(door, asked, by=who.by, because=why.because)

    def done(door: Door, asked: PullRequest) -> bool:
        return changes.went_back(door, asked, by=who.by)

    return _decided(request, project, number, who, why, do, done)


def _after(cursor: str) -> tuple[float, int, str]:
    at, place = read_cursor(cursor)
    number, _, project = place.partition("/")
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise Refused(422, "this cursor is none that was given out", hint="begin again without one")
    return at, int(number), project


def _decided(  # noqa: PLR0913, PLR0917 - a decision is all of it
    request: Request, project: str, number: int, who: Person, said: BaseModel, do: Do, done: Done
) -> StandOut:
    """What it is after *do*, which is done once however often it is asked for; *done*: whether all of it was, before a crash."""
    site = site_of(request)

    def once_only() -> dict[str, Any]:
        do(site.door, _found(site.door, project, number))
        return stands()

    def stands() -> dict[str, Any]:
        now = changes.stand(site.door, _found(site.door, project, number), by=who.by, may=True)
        return _stand(now).model_dump(mode="json")

    def found() -> dict[str, Any] | None:
        return stands() if done(site.door, _found(site.door, project, number)) else None

    body = said.model_dump()
    told = once(site.door.database, request, body, once_only, who=who.address, now=site.clock(), found=found)
    return StandOut.model_validate(told)


def _found(door: Door, project: str, number: int) -> PullRequest:
    try:
        return door.forge.get(project=project, number=number)
    except RepoError as error:
        raise Refused(404, f"{project} has no pull request {number}", hint="the list of changes has them") from error


def _out(request: PullRequest) -> ChangeOut:
    return ChangeOut.model_validate(asdict(request))


def _stand(stand: changes.Stand) -> StandOut:
    return StandOut(
        change=_out(stand.request),
        body=stand.request.body,
        answer=stand.answer,
        tree=stand.tree,
        reasons=list(stand.reasons),
        hint=stand.hint,
        barred=stand.barred,
        mine=stand.mine,
    )
