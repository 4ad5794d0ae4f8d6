"""One change: may it be merged, what shows that, and why each part of it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from fastapi import Form, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from nightmill import event
from nightmill.desk import changes, comments, readable, remarks
from nightmill.desk.comments import Comment
from nightmill.desk.door import Door
from nightmill.errors import RepoError
from nightmill.forge import PullRequest
from nightmill.report.diff import parse
from nightmill.report.hunks import FileView, Row, apart, files
from nightmill.report.nouns import Told
from nightmill.report.reasons import Why, reasons, told_once
from nightmill.report.summary import Summary, summary
from nightmill.report.trust import Trust, trust
from nightmill.report.weave import timeline
from nightmill.server.guard import TheProject, Who, needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.problem import Refused
from nightmill.server.site import site_of

__all__ = ["router"]

router = of_pages()

ROOM_DIFF, ROOM_CHECKS = 400_000, 120_000
"""Characters of what others wrote that the page shows."""
LATEST = 200

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Tree = Annotated[str, Form(max_length=64)]
Words = Annotated[str, Form(max_length=4000)]

ASKED = 200
"""Parts of a diff of which a line can be commented on: a form has so many fields."""

LIFE = tuple(
    kind.name
    for kind in (event.QuestionDecided, event.PullRequestMerged, event.VerdictGiven, event.RunDone, event.GateDecided)
)
"""What changes this page."""


class Back(BaseModel):
    """Why a change goes back: because of the whole, and because of what is *said* of each place *at* the same number."""

    because: str = Field("", max_length=4000)
    at: list[str] = Field(default_factory=list, max_length=500)
    said: list[str] = Field(default_factory=list, max_length=500)


class Hunk(NamedTuple):
    """A hunk as it is shown: what git wrote at its head, its lines, why it is there, what people said of lines of it.

    *at* is the line that a comment would be about if nobody named another, 0 if none can be made.
    """

    head: Row
    rows: tuple[Row, ...]
    why: Why | None
    said: dict[int, list[Said]]
    at: int


class Said(NamedTuple):
    """A comment on a line, and whose it is."""

    by: str
    text: str


class Shown(NamedTuple):
    """A file of the diff with its hunks."""

    file: FileView
    hunks: tuple[Hunk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the templates of the report show of a run's proof. *anchor* begins every id of it."""

    summary: Summary
    trust: Trust
    anchor: str = ""


@router.get("/changes")
@needs("view", "some")
def listed(request: Request, who: Who) -> Response:
    """The pull requests that may be seen: those that wait first."""
    forge, seen = site_of(request).door.forge, who.projects("view")
    latest = forge.all(projects=seen, limit=LATEST + 1)
    waiting = forge.all(projects=seen, state="open", limit=LATEST)
    # The row of an open one may be behind the repository: its owner can have merged it by hand.
    fresh = [forge.get(project=each.project, number=each.number) for each in waiting]
    over = [each for each in latest[:LATEST] if each.state != "open"]
    found = [
        *(each for each in fresh if each.state == "open"),
        *(each for each in fresh if each.state != "open"),
        *over,
    ]
    return page(request, "changes.html", changes=found, more=len(latest) > LATEST)


@router.get("/changes/{project}/{number}")
@needs("view", "project")
def change(request: Request, who: Who, project: TheProject, number: Number) -> Response:
    """The page."""
    site = site_of(request)
    asked = _found(site.door, project, number)
    may = who.may("approve", project)
    known = _told(site.door, asked.run)
    proof = _proof(site.door, known, now=site.clock()) if known else None
    patch = site.door.hub(project).diff(asked.base, asked.head)
    stand = changes.stand(site.door, asked, by=who.by, may=may)
    said = [(each.by, *comments.read(each.answer)) for each in stand.said]
    written = remarks.about(site.door, asked.run)
    at = [(by, each) for by, _, of in said for each in of]
    at += [(each.by, Comment(each.path, each.line, each.text)) for each in written if each.line]
    shown, left_out = _diff(site.door, known, site.door.hidden.patch(patch.text), proof, said=at)
    return page(
        request,
        "change.html",
        stand=stand,
        whole=[each for _, each, _ in said],
        may=may,
        written=written,
        steers=who.may("operate", project),
        change=asked,
        run=proof,
        files=shown,
        left_out=left_out,
        cut=patch.cut,
        life=LIFE,
    )


