"""Runs: listed, looked at, steered; and what waits for a person."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from nightmill.desk import attention, decide, planned, steer
from nightmill.desk.nouns import Comparison, Standing, Verb
from nightmill.kept import Back
from nightmill.server.beside import compared
from nightmill.server.guard import TheRun, Who, needs, of_api
from nightmill.server.problem import Refused
from nightmill.server.receipts import named, once, repeat
from nightmill.server.site import site_of
from nightmill.store import Run

__all__ = ["Limit", "State", "cursor_of", "read_cursor", "router"]

router = of_api("runs")

State = Literal["queued", "running", "parked", "paused", "done", "stopped"]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]


class RunOut(BaseModel):
    """A run: what was asked for, and what the ledger adds up to. Times are Unix seconds, *cost* is in US dollars."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    kind: Literal["spec", "task"]
    parent: str = Field(description="The run that started this one, empty for none.")
    project: str
    title: str
    state: State
    phase: str
    reason: str
    why: str = Field(description="Of a stop: limit, failed, refused or cancelled; of a parked run: time or person.")
    wanted: Literal["run", "pause", "cancel"]
    wanted_by: str
    model: str
    turns: int
    tokens: int
    cost: float
    priced: bool = Field(description="Whether each turn had a known price, so that the cost is whole.")
    pull_request: int
    worker: str
    created: float
    updated: float


class Runs(BaseModel):
    """A page of runs, newest first."""

    runs: list[RunOut]
    next: str | None = Field(description="The cursor of the next page, null at the end.")


class EntryOut(BaseModel):
    """A line of the ledger."""

    seq: int
    at: float
    run: str
    name: str
    key: str | None
    body: dict[str, Any]
    hash: str


class Entries(BaseModel):
    """A page of the ledger, oldest first."""

    entries: list[EntryOut]
    next: int | None = Field(description="The number to go on after, null at the end.")


class ThingOut(BaseModel):
    """Something that waits for a person."""

    since: float
    reason: str
    run: str
    project: str
    kind: Literal["approve", "answer", "parked", "merge", "task"]
    question: str
    number: int
    task: str = Field(description="Of a kind `task`: what a run left and somebody can start.")
    command: str = Field(description="What goes on from there on a command line.")


class Things(BaseModel):
    """What waits, oldest first."""

    things: list[ThingOut]


class Why(BaseModel):
    """A decision and its reason. *tree* is the one that was looked at: of another one the decision is refused."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field("", max_length=160, description="Which question, if the run asks several.")
    tree: str = Field("", max_length=64)
    because: str = Field("", max_length=4000)


class Refusal(Why):
    """A no, which says why: the run works with it, or ends with it."""

    because: str = Field(min_length=1, max_length=4000)


class Answer(BaseModel):
    """The answer to a question."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field("", max_length=160, description="Which question, if the run asks several.")
    text: str = Field(min_length=1, max_length=20_000)


