"""Run: where it is, whether it goes well, what it waits for; then everything that it did, as it grows."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import quote

from fastapi import Query, Request
from starlette.responses import Response

from nightmill import event as e
from nightmill.access import Act, Person
from nightmill.desk import readable
from nightmill.desk.attention import commands
from nightmill.desk.door import Door
from nightmill.desk.seen import seen
from nightmill.desk.sofar import so_far
from nightmill.errors import NightmillError, SettingsError
from nightmill.kept import Question, must_be_allowed
from nightmill.model import connect
from nightmill.report.nouns import Entry
from nightmill.report.section import section
from nightmill.report.steps import rungs
from nightmill.report.text import Shown, shown
from nightmill.report.turns import Window
from nightmill.server.guard import TheRun, Who, needs, of_pages
from nightmill.server.pages.moment import MOMENTS, moments
from nightmill.server.pages.render import page
from nightmill.server.site import site_of
from nightmill.store import Run

__all__ = ["router"]

router = of_pages()

BLOCK = 20
"""Turns that one page shows; the newest one shows up to twice as many."""
SHARE = 6
"""Of the room that a report has, one in so many parts: this page is read again and again."""
ROOM = 40_000
"""Characters of what a question shows."""

WORDS = 20
"""Words of people that are shown."""

EVENTS = tuple(
    kind.name
    for kind in (
        *(e.RunQueued, e.RunStarted, e.RunRecovered, e.RunParked, e.RunPaused, e.RunResumed, e.RunDone, e.RunStopped),
        *(e.PhaseStarted, e.StepFinished, e.WorkspacePrepared, e.WorkspaceRestored, e.ServiceStarted, e.ServiceEnded),
        *(e.TurnStarted, e.ModelRetried, e.ReplyReceived, e.ToolStarted, e.ToolFinished, e.TurnFinished),
        *(e.TodoChanged, e.ContextCompacted, e.AgentNudged, e.AgentFinished, e.SentBack, e.CheckFinished),
        *(e.PermissionTaken, e.TaskFiled, e.TaskStarted, e.TaskDropped),
        *(e.VerdictGiven, e.ReviewGiven, e.CommitMade, e.WorkPreserved, e.PlanMade, e.TaskQueued),
        *(e.PullRequestOpened, e.PullRequestMerged, e.QuestionAsked, e.QuestionDecided, e.WordSaid, e.WordHeard),
        *(e.PastEdited, e.CommentHeard),
    )
)
"""What changes this page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question as somebody sees it. *barred* says why they may not decide it, "" if they may."""

    question: Question
    text: Shown | None
    barred: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the agent has before it: its list, services by name ("ready" or how they ended), parts left out so far."""

    todo: tuple[dict[str, str], ...]
    services: dict[str, str]
    compactions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a person said to the run, and the turn that heard it, 0 for none yet."""

    said: e.WordSaid
    at: float
    role: str = ""
    turn: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """What somebody needs who goes on by hand.

    Attributes:
        answered: Questions of the run that a person answered.
        commit: That it began with.
        branch: Of the repository *hub*, that its work is on, "" if it is on none yet.
    """

    answered: tuple[Question, ...]
    commit: str
    branch: str
    hub: str


@router.get("/runs/{run}")
@needs("view", "run")
def one(request: Request, run: TheRun, who: Who, turns: Annotated[int, Query(ge=0, le=100_000)] = 0) -> Response:
    """The whole run; of its turns the newest, or those of a page."""
    site = site_of(request)
    child = seen(site.door, run)
    if not child.diff and run.kind == "task":
        child = replace(child, diff=so_far(site.door, run))
    part = section(child, blob=readable.blob(site.door), now=site.clock(), share=SHARE, window=Window(BLOCK, turns))
    children = tuple(reversed(site.door.runs.list(parent=run.id)))
    left = site.door.tasks.list(run=run.id)
    back = _back(site.door, [each.event for each in child.events])
    return page(
        request,
        "run.html",
        run=run,
        part=part,
        children=children,
        asked=_asked(
            site.door, (run, *children), who, left={run.id} if any(each.state == "open" for each in left) else set()
        ),
        tasks=left,
        work=_work(child.events),
        words=_words(child.events),
        rungs=rungs(part.summary.steps),
        size=_size(run.model),
        pages=-(-len(part.turns.places) // BLOCK),
        turns=turns,
        block=BLOCK,
        edits=[each.event for each in child.events if isinstance(each.event, e.PastEdited)],
        forks=_forks(site.door, run),
        origin=next((each.event.origin for each in child.events if isinstance(each.event, e.RunQueued)), "").partition(
            "@"
        ),
        moments=back[:MOMENTS],
        onward=_onward(run, back),
        hand=_hand(site.door, run, child.events),
        operates=who.may("operate", run.project),
        events=EVENTS,
    )


def _asked(door: Door, runs: Sequence[Run], who: Person, *, left: Collection[str]) -> list[Asked]:
    """What *runs* ask; with a task that one of them *left* is decided what it waits with, if it only waits to end."""
    names = {run.id: run for run in runs}
    return [
        Asked(
            question=each,
            text=_text(door, each),
            barred=_barred(each, names[each.run], who),
            commands=tuple(commands(each)),
        )
        for each in door.questions.open()
        if each.run in names and not (each.ends and each.run in left)
    ]


def _text(door: Door, question: Question) -> Shown | None:
    if not question.body:
        return None
    try:
        return shown(readable.body(door, question.body).decode("utf-8", "replace"), ROOM)
    except (NightmillError, OSError) as error:
        return shown(f"what it shows is not in the store: {error}", ROOM)


def _barred(question: Question, run: Run, who: Person) -> str:
    act: Act = "operate" if question.kind == "answer" else "approve"
    if not who.may(act, run.project):
        return f"you have no role in {run.project} that may {'answer' if act == 'operate' else act}"
    try:
        must_be_allowed(question, who.by)
    except SettingsError as error:
        return f"{error.message}; {error.hint}"
    return ""


def _forks(door: Door, run: Run) -> list[e.RunForked]:
    """The runs that go on from a turn of *run*, oldest first."""
    told = [entry.event() for entry in door.ledger.read(run="", names=(e.RunForked.name,))]
    return [each for each in told if isinstance(each, e.RunForked) and each.before == run.id]


def _back(door: Door, told: list[e.Event]) -> list[e.TurnFinished]:
    """The turns that it can be gone on from, the newest first; that one was looked at, since it is offered first."""
    found = moments(told)
    while found and _ended(door, found[0]):
        del found[0]
    return found


def _ended(door: Door, turn: e.TurnFinished) -> bool:
    try:
        return json.loads(door.blobs.get(turn.record)).get("ending") is not None
    except (NightmillError, OSError, ValueError):
        return True  # nobody can go on from what is not there


def _onward(run: Run, back: Sequence[e.TurnFinished]) -> dict[str, str]:
    """The address of each moment, by ROLE/TURN."""
    at = f"/runs/{run.id}/moment?to="
    return {place: at + quote(place) for place in (f"{each.role}/{each.turn}" for each in back)}


def _hand(door: Door, run: Run, told: Sequence[Entry]) -> Hand:
    prepared, kept = "", ""
    for entry in told:
        match entry.event:
            case e.WorkspacePrepared(commit=commit):
                prepared = commit
            case e.WorkPreserved(branch=branch) | e.PullRequestOpened(branch=branch):
                kept = branch
            case _:
                pass
    answered = [each for each in door.questions.of(run.id) if (each.kind, each.state) == ("answer", "answered")]
    hub = shlex.quote(str(door.hub(run.project).path))
    return Hand(answered=tuple(answered), commit=prepared, branch=kept, hub=hub)


def _work(told: Sequence[Entry]) -> Work:
    todo: list[dict[str, str]] = []
    services: dict[str, str] = {}
    compactions = 0
    for entry in told:
        match entry.event:
            case e.TodoChanged(items=items):
                todo = items
            case e.ServiceStarted(service=name, ready=ready, reason=reason):
                services[name] = "ready" if ready else reason or "not ready"
            case e.ServiceEnded(service=name, reason=reason):
                services[name] = f"ended: {reason}" if reason else "ended"
            case e.ContextCompacted():
                compactions += 1
            case _:
                pass
    return Work(todo=tuple(todo), services=services, compactions=compactions)


def _words(told: Sequence[Entry]) -> tuple[Word, ...]:
    """The latest words of people, the newest last."""
    words: dict[int, Word] = {}
    for entry in told:
        match entry.event:
            case e.WordSaid(number=number) as said:
                words[number] = Word(said=said, at=entry.at)
            case e.WordHeard(number=number, role=role, turn=turn) if number in words:
                words[number] = replace(words[number], role=role, turn=turn)
            case _:
                pass
    return tuple(words.values())[-WORDS:]


def _size(model: str) -> int:
    """Tokens that the context of *model* holds, 0 if nobody has said."""
    try:
        return connect.window(model) or 0
    except SettingsError:
        return 0
