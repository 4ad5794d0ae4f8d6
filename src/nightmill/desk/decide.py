"""What a run and its tasks ask, the one question that a decision is about, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from nightmill.desk import remarks
from nightmill.desk.door import Door
from nightmill.desk.nouns import Asked, Ended, Verb, commands
from nightmill.errors import SettingsError
from nightmill.kept import Question, Run, must_be_allowed

__all__ = ["Kind", "asked", "end", "questions", "settle", "settled"]

Kind = Literal["approve", "answer"]


def questions(door: Door, run: Run) -> list[Asked]:
    """What *run* and its tasks ask now, oldest first."""
    texts = door.blobs
    return [
        Asked(each, texts.get(each.body).decode("utf-8", "replace") if each.body else "") for each in _open(door, run)
    ]


def asked(door: Door, run: Run, kind: Kind, *, question: str = "", tree: str = "") -> Question:
    """The one open question of *kind* of *run* or of a task of it; with the id *question* and about *tree*, if they are named.

    Raises:
        SettingsError: If there is none or several, or it is about another tree.
    """
    found = [each for each in _open(door, run) if question in {"", each.id}]
    fitting = [each for each in found if each.kind == kind]
    # What strangers write makes no answer to what the run itself asks ambiguous; among themselves the oldest is meant.
    fitting = [each for each in fitting if each.step != remarks.STEP] or fitting[:1]
    if len(fitting) == 1:
        if tree not in {"", fitting[0].tree}:
            raise SettingsError(f"the question is about tree {fitting[0].tree[:12]} by now", hint="look at it again")
        return fitting[0]
    if fitting:
        asking = ", ".join(each.run for each in fitting)
        raise SettingsError(f"several runs of {run.id} ask something: {asking}", hint=commands(fitting[0])[0])
    if found:
        raise SettingsError(f"{found[0].title!r} wants something else", hint=" or ".join(commands(found[0])))
    before = sorted(
        (each for name in _family(door, run) for each in door.questions.of(name) if each.state != "open"),
        key=lambda each: each.decided,
    )
    past = f": {before[-1].title!r} was {before[-1].state} by {before[-1].by}" if before else ""
    raise SettingsError(f"run {run.id} asks nobody anything now{past}", hint="nightmill waiting")


def settle(  # noqa: PLR0913 - a decision is all of it
    door: Door, run: Run, verb: Verb, words: str, *, by: str, question: str = "", tree: str = ""
) -> Ended:
    """End the one open question of *run* or of a task of it that *verb* fits, as `asked` finds it and `end` ends it.

    Raises:
        SettingsError: As these do.
    """
    kind: Kind = "answer" if verb == "answer" else "approve"
    return end(door, asked(door, run, kind, question=question, tree=tree), verb, words, by=by)


def settled(door: Door, run: Run, verb: Verb, *, by: str, question: str = "") -> Ended | None:
    """The question of *run* or of a task of it that *by* ended last as *verb* does, of the id *question*, if it is named."""
    state = {"approve": "granted", "refuse": "refused", "answer": "answered"}[verb]
    every = (each for name in _family(door, run) for each in door.questions.of(name))
    mine = [each for each in every if each.state == state and each.by == by and question in {"", each.id}]
    return _ended(max(mine, key=lambda each: each.decided)) if mine else None


def end(door: Door, asked: Question, verb: Verb, words: str, *, by: str) -> Ended:
    """End *asked* in the name of *by*, with the answer or the reason in *words*.

    Raises:
        SettingsError: If *by* may not, or it is not open any more.
    """
    kept = door.questions
    if verb == "answer":
        if asked.step == remarks.STEP and words == remarks.PASS and kept.get(asked.id).state == "open":
            must_be_allowed(asked, by)
            remarks.pass_on(
                door, asked, by=by
            )  # before it is closed: who stops in between is asked again, and it is said once
        ended = kept.answer(asked.id, words, by=by)
    elif verb == "approve":
        ended = kept.grant(asked.id, by=by, because=words)
    else:
        ended = kept.refuse(asked.id, by=by, because=words)
    return _ended(ended)


def _ended(question: Question) -> Ended:
    return Ended(question.id, question.run, question.title, question.tree, question.state, question.by)


def _open(door: Door, run: Run) -> Sequence[Question]:
    family = _family(door, run)
    return [each for each in door.questions.open() if each.run in family]


def _family(door: Door, run: Run) -> set[str]:
    """*run* and its tasks; who has a right to it has one to what is of its project, and to nothing else."""
    return {run.id, *(child.id for child in door.runs.list(parent=run.id) if child.project == run.project)}