class Word(BaseModel):
    """What a person says to the agent at work."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=20_000)


Longish = Annotated[str, Field(max_length=100_000)]
Name = Annotated[str, Field(min_length=1, max_length=500)]


class BackIn(BaseModel):
    """Where to go on from, and what is to be otherwise there."""

    model_config = ConfigDict(extra="forbid")

    turn: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] | None = Field(
        None, description="The turn after which to go on, 0: before the first; null: where `answers` was given."
    )
    role: str = Field("", max_length=200, description="Whose turn, where several roles have one of that number.")
    instruction: str = Field("", max_length=20_000, description="What the agent is told first, as your word.")
    files: dict[Name, Longish] = Field({}, max_length=50, description="Texts by path in the checkout.")
    gone: list[Name] = Field([], max_length=50, description="Paths of files in the checkout that are deleted.")
    results: dict[Name, Longish] = Field(
        {}, max_length=50, description="What calls of that turn gave, by id, or by number from 1."
    )
    answers: dict[Name, Longish] = Field(
        {}, max_length=1, description="What a person answered, by the id of the question or its step."
    )


class Decided(BaseModel):
    """A question that has its end; *tree* is what a yes is about."""

    question: str
    run: str
    title: str
    tree: str
    state: Literal["granted", "refused", "answered"]
    by: str


@router.get("/runs")
@needs("view", "some")
def listed(  # noqa: PLR0913, PLR0917 - they are the parameters of a query
    request: Request,
    who: Who,
    project: Annotated[str, Query(max_length=80)] = "",
    parent: Annotated[str, Query(max_length=40, description="Id of the run that started them.")] = "",
    state: Annotated[list[State], Query(max_length=6)] = [],  # noqa: B006 - FastAPI copies it
    cursor: Annotated[str, Query(max_length=200)] = "",
    limit: Limit = 50,
) -> Runs:
    """The runs that you may see, newest first."""
    seen = who.projects("view")
    projects = seen if not project else {project} if seen is None or project in seen else set()
    found = site_of(request).door.runs.list(
        projects=projects,
        states=state,
        parent=parent or None,
        before=read_cursor(cursor) if cursor else None,
        limit=limit + 1,
    )
    more = cursor_of(found[limit - 1].created, found[limit - 1].id) if len(found) > limit else None
    return Runs(runs=[RunOut.model_validate(run) for run in found[:limit]], next=more)


@router.get("/runs/{run}")
@needs("view", "run")
def one(run: TheRun) -> RunOut:
    """One run."""
    return RunOut.model_validate(run)


@router.get("/runs/{run}/events", response_model=Entries)
@needs("view", "run")
def events(
    request: Request, run: TheRun, after: Annotated[int, Query(ge=0, le=2**53)] = 0, limit: Limit = 100
) -> Response:
    """What happened in a run, oldest first; live as a stream at `/events`."""
    found = site_of(request).door.ledger.read(after=after, run=run.id, limit=limit + 1)
    more = found[limit - 1].seq if len(found) > limit else None
    plain = {"entries": [{**asdict(each), "body": json.loads(each.body)} for each in found[:limit]], "next": more}
    # As ASCII: what a model wrote may hold half of a character, which is no UTF-8.
    return Response(json.dumps(plain), media_type="application/json")


@router.post("/runs/{run}/pause")
@needs("operate", "run")
def pause(request: Request, run: TheRun, who: Who) -> RunOut:
    """Pause it after its turn, with all that it started. It keeps its work and spends nothing."""
    return _want(request, run, "pause", who)


@router.post("/runs/{run}/resume")
@needs("operate", "run")
def resume(request: Request, run: TheRun, who: Who) -> RunOut:
    """Go on with it, paused or parked."""
    return _want(request, run, "run", who)


@router.post("/runs/{run}/cancel")
@needs("operate", "run")
def cancel(request: Request, run: TheRun, who: Who) -> RunOut:
    """Stop it for good. Its work so far is kept on a branch."""
    return _want(request, run, "cancel", who)


@router.post("/runs/{run}/approve")
@needs("approve", "run")
def approve(request: Request, run: TheRun, who: Who, why: Why) -> Decided:
    """Say yes to what it asks: to exactly the tree that it shows, under the policy that it names."""
    return _decide(request, run, who, "approve", why)


@router.post("/runs/{run}/refuse")
@needs("approve", "run")
def refuse(request: Request, run: TheRun, who: Who, why: Refusal) -> Decided:
    """Say no to what it asks, and why."""
    return _decide(request, run, who, "refuse", why)


@router.post("/runs/{run}/answer")
@needs("operate", "run")
def answered(request: Request, run: TheRun, who: Who, answer: Answer) -> Decided:
    """Answer the question that it asks."""
    return _decide(request, run, who, "answer", answer)


@router.post("/runs/{run}/say")
@needs("operate", "run")
def say(request: Request, run: TheRun, who: Who, word: Word) -> RunOut:
    """Say something to the agent at work in it, which hears it before its next turn, as yours.

    Said to a spec's run, the task that is at work hears it; that run is what comes back. Who reviews hears nothing.
    """
    site = site_of(request)

    def do() -> dict[str, Any]:
        return asdict(steer.say(site.door, run.id, word.text, by=who.by))

    def said() -> dict[str, Any]:
        return asdict(site.door.runs.get(run.id))

    body, base = word.model_dump(), site.door.database
    return RunOut.model_validate(once(base, request, body, do, who=who.address, now=site.clock(), found=said))


@router.post("/runs/{run}/rewind", status_code=201)
@needs("operate", "run")
def rewind(request: Request, run: TheRun, who: Who, back: BackIn) -> RunOut:
    """Go on from an earlier moment of it, as a new run, with all as it was then, or as you edit it. The old one stays."""
    site = site_of(request)

    def do() -> dict[str, Any]:
        files = {path: text.encode("utf-8", "surrogatepass") for path, text in back.files.items()}
        wanted = Back(**{**back.model_dump(), "files": files})
        return asdict(steer.rewind(site.door, run.id, wanted, by=who.by, of=named(request)))

    body, base = back.model_dump(), site.door.database
    return RunOut.model_validate(once(base, request, body, do, who=who.address, now=site.clock(), found=repeat))


@router.get("/runs/{run}/compare/{other}")
@needs("view", "run")
def compare(
    request: Request, run: TheRun, who: Who, other: Annotated[str, Path(min_length=1, max_length=200)]
) -> Comparison:
    """It beside another run of its project: the turns that both have, what came of each after them, how their trees differ."""
    return compared(site_of(request), run, who, other)


@router.get("/runs/{run}/plan")
@needs("view", "run")
def plan(request: Request, run: TheRun) -> Standing:
    """The plan that it is part of as it is now: tasks in waves, how each stands, and which may touch the same in no order."""
    return planned.standing(site_of(request).door, run)


@router.get("/waiting")
@needs("view", "some")
def waiting(request: Request, who: Who) -> Things:
    """What waits for a person, each once, with its reason and what to do about it."""
    seen = who.projects("view")
    things = attention.waiting(site_of(request).door)
    return Things(
        things=[
            ThingOut(**each._asdict(), command=attention.commands(each)[0])
            for each in things
            if seen is None or each.project in seen
        ]
    )


def _want(request: Request, run: Run, wanted: Literal["run", "pause", "cancel"], who: Who) -> RunOut:
    site = site_of(request)

    def do() -> dict[str, Any]:
        return asdict(steer.want(site.door, run.id, wanted, by=who.by))

    def found() -> dict[str, Any]:
        return asdict(site.door.runs.get(run.id))

    base = site.door.database
    return RunOut.model_validate(once(base, request, None, do, who=who.address, now=site.clock(), found=found))


def _decide(request: Request, run: Run, who: Who, verb: Verb, said: Why | Answer) -> Decided:
    site = site_of(request)

    def do() -> dict[str, Any]:
        tree = said.tree if isinstance(said, Why) else ""
        words = said.text if isinstance(said, Answer) else said.because
        return decide.settle(site.door, run, verb, words, by=who.by, question=said.question, tree=tree)._asdict()

    def found() -> dict[str, Any] | None:
        ended = decide.settled(site.door, run, verb, by=who.by, question=said.question)
        return ended._asdict() if ended else None

    body, base = said.model_dump(), site.door.database
    return Decided.model_validate(once(base, request, body, do, who=who.address, now=site.clock(), found=found))


def cursor_of(at: float, id: str) -> str:
    """The cursor of the page that follows what is *id* and was made *at* that time."""
    return base64.urlsafe_b64encode(json.dumps([at, id]).encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[float, str]:
    """The time and the id that *cursor* names, as `Runs.page` wants them.

    Raises:
        Refused: If nobody was given that cursor.
    """
    try:
        created, run = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return float(created), str(run)
    except (ValueError, TypeError, RecursionError) as error:
        raise Refused(422, "this cursor is none that was given out", hint="begin again without one") from error
