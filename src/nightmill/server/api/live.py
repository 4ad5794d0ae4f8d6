"""What a live view of a run asks for beside its events: a turn whole, the diff so far, and who else looks on."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from nightmill.desk import readable, rebuilt
from nightmill.desk import turn as turns
from nightmill.desk.changed import changed
from nightmill.desk.offered import Moment
from nightmill.desk.requested import Requested, Sent
from nightmill.server.guard import TheRun, Who, needs, of_api
from nightmill.server.rolls import looked_through
from nightmill.server.site import site_of
from nightmill.store.presence import Presence

__all__ = ["router"]

router = of_api("live")


class PartOut(BaseModel):
    """A part of a turn. *ok* is false of a result that says that the call was wrong."""

    model_config = ConfigDict(from_attributes=True)

    kind: Literal["thinking", "text", "call", "result"]
    call: str = Field(description="Of a call and its result: its id, as `tool_finished` has it.")
    name: str = Field(description="Of a call and its result: the tool.")
    text: str
    ok: bool


class TurnOut(BaseModel):
    """A turn, part by part."""

    parts: list[PartOut]


class DiffOut(BaseModel):
    """A diff, as git writes it."""

    diff: str


class RequestsOut(BaseModel):
    """What a model was sent in a run, in order."""

    requests: list[Requested]


class Sign(BaseModel):
    """A sign that somebody looks on, from the view *terminal*, for *seconds* more; 0: no longer."""

    model_config = ConfigDict(extra="forbid")

    terminal: str = Field(min_length=8, max_length=40)
    seconds: float = Field(ge=0, le=120, strict=True)


class Others(BaseModel):
    """Who else looks on, each once."""

    people: list[str]


@router.get("/runs/{run}/turn")
@needs("view", "run")
def turn(
    request: Request,
    run: TheRun,
    number: Annotated[int, Query(ge=1, le=2**31)],
    role: Annotated[str, Query(min_length=1, max_length=200)],
) -> TurnOut:
    """One turn of a role, whole; the middle of what is very long is left out."""
    found = turns.turn(site_of(request).door, run, role=role, number=number)
    return TurnOut(parts=[PartOut.model_validate(each) for each in found])


@router.get("/runs/{run}/requests")
@needs("view", "run")
def requested(request: Request, run: TheRun, who: Who) -> RequestsOut:
    """What a model was sent in its finished turns, rebuilt from the ledger and held against what went."""
    with looked_through(who.address):
        return RequestsOut(requests=list(rebuilt.requested(site_of(request).door, run)))


@router.get("/runs/{run}/request")
@needs("view", "run")
def sent(
    request: Request,
    run: TheRun,
    who: Who,
    number: Annotated[int, Query(ge=1, le=2**31, description="Of the turn.")],
    role: Annotated[str, Query(max_length=200, description="Whose turn; of whoever has one, explorers last.")] = "",
) -> Sent:
    """One request with its body, byte for byte, unless something in it looks like a secret, which is hidden then."""
    door = site_of(request).door
    with looked_through(who.address):
        found = rebuilt.request(door, run, number, role=role)
    body = readable.sent(door, found.body)
    return replace(found, body=body, hidden=body != found.body)


@router.get("/runs/{run}/moment")
@needs("operate", "run")
def moment(
    request: Request,
    run: TheRun,
    turn: Annotated[int, Query(ge=0, le=1_000_000, description="After which; 0: before the first.")],
    role: Annotated[str, Query(max_length=200)] = "",
    path: Annotated[
        list[Annotated[str, Query(max_length=500)]], Query(max_length=20, description="Files beside.")
    ] = [],  # noqa: B006 - FastAPI copies it
) -> Moment:
    """What may be edited where a run is gone on from: what the calls of that turn gave, and files as they were, as texts."""
    from nightmill.desk import moment as desk  # noqa: PLC0415 - all that makes a run, which a server at rest need not hold

    return desk.moment(site_of(request).door, run, role=role, turn=turn, paths=path)


@router.get("/runs/{run}/diff")
@needs("view", "run")
def diff(request: Request, run: TheRun) -> DiffOut:
    """What it has changed so far; empty if that is nothing, or its workspace is not on the server's machine."""
    return DiffOut(diff=changed(site_of(request).door, run))


@router.post("/runs/{run}/attend")
@needs("view", "run")
def attend(request: Request, run: TheRun, who: Who, sign: Sign) -> Others:
    """Say that you look on, and hear who else does. Say it again before the seconds are over."""
    presence = Presence(site_of(request).door.database)
    return Others(people=list(presence.attend(run.id, sign.terminal, by=who.by, seconds=sign.seconds)))
