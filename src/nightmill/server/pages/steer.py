"""The buttons of a run: each is a form, and leads back to its page."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import RedirectResponse, Response

from nightmill.desk import decide, steer
from nightmill.desk.nouns import Verb
from nightmill.server.guard import TheRun, Who, needs, of_pages
from nightmill.server.problem import Refused
from nightmill.server.site import site_of
from nightmill.store import Run
from nightmill.store.runs import Wanted

__all__ = ["router"]

router = of_pages()

Question = Annotated[str, Form(min_length=1, max_length=160)]
Tree = Annotated[str, Form(max_length=64)]
Because = Annotated[str, Form(max_length=4000)]


@router.post("/runs/{run}/pause")
@needs("operate", "run")
def pause(request: Request, run: TheRun, who: Who) -> Response:
    """Pause it after its turn, with all that it started."""
    return _want(request, run, "pause", who)


@router.post("/runs/{run}/resume")
@needs("operate", "run")
def resume(request: Request, run: TheRun, who: Who) -> Response:
    """Go on with it."""
    return _want(request, run, "run", who)


@router.post("/runs/{run}/cancel")
@needs("operate", "run")
def cancel(request: Request, run: TheRun, who: Who, sure: Annotated[str, Form(pattern="^yes$")]) -> Response:
    """Stop it for good. Without *sure* it is refused: who cancels was asked once more."""
    assert sure  # noqa: S101 - the form was whole
    return _want(request, run, "cancel", who)


@router.post("/runs/{run}/say")
@needs("operate", "run")
def say(
    request: Request, run: TheRun, who: Who, text: Annotated[str, Form(min_length=1, max_length=20_000)]
) -> Response:
    """Tell whoever is at work in it something, which it hears before its next turn."""
    steer.say(site_of(request).door, run.id, text, by=who.by)
    return _back(run)


@router.post("/runs/{run}/approve")
@needs("approve", "run")
def approve(
    request: Request, run: TheRun, who: Who, question: Question, tree: Tree = "", because: Because = ""
) -> Response:
    """Say yes to exactly the question and the tree that the page showed."""
    return _decide(request, run, "approve", because.strip(), who, question=question, tree=tree)


@router.post("/runs/{run}/refuse")
@needs("approve", "run")
def refuse(
    request: Request, run: TheRun, who: Who, question: Question, tree: Tree = "", because: Because = ""
) -> Response:
    """Say no, and why."""
    if not because.strip():
        raise Refused(422, "a refusal says why: the run works with it, or ends with it", hint="go back and say it")
    return _decide(request, run, "refuse", because.strip(), who, question=question, tree=tree)


@router.post("/runs/{run}/answer")
@needs("operate", "run")
def answer(
    request: Request,
    run: TheRun,
    who: Who,
    question: Question,
    text: Annotated[str, Form(min_length=1, max_length=20_000)],
) -> Response:
    """Answer its question."""
    return _decide(request, run, "answer", text, who, question=question)


def _decide(request: Request, run: Run, verb: Verb, words: str, who: Who, **which: str) -> Response:
    decide.settle(site_of(request).door, run, verb, words, by=who.by, **which)
    return _back(run)


def _want(request: Request, run: Run, wanted: Wanted, who: Who) -> Response:
    steer.want(site_of(request).door, run.id, wanted, by=who.by)
    return _back(run)


def _back(run: Run) -> Response:
    return RedirectResponse(f"/runs/{run.id}", 303)
