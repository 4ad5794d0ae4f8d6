"""The ledger as evidence: taken along entry by entry, gone through, sealed."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Collection
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from nightmill.desk.evidence import LONGEST, MOST_WORDS, PAGE, Sought, Span, pages, wanted
from nightmill.errors import SettingsError
from nightmill.server.api.events import one, the_run
from nightmill.server.api.runs import EntryOut
from nightmill.server.guard import Who, needs, of_api
from nightmill.server.problem import Refused
from nightmill.server.rolls import gone_through, looked_through
from nightmill.server.site import Site, site_of
from nightmill.server.stream import EventStream
from nightmill.server.streams import Bound
from nightmill.store import Entry
from nightmill.store import seal as sealing
from nightmill.store.export import line
from nightmill.store.seal import Seal
from nightmill.store.search import search as look

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


class FoundOut(EntryOut):
    """An entry that was found; its body is text where somebody else's hand wrote it."""

    body: dict[str, Any] | str  # type: ignore[assignment]


class Findings(BaseModel):
    """What was found, newest first: a page of it, or all that is in the 200,000 entries that were looked through for it."""

    entries: list[FoundOut]
    next: int | None = Field(description="`before` of the next page, as far as was looked; null at the end.")


Text = Annotated[str, Query(max_length=LONGEST)]
Moment = Annotated[float, Query(ge=-1e12, le=1e12, allow_inf_nan=False)]
Words = Annotated[
    list[Annotated[str, Field(max_length=LONGEST)]],
    Query(max_length=MOST_WORDS, description="Each of them is in the entry, whichever case it has."),
]

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


@router.get("/ledger/search", response_model=Findings)
@needs("view", "some")
def search(  # noqa: PLR0913, PLR0917 - they are the parameters of a query
    request: Request,
    who_asks: Who,
    word: Words = [],  # noqa: B006 - FastAPI copies it
    who: Annotated[Text, Query(description="Part of a name, an address or a role of somebody in it.")] = "",
    name: Annotated[Text, Query(description="How the name of the event begins.")] = "",
    run: Annotated[Text, Query(description="How the run's id begins.")] = "",
    since: Annotated[Moment, Query(description="From then on, in Unix seconds; 0: from the beginning.")] = 0.0,
    until: Annotated[Moment, Query(description="Before then; 0: without end.")] = 0.0,
    before: Annotated[int, Query(ge=0, le=2**53, description="Only entries with a smaller number; 0: all.")] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE, description="How many at most.")] = 50,
) -> Response:
    """Look through the ledger, of all that you may see, newest first. What is about no run is for who sees all."""
    named = {"words": tuple(word), "who": who, "name": name, "run": run}
    try:
        sought = Sought(**named, since=since, until=until, before=before)  # type: ignore[arg-type]
        asked = wanted(sought, projects=who_asks.projects("view"))
    except SettingsError as error:
        raise Refused(422, error.message, hint=error.hint) from error
    with looked_through(who_asks.address):
        found = look(site_of(request).door.database, asked, limit=limit)
    entries = ",".join(line(each).rstrip() for each in found.entries)
    return Response(f'{{"entries":[{entries}],"next":{found.further or "null"}}}', media_type="application/json")


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
