"""Webhooks, for those who administer everything: an address that the server sends to is not for one project to choose."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from nightmill.desk import hooks
from nightmill.hook import Undelivered
from nightmill.server.guard import Who, needs, of_api
from nightmill.server.problem import Refused
from nightmill.server.receipts import named, once, repeat, sealed
from nightmill.server.site import site_of
from nightmill.store.hooks import How, identifier

__all__ = ["router"]

router = of_api("hooks")

Id = Annotated[str, Path(max_length=40, description="Id of a webhook.")]


class HookOut(BaseModel):
    """A webhook. Times are Unix seconds; *events* empty: all; *project* empty: every one."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    url: str
    events: list[str]
    project: str
    added: float
    by: str
    seq: int = Field(description="Number of the last entry of the ledger that it is done with.")
    tries: int = Field(description="How often the next one failed so far.")
    reason: str
    due: float
    lost: int = Field(description="How many in a row were given up before it.")
    paused: bool = Field(description="Nothing is sent until it is resumed; what happens meanwhile is sent then.")


class HooksOut(BaseModel):
    """All webhooks, oldest first."""

    hooks: list[HookOut]


class HookIn(BaseModel):
    """A new webhook."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=2000)
    events: list[str] = Field(default=[], max_length=100)
    project: str = Field("", max_length=80)


class HookMade(BaseModel):
    """A webhook with the secret that its letters are signed with, shown this once."""

    hook: HookOut
    secret: str


class Rotation(BaseModel):
    """How it gets another secret: letters are signed with that of now, too, for a day; with *at_once* they are not."""

    model_config = ConfigDict(extra="forbid")

    at_once: bool = Field(False, strict=True)


class Secret(BaseModel):
    """What letters are signed with from now on, shown this once."""

    secret: str


class DeliveryOut(BaseModel):
    """A letter that was sent; *seq* 0: to try it out. *status* 0: there was no answer; *reason* empty: it arrived."""

    model_config = ConfigDict(from_attributes=True)

    seq: int
    event: str
    at: float
    seconds: float
    status: int
    reason: str


class Deliveries(BaseModel):
    """The last letters, newest first."""

    deliveries: list[DeliveryOut]


class DeadOut(BaseModel):
    """An entry of the ledger that was given up; *again*: it is to be sent once more."""

    model_config = ConfigDict(from_attributes=True)

    hook: str
    seq: int
    at: float
    reason: str
    again: bool


class Deads(BaseModel):
    """What was given up, oldest first."""

    dead: list[DeadOut]


class Again(BaseModel):
    """Which entry to send once more; 0: all that were given up, and the one that waits to be tried again."""

    model_config = ConfigDict(extra="forbid")

    seq: int = Field(0, ge=0, le=2**53, strict=True)


class Count(BaseModel):
    """How many are to be sent."""

    count: int


@router.get("/hooks")
@needs("administer", "every")
def listed(request: Request) -> HooksOut:
    """All webhooks, without their secrets."""
    found = site_of(request).door.hooks.all()
    return HooksOut(hooks=[HookOut.model_validate(asdict(each)) for each in found])


@router.post("/hooks", status_code=201)
@needs("administer", "every")
def add(request: Request, who: Who, hook: HookIn) -> HookMade:
    """Have an address told of what happens from now on, signed."""
    site = site_of(request)

    def do() -> dict[str, Any]:
        own = identifier(named(request))
        made = hooks.add(site.door, hook.url, events=hook.events, project=hook.project, by=who.by, id=own)
        return {"hook": asdict(made.hook), "secret": made.secret}

    body, base = hook.model_dump(), site.door.database
    return HookMade(**sealed(base, request, body, do, who=who.address, now=site.clock(), found=repeat))


@router.get("/hooks/dead")
@needs("administer", "every")
def dead(
    request: Request, hook: Annotated[str, Query(max_length=40, description="Only of this one, by its id.")] = ""
) -> Deads:
    """What was given up after all tries."""
    door = site_of(request).door
    if hook:
        door.hooks.get(hook)
    return Deads(dead=[DeadOut.model_validate(asdict(each)) for each in door.hooks.dead(hook)])


@router.delete("/hooks/{hook:path}", status_code=204)
@needs("administer", "every")
def remove(request: Request, who: Who, hook: Id) -> None:
    """Tell it nothing more."""
    site = site_of(request)

    def do() -> dict[str, Any]:
        hooks.remove(site.door, hook, by=who.by)
        return {}

    def gone() -> dict[str, Any]:
        hooks.forget(site.door, hook)
        return {}

    once(site.door.database, request, None, do, who=who.address, now=site.clock(), found=gone)


@router.post("/hooks/{hook:path}/pause", status_code=204)
@needs("administer", "every")
def pause(request: Request, who: Who, hook: Id) -> None:
    """Send it nothing until it is resumed."""
    _change(request, who, hook, "paused")


@router.post("/hooks/{hook:path}/resume", status_code=204)
@needs("administer", "every")
def resume(request: Request, who: Who, hook: Id) -> None:
    """Send it what happened since it was paused, and go on."""
    _change(request, who, hook, "resumed")


@router.put("/hooks/{hook:path}/secret")
@needs("administer", "every")
def rotate(request: Request, who: Who, hook: Id, how: Rotation) -> Secret:
    """Have its letters signed with another secret, which this answer alone shows."""
    site = site_of(request)

    def do() -> dict[str, Any]:
        return {"secret": hooks.rotate(site.door, hook, by=who.by, at=site.clock(), at_once=how.at_once)}

    body, base = how.model_dump(), site.door.database
    return Secret(**sealed(base, request, body, do, who=who.address, now=site.clock(), found=repeat))


@router.get("/hooks/{hook:path}/deliveries")
@needs("administer", "every")
def deliveries(request: Request, hook: Id) -> Deliveries:
    """How the last letters to it went."""
    door = site_of(request).door
    door.hooks.get(hook)
    return Deliveries(deliveries=[DeliveryOut.model_validate(asdict(each)) for each in door.hooks.delivered(hook)])


@router.post("/hooks/{hook:path}/test", status_code=204)
@needs("administer", "every")
def test(request: Request, who: Who, hook: Id) -> None:
    """Send it a letter of the type "test" now; 409 says why it did not arrive."""
    site = site_of(request)

    def do() -> dict[str, Any]:
        try:
            asyncio.run(hooks.try_out(site.door, hook, now=site.clock()))
        except Undelivered as error:
            raise Refused(409, f"it did not arrive: {error}", hint=hooks.UNHEARD) from error
        return {}

    once(site.door.database, request, None, do, who=who.address, now=site.clock(), found=repeat)


@router.post("/hooks/{hook:path}/dead", status_code=202)
@needs("administer", "every")
def again(request: Request, who: Who, hook: Id, which: Again) -> Count:
    """Have what was given up sent once more."""
    site = site_of(request)

    def do() -> dict[str, Any]:
        return {"count": site.door.hooks.again(hook, which.seq)}

    body, base = which.model_dump(), site.door.database
    return Count(**once(base, request, body, do, who=who.address, now=site.clock(), found=repeat))


def _change(request: Request, who: Who, hook: str, how: How) -> None:
    site = site_of(request)

    def do() -> dict[str, Any]:
        site.door.hooks.change(hook, how, by=who.by)
        return {}

    once(site.door.database, request, None, do, who=who.address, now=site.clock(), found=dict)
