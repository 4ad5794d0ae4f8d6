"""The ledger, live."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Header, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema
from starlette.concurrency import run_in_threadpool

from nightmill.access import digest
from nightmill.errors import SettingsError
from nightmill.server.guard import Who, needs, of_api, who_is
from nightmill.server.problem import Refused
from nightmill.server.site import Site, site_of
from nightmill.server.stream import EventStream
from nightmill.server.streams import Bound
from nightmill.server.stretch import Item
from nightmill.store import AWAY

__all__ = ["DraftOut", "Resume", "one", "router", "the_run"]

router = of_api("events")

STREAMS = Bound(100, "you have 100 streams already")

Number = Annotated[int, Field(ge=0, le=2**53)]
Numeral = Annotated[str, Field(pattern=r"^[0-9]{1,16}$")]

DATA = ("EntryOut", "DraftOut", "Resume")
EVENT = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]+$"},
        "event": {"type": "string"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in DATA]},
        },
        "retry": {"type": "integer"},
    },
}


class PieceOut(BaseModel):
    """The newest part of one thing that is being written, without secrets."""

    kind: Literal["thinking", "text", "call", "output"]
    name: str = Field(description="The tool that is called, with its arguments as they come; the command that prints.")
    text: str
    cut: int = Field(description="Characters before it that are left out.")
    by: str = Field(description="The explorer that writes it, empty for the turn itself.")


class DraftOut(BaseModel):
    """What a run writes just now, in a turn that has not ended."""

    run: str
    project: str
    role: str
    turn: int
    attempt: str = Field(description="Another one each time that the turn is begun: what was written before has gone.")
    pieces: list[PieceOut] = Field(description="None: it writes nothing any more.")


class Resume(BaseModel):
    """Come again: nothing."""

    model_config = ConfigDict(extra="forbid")


STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events: `id` is the number in the ledger, `event` the name, `data` JSON. "
        "`event: draft` is no entry and has no `id`: what a run writes in a turn that has not ended, in place of what "
        "it wrote before; without pieces it writes nothing any more. "
        "After `event: resume`, and whenever it ends, connect again with `Last-Event-ID`.",
        # Of each event: OpenAPI 3.1 has no words of its own for a stream.
        "content": {"text/event-stream": {"schema": EVENT}},
    }
}


@router.get("/events", response_class=Response, responses=STREAM)
@needs("view", "some")
async def stream(
    request: Request,
    who: Who,
    run: Annotated[str, Query(max_length=40, description="Only of this run and those that it started.")] = "",
    after: Annotated[Number | SkipJsonSchema[None], Query(description="Begin after this number.")] = None,
    last_event_id: Annotated[
        Numeral | SkipJsonSchema[None], Header(description="As `after`, said by browsers.")
    ] = None,
    *,
    drafts: Annotated[
        bool, Query(description="Of the run that is named, also what is written just now: the event `draft`.")
    ] = False,
) -> Response:
    """What happens, as it happens, in all that you may see. Without a number it begins now."""
    site = site_of(request)
    only = await run_in_threadpool(the_run, site, run, who) if run else ""
    seen = who.projects("view")

    def wants(item: Item) -> bool:
        if only and only not in {item.run, *item.place.above}:
            return False
        return seen is None or (bool(item.place.project) and item.place.project in seen)

    def alone() -> str | None:
        return only if only and not site.door.runs.list(parent=only, limit=1) else None

    begin = int(last_event_id) if last_event_id is not None else after
    frames = site.feed.frames(wants, after=begin, alone=alone, drafts=only if drafts else "")
    return EventStream(frames, one=partial(one, site, request, who, bound=STREAMS))


def the_run(site: Site, name: str, who: Who) -> str:
    """The id of the run whose id is or begins with *name*.

    Raises:
        Refused: If there is none that they may see.
    """
    try:
        found = site.door.runs.get(name)
    except SettingsError:
        found = None
    if found is None or not who.may("view", found.project):
        raise Refused(404, f"there is no run {name!r} that you may see", hint="the list of runs has the ids")
    return found.id


def one(site: Site, request: Request, who: Who, *, bound: Bound) -> AbstractContextManager[asyncio.Event]:
    """A stream of *who*, which may go on as long as what *request* shows is as good as it is now."""

    def still() -> bool:
        try:
            return who_is(site, request) == who
        except (Refused, *AWAY):
            return False

    shown = digest(request.headers.get("authorization") or request.cookies.get(site.cookie, ""))
    return site.streams.one(who.address, shown, still, bound=bound)
