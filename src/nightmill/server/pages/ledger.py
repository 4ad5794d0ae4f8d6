"""The ledger: looked through, verified, taken along."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import Query, Request
from markupsafe import Markup
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from nightmill.desk.evidence import MOST_WORDS, Span, pages
from nightmill.event import EVENTS
from nightmill.report.text import one_line, visible
from nightmill.report.words import duration, moment, money
from nightmill.server.guard import Who, needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.problem import Refused
from nightmill.server.rolls import gone_through, looked_through
from nightmill.server.site import site_of
from nightmill.store import Entry
from nightmill.store.export import line
from nightmill.store.search import Wanted, named, search

__all__ = ["router"]

router = of_pages()

PAGE = 100
"""Entries on a page."""
MOMENTS = frozenset({"before", "expires", "until"})
"""Fields that are times, in Unix seconds."""
DIGEST = re.compile(r"[0-9a-f]{40,64}")
AROUND = 6
"""The entry that a chain breaks at is shown with so many after it."""
LINE = 160
"""Characters of a field that are shown; the export has all of it."""


class Asked(BaseModel):
    """What is looked for; times as a browser's field has them, in UTC."""

    words: str = Field(default="", max_length=200)
    who: str = Field(default="", max_length=200)
    name: str = Field(default="", max_length=80)
    run: str = Field(default="", max_length=80)
    since: str = Field(default="", max_length=80)
    until: str = Field(default="", max_length=80)
    before: int = Field(default=0, ge=0, le=2**53)

    @property
    def narrowed(self) -> bool:
        """Whether anything but all of it is asked for."""
        return bool(self.model_dump(exclude={"before"}, exclude_defaults=True))


class Told(NamedTuple):
    """An entry, and what it says: each field that holds something, in words, and as many of them as there is room for."""

    entry: Entry
    said: tuple[tuple[str, Markup], ...]


class Held(NamedTuple):
    """Whether the chain of so many *entries* holds; what is *wrong* with the one at *at*, if it does not."""

    holds: bool
    wrong: str
    at: int
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
    last, broken = gone_through(site_of(request).door.ledger)
    held = Held(False, broken.reason, broken.seq, last) if broken else Held(True, "", 0, last)
    return _page(request, who, Asked(before=min(held.at + AROUND, last + 1) if broken else 0), held=held)


@router.get("/ledger/export")
@needs("view", "every")
def export(request: Request) -> Response:
    """All of it, as JSON lines, with what its hashes cover."""
    ledger = site_of(request).door.ledger
    return StreamingResponse(
        ("".join(map(line, page)).encode("utf-8") for page in pages(ledger, Span(upto=ledger.last()))),
        media_type="application/jsonl",
        headers={"Content-Disposition": 'attachment; filename="ledger.jsonl"'},
    )


def _page(request: Request, who: Who, asked: Asked, *, held: Held | None = None) -> Response:
    words = asked.words.split()[:MOST_WORDS]
    wanted = Wanted(
        projects=who.projects("view"),
        words=words,
        who=asked.who.strip(),
        names=named(asked.name),
        run=asked.run.strip(),
        since=_moment(asked.since),
        until=_moment(asked.until),
        before=asked.before,
    )
    door = site_of(request).door
    with looked_through(who.address):
        found, further = search(door.database, wanted, limit=PAGE)
    again = asked.model_dump(exclude_defaults=True, exclude={"before"})
    return page(
        request,
        "ledger.html",
        entries=[Told(each, _said(each, words)) for each in found],
        further=urlencode({**again, "before": further}) if further else "",
        back_to=further,
        newest=urlencode(again),
        full=len(found) == PAGE,
        asked=asked,
        names=sorted(EVENTS),
        all=who.may("view"),
        held=held,
    )


def _said(entry: Entry, words: Sequence[str]) -> tuple[tuple[str, Markup], ...]:
    """The fields of *entry*, in the order of its event; as one text what no ledger of ours holds."""
    try:
        body = dict(json.loads(entry.body))
    except (ValueError, TypeError, RecursionError):
        return (("", _marked(one_line(entry.body, most=LINE), words)),)
    kind = EVENTS.get(entry.name)
    order = {each.name: at for at, each in enumerate(fields(kind))} if kind else {}
    names = sorted(body, key=lambda name: order.get(name, len(order)))
    said = [(name.replace("_", " "), _shown(name, body[name], words)) for name in names]
    return tuple((name, _marked(text, words)) for name, text in said if text)


def _shown(name: str, value: Any, words: Sequence[str]) -> str:
    """*value* as a line; "" for one that says nothing. Of what is a digest, its beginning tells it from others."""
    match value:
        case bool():
            return "yes" if value else "no"
        case float() | int():
            return _figure(name, value)
        case str() if DIGEST.fullmatch(value):
            return f"{value[:12]}…"
        case str():
            return _around(value, words)
        case _:
            return _around(_together(value), words)


def _together(value: Any) -> str:
    match value:
        case dict() if all(isinstance(each, str | int) for each in value.values()):
            return ", ".join(f"{key.replace('_', ' ')} {each}" for key, each in value.items())
        case list() if all(isinstance(each, str) for each in value):
            return ", ".join(value)
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _figure(name: str, value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    if name in MOMENTS:
        return moment(value) if value else ""
    if name == "cost":
        return money(value)
    return duration(value) if name.endswith("seconds") or name == "wait" else f"{value:,}"


def _around(text: str, words: Sequence[str]) -> str:
    """*text* as a line: its beginning, and where it is longer, what is around the first of *words* that is not in that."""
    found = [at for word in words if (at := text.casefold().find(word.casefold())) > LINE - len(word)]
    if not found:
        return one_line(text, most=LINE)
    return f"{one_line(text[: LINE // 4])} … {one_line(text[max(0, found[0] - LINE // 4) :], most=LINE)}"


def _marked(text: str, words: Sequence[str]) -> Markup:
    """*text* without any effect; what was looked for in it is marked."""
    looked = re.compile(f"({'|'.join(map(re.escape, words))})" if words else "(?!)", re.IGNORECASE)
    parts = looked.split(text)
    return Markup("").join(
        Markup("<mark>{}</mark>").format(visible(part)) if at % 2 else visible(part) for at, part in enumerate(parts)
    )


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
