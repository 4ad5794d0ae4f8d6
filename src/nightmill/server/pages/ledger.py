"""The ledger: looked through, verified, taken along."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from nightmill.desk.door import Door
from nightmill.event import EVENTS
from nightmill.report.text import one_line
from nightmill.server.guard import Who, needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.problem import Refused
from nightmill.server.site import site_of
from nightmill.store import Entry
from nightmill.store.search import Wanted, search

__all__ = ["router"]

router = of_pages()

PAGE, PIECE = 100, 1000
"""Entries on a page, and in a piece of what is taken along."""
DIGEST = re.compile(r"[0-9a-f]{40,64}")
LINE = 160
"""Characters of a field that are shown; the export has all of it."""

ONE = threading.BoundedSemaphore(1)
"""Chains that are gone through at once: it reads all that there is."""


class Asked(BaseModel):
    """What is looked for; times as a browser's field has them, in UTC."""

    run: str = Field(default="", max_length=80)
    name: str = Field(default="", max_length=80)
    since: str = Field(default="", max_length=80)
    until: str = Field(default="", max_length=80)
    before: int = Field(default=0, ge=0, le=2**53)


class Told(NamedTuple):
    """An entry, and what it says: each field that holds something, in words, and as many of them as there is room for."""

    entry: Entry
    said: tuple[tuple[str, str], ...]


class Held(NamedTuple):
    """Whether the chain of so many *entries* holds, and what is *wrong* with it."""

    holds: bool
    wrong: str
    entries: int


@router.get("/ledger")
@needs("view", "some")
def looked(request: Request, who: Who, asked: Annotated[Asked, Query()]) -> Response:
    """What was told of the projects that may be seen, newest first. What is about no run is for who sees all of them."""
    return _page(request, who, asked)


@router.post("/ledger/verify")
@needs("view", "every")
def verified(request: Request, who: Who) -> Response:
    """Go through the whole chain."""
    ledger = site_of(request).door.ledger
    if not ONE.acquire(blocking=False):
        raise Refused(429, "somebody has it verified just now", hint="try again in a moment")
    try:
        last, broken = ledger.last(), ledger.verify()
    finally:
        ONE.release()
    wrong = f"entry {broken.seq}: {broken.reason}" if broken else ""
    return _page(request, who, Asked(), held=Held(not broken, wrong, last))


@router.get("/ledger/export")
@needs("view", "every")
def export(request: Request) -> Response:
    """All of it, as JSON lines, with what its hashes cover."""
    return StreamingResponse(
        _lines(site_of(request).door),
        media_type="application/jsonl",
        headers={"Content-Disposition": 'attachment; filename="ledger.jsonl"'},
    )


def _page(request: Request, who: Who, asked: Asked, *, held: Held | None = None) -> Response:
    wanted = Wanted(
        projects=who.projects("view"),
        run=asked.run.strip(),
        name=asked.name.strip(),
        since=_moment(asked.since),
        until=_moment(asked.until),
        before=asked.before,
    )
    found = search(site_of(request).door.database, wanted, limit=PAGE + 1)
    older = {**asked.model_dump(exclude_defaults=True), "before": found[PAGE - 1].seq} if len(found) > PAGE else {}
    return page(
        request,
        "ledger.html",
        entries=[Told(each, _said(each.body)) for each in found[:PAGE]],
        older=urlencode(older),
        asked=asked,
        names=sorted(EVENTS),
        all=who.may("view"),
        held=held,
    )


def _said(body: str) -> tuple[tuple[str, str], ...]:
    said = [(name, _words(value)) for name, value in json.loads(body).items()]
    return tuple((name, words) for name, words in said if words)


def _words(value: Any) -> str:
    """*value* as a line; "" for one that says nothing. Of what is a digest, its beginning tells it from others."""
    if isinstance(value, str):
        return f"{value[:12]}…" if DIGEST.fullmatch(value) else one_line(value, most=LINE)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return one_line(", ".join(value), most=LINE)
    return "" if value in ([], {}) else one_line(json.dumps(value, ensure_ascii=False), most=LINE)


def _moment(said: str) -> float:
    """Unix seconds of *said* as a browser's field has it, in UTC; 0 for nothing.

    Raises:
        Refused: If it is no such time.
    """
    if not said:
        return 0.0
    try:
        return datetime.fromisoformat(said).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise Refused(
            422, f"{said[:40]!r} is no time", hint="such as 2026-05-01 or 2026-05-01T20:00, in UTC"
        ) from error


def _lines(door: Door) -> Iterator[bytes]:
    after = 0
    while found := door.ledger.read(after=after, limit=PIECE):
        yield b"".join(_line(each) for each in found)
        after = found[-1].seq


def _line(entry: Entry) -> bytes:
    plain = {
        "seq": entry.seq,
        "at": entry.at,
        "run": entry.run,
        "name": entry.name,
        "key": entry.key,
        "body": json.loads(entry.body),
        "hash": entry.hash,
    }
    return (json.dumps(plain, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