@router.post("/changes/{project}/{number}/approve")
@needs("approve", "project")
def approve(
    request: Request, who: Who, project: TheProject, number: Number, tree: Tree, because: Words = ""
) -> Response:
    """Say yes to exactly the tree that was looked at."""
    door = site_of(request).door
    changes.approve(door, _found(door, project, number), tree=tree, by=who.by, because=because)
    return _back(project, number)


@router.post("/changes/{project}/{number}/again")
@needs("operate", "project")
def again(request: Request, who: Who, project: TheProject, number: Number) -> Response:
    """Have a new run go on with what was written about it at its forge; the answer leads to its page."""
    door = site_of(request).door
    return RedirectResponse(f"/runs/{remarks.again(door, _found(door, project, number), by=who.by).id}", 303)


@router.post("/changes/{project}/{number}/merge")
@needs("approve", "project")
def merge(request: Request, who: Who, project: TheProject, number: Number, tree: Tree) -> Response:
    """Merge it, giving exactly the tree that was looked at."""
    door = site_of(request).door
    changes.merge(door, _found(door, project, number), tree=tree, by=who.by)
    return _back(project, number)


@router.post("/changes/{project}/{number}/back")
@needs("approve", "project")
def send_back(
    request: Request, who: Who, project: TheProject, number: Number, back: Annotated[Back, Form()]
) -> Response:
    """Close it, and say why: of the whole, and of lines of it."""
    door = site_of(request).door
    reason = comments.written(back.because, zip(back.at, back.said, strict=False))
    changes.send_back(door, _found(door, project, number), by=who.by, because=reason)
    return _back(project, number)


def _back(project: str, number: int) -> Response:
    return RedirectResponse(f"/changes/{project}/{number}", 303)


def _found(door: Door, project: str, number: int) -> PullRequest:
    try:
        return door.forge.get(project=project, number=number)
    except RepoError as error:
        raise Refused(404, f"{project} has no change {number}", hint="the list of changes has them") from error


def _told(door: Door, run: str) -> list[Told]:
    return [Told(each.seq, each.at, each.event(), each.hash) for each in door.ledger.read(run=run)]


def _proof(door: Door, known: list[Told], *, now: float) -> Proof:
    short = summary(known, now=now)
    told = [each.event for each in known]
    return Proof(summary=short, trust=trust(told, short, blob=readable.blob(door), room=ROOM_CHECKS))


def _diff(
    door: Door, known: list[Told], patch: str, proof: Proof | None, *, said: Sequence[tuple[str, Comment]]
) -> tuple[list[Shown], int]:
    """The files with their hunks and reasons, and what was *said* of lines; and how many files were left out."""
    views, left_out = files(patch, room=ROOM_DIFF, edited={})
    parsed = parse(patch)[: len(views)]
    lanes = [lane.name for lane in timeline(known, now=known[-1].at).lanes] if known else []
    evidence = proof.trust.evidence if proof else ()
    why = reasons([each.event for each in known], parsed, blob=readable.blob(door), evidence=evidence, lanes=lanes)
    shown, left, told = [], ASKED, set[str]()
    for view, those in zip(views, why, strict=True):
        of_file: dict[int, list[Said]] = {}
        for by, each in said:
            if each.path == view.path:
                of_file.setdefault(each.line, []).append(Said(by, each.text))
        hunks = []
        for number, (head, *rows) in enumerate(apart(view.rows.rows)):
            new = [row.new for row in rows if row.new]
            changed = [row.new for row in rows if row.new and row.kind == "add"]
            at, left = (changed or new or [0])[0] if left > 0 else 0, left - 1
            reason = told_once(those[number], told) if number < len(those) else None
            hunks.append(Hunk(head, tuple(rows), reason, {line: of_file[line] for line in new if line in of_file}, at))
        shown.append(Shown(view, tuple(hunks)))
    return shown, left_out
