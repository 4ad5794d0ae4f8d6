"""The ledger as evidence: taken along entry by entry, gone through, sealed."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Collection
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from nightmill.desk.evidence import Span, pages
from nightmill.server.api.events import one, the_run
from nightmill.server.guard import Who, needs, of_api
from nightmill.server.problem import Refused
from nightmill.server.rolls import gone_through
from nightmill.server.site import Site, site_of
from nightmill.server.stream import EventStream
from nightmill.server.streams import Bound
from nightmill.store import Entry
from nightmill.store import seal as sealing
from nightmill.store.export import line
from nightmill.store.seal import Seal

__all__ = ["End", "router"]

router = of_api("ledger")

AT_ONCE = Bound(2, "you take 2 ledgers along already")
"""Each is all that there is."""
EVERY = "only who may view all projects sees all of the ledger"


class End(BaseModel):
    """The last line of a ledger that is whole: what came before it were so many *entries*, up to number *upto*."""

    whole: Literal[True] = True
    upto: int
    entries: int


class HeldOut(BaseModel):
    """Whether the chain of so many *entries* holds, as the server says of itself; *wrong* is what does not."""

    holds: bool
    wrong: str
    entries: int


LINE = {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("EntryOut", "End")]}
ROLL: dict[int | str, dict[str, Any]] = {
    200: {
        "description": 'JSON lines: entries, oldest first, and at last `{"whole": true, …}`. What has no such end was cut: '
        "go on with `after`. A line with nothing in it says that the server is at work.",
        "content": {"application/jsonl": {"schema": LINE}},  # of each line: OpenAPI 3.1 has no words of its own for it
    }
}


@router.get("/ledger", response_class=Response, responses=ROLL)
@needs("view", "some")
async def roll(
    request: Request,
    who: Who,
    run: Annotated[str, Query(max_length=40, description="Only of this run.")] = "",
    name: Annotated[str, Query(max_length=80, description="Only events of this name.")] = "",
    after: Annotated[int, Query(ge=0, le=2**53, description="Begin after this number.")] = 0,
    *,
    every: Annotated[bool, Query(description="All, or nothing: refused to who sees only a part.")] = False,
) -> Response:
    """The ledger as it is now, of all that you may see, with what its hashes cover. What is about no run is for who sees all."""
    site = site_of(request)
    if every and not who.may("view"):
        raise Refused(403, EVERY, hint="ask an admin for the role in all projects")
    only = await run_in_threadpool(the_run, site, run, who) if run else ""
    upto = await run_in_threadpool(site.door.ledger.last)
    frames = _lines(site, Span(upto, after, only, name), who.projects("view"))
    return EventStream(frames, one=partial(one, site, request, who, bound=AT_ONCE), media_type="application/jsonl")


@router.post("/ledger/verify")
@needs("view", "every")
def verify(request: Request) -> HeldOut:
    """Have the server go through its whole chain. Who does not trust it takes the ledger along, and goes through that."""
    last, broken = gone_through(site_of(request).door.ledger)
    wrong = f"entry {broken.seq}: {broken.reason}" if broken else ""
    return HeldOut(holds=not broken, wrong=wrong, entries=last)


@router.post("/ledger/seal")
@needs("view", "every")
def seal(request: Request) -> Seal:
    """Where the ledger stands, signed by its store: keep it where nobody at the server reaches it."""
    door = site_of(request).door
    return sealing.seal(door.database, sealing.key(door.settings.home), at=time.time())


async def _lines(site: Site, span: Span, seen: Collection[str] | None) -> AsyncGenerator[bytes]:
    """The lines of *span*, of runs of the projects *seen* alone, None: of all; and the one that says that it is whole."""
    found, count = pages(site.door.ledger, span), 0
    while (page := await run_in_threadpool(next, found, None)) is not None:
        shown = page if seen is None else await run_in_threadpool(_of, site, page, seen)
        count += len(shown)
        yield "".join(map(line, shown)).encode() or b"\n"
    yield End(upto=span.upto, entries=count).model_dump_json().encode() + b"\n"


def _of(site: Site, page: Collection[Entry], seen: Collection[str]) -> Collection[Entry]:
    known = {run.id: run.project for run in site.door.runs.some({each.run for each in page if each.run})}
    return [each for each in page if known.get(each.run) in seen]
