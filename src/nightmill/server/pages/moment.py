"""A moment of a run: what may be otherwise from there on, each text in place, and the way on."""

from __future__ import annotations

from itertools import takewhile
from typing import Annotated

from fastapi import Form, Query, Request
from starlette.responses import RedirectResponse, Response

from nightmill import event as e
from nightmill.desk import steer
from nightmill.desk.offered import Moment
from nightmill.kept import Back, Run
from nightmill.server.guard import TheRun, Who, needs, of_pages
from nightmill.server.pages.render import page
from nightmill.server.problem import Refused
from nightmill.server.site import Site, site_of

__all__ = ["MOMENTS", "moments", "router"]

router = of_pages()

MOMENTS = 60
"""The latest turns that are offered to be gone on from."""
TELLING = tuple(
    kind.name for kind in (e.TurnFinished, e.ExplorerSent, e.AgentFinished, e.PullRequestOpened, e.TaskQueued)
)
"""What says which turns these are."""
TO = r"^(.+/)?[0-9]{1,6}$"
"""ROLE/TURN, or TURN."""

At = Annotated[str, Query(max_length=220, pattern=TO)]
Names = Annotated[list[Annotated[str, Form(max_length=500)]], Form(max_length=60)]
Texts = Annotated[list[Annotated[str, Form(max_length=400_000)]], Form(max_length=60)]


@router.get("/runs/{run}/moment")
@needs("operate", "run")
def one(
    request: Request,
    run: TheRun,
    to: At,
    instruction: Annotated[str, Query(max_length=20_000)] = "",
    path: Annotated[list[str], Query(max_length=20)] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """The page; with *path*, those files beside the ones that had changed."""
    site = site_of(request)
    asked = list(dict.fromkeys(each for each in path if each))
    found = _moment(site, run, to, asked)
    told = [entry.event() for entry in site.door.ledger.read(run=run.id, names=TELLING)]
    return page(
        request,
        "moment.html",
        run=run,
        found=found,
        to=to,
        instruction=instruction,
        asked=asked,
        moments=moments(told)[:MOMENTS],
    )


@router.post("/runs/{run}/rewind")
@needs("operate", "run")
def rewind(  # noqa: PLR0913, PLR0917 - they are the fields of a form
    request: Request,
    run: TheRun,
    who: Who,
    to: Annotated[str, Form(max_length=220, pattern=f"{TO}|^$")] = "",
    instruction: Annotated[str, Form(max_length=20_000)] = "",
    question: Annotated[str, Form(max_length=160)] = "",
    answer: Annotated[str, Form(max_length=20_000)] = "",
    call: Names = [],  # noqa: B006 - FastAPI copies it
    given: Texts = [],  # noqa: B006 - as above
    path: Names = [],  # noqa: B006 - as above
    text: Texts = [],  # noqa: B006 - as above
    gone: Names = [],  # noqa: B006 - as above
) -> Response:
    """Go on from there, or from *question* with another *answer*, as a new run, which the response leads to.

    A text that is as it was is no edit.
    """
    site = site_of(request)
    if question or not to:
        back = Back(instruction=instruction.strip(), answers={question: answer.replace("\r\n", "\n").strip()})
        return RedirectResponse(f"/runs/{steer.rewind(site.door, run.id, back, by=who.by).id}", 303)
    role, number = _place(to)
    results, files = _pairs(call, given), _pairs(path, text)
    if results or files or gone:
        from nightmill.desk.moment import edits  # noqa: PLC0415 - all that makes a run, which a server at rest need not hold

        found = _moment(site, run, to, [*files, *gone])
        results, files = edits(found.results, results), edits(found.files, files)
        if missing := {*gone} - {each.path for each in found.files if each.there}:
            raise Refused(409, f"{min(missing)[:200]!r} is not there to be deleted", hint="look at the moment again")
    back = Back(
        turn=number,
        role=role,
        instruction=instruction.strip(),
        results=results,
        files={name: body.encode() for name, body in files.items()},
        gone=tuple(gone),
    )
    made = steer.rewind(site.door, run.id, back, by=who.by)
    return RedirectResponse(f"/runs/{made.id}", 303)


def moments(told: list[e.Event]) -> list[e.TurnFinished]:
    """The turns that it can be gone on from, the newest first: none with which an agent ended, and none after something left the run.

    Of agents that ended otherwise than by saying that they are done, it is seen when it is asked for.
    """
    over = {(each.role, each.turn) for each in told if isinstance(each, e.AgentFinished)}
    over |= {(each.role, each.turn) for each in told if isinstance(each, e.TurnFinished) and not each.record}
    explorers = {each.role for each in told if isinstance(each, e.ExplorerSent)}
    inside = takewhile(lambda each: not isinstance(each, e.PullRequestOpened | e.TaskQueued), told)
    turns = [each for each in inside if isinstance(each, e.TurnFinished) and each.role not in explorers]
    return [each for each in reversed(turns) if (each.role, each.turn) not in over]


def _moment(site: Site, run: Run, to: str, paths: list[str]) -> Moment:
    from nightmill.desk.moment import moment  # noqa: PLC0415 - all that makes a run, which a server at rest need not hold

    role, number = _place(to)
    return moment(site.door, run, role=role, turn=number, paths=paths)


def _place(to: str) -> tuple[str, int]:
    role, _, number = to.rpartition("/")
    return role, int(number)


def _pairs(names: list[str], texts: list[str]) -> dict[str, str]:
    if len(names) != len(texts) or len({*names}) != len(names):
        raise Refused(422, "each text belongs to one name", hint="send the form as it is")
    return dict(zip(names, texts, strict=True))
