"""What a person wants who prompts in an editor: watch a run, start one, answer, say why not, or a word to who is at work."""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from nightmill.desk import decide, steer
from nightmill.errors import NightmillError
from nightmill.peer.following import Following
from nightmill.peer.prompt import Prompt
from nightmill.peer.telling import Telling
from nightmill.peer.visit import Place, Visit
from nightmill.store import Run
from nightmill.store.questions import Question

__all__ = ["Session", "take", "watch"]

NAMED = re.compile(r"\br[a-hj-km-np-z2-9]{7}(?:-\w[\w.]*)?\b")
"""What may be the id of a run."""

HELP = (
    "Name a run to watch it, or send a spec (a Markdown text that begins with a heading, or a file of it) to start one."
)


@dataclass(kw_only=True)
class Session:
    """One conversation: what it watches, and what its next prompt is an answer to.

    Attributes:
        telling: What it was shown.
        refusing: The question that the person said no to, and has not said why.
        put: Questions that they were shown.
        others: Who else looks on, as it was told at *attended* last.
        left: Set when the prompt that is under way is to end; each has its own.
    """

    folder: Path
    telling: Telling
    following: Following | None = None
    refusing: str = ""
    put: set[str] = field(default_factory=set)
    others: tuple[str, ...] = ()
    attended: float = -math.inf
    left: asyncio.Event = field(default_factory=asyncio.Event)


def take(visit: Visit, session: Session, asked: Prompt) -> str:
    """Do what is *asked*; what there is to say of it. Blocks.

    Raises:
        NightmillError: If it is refused.
    """
    if session.refusing and asked.text:
        refused, session.refusing = session.refusing, ""
        decide.end(visit.door, visit.door.questions.get(refused), "refuse", asked.text, by=visit.who.by)
        return "Refused, with that reason."
    if asked.spec:
        found = visit.door.project(session.folder)
        run, before = visit.start(asked.spec, Place(found.id, found.root))
        watch(visit, session, visit.run(run, "view"))
        return f"Run {run} is at work on exactly this." if before else f"Started run {run}."
    if (named := _named(visit, asked.text)) is not None:
        watch(visit, session, named)
        return f"Run {named.id}: {named.title} ({named.state})."
    return _said(visit, session, asked.text)


def watch(visit: Visit, session: Session, run: Run) -> None:
    """Have *session* watch *run*: from where it was, if it has watched it before, otherwise from its beginning."""
    if session.following is None or session.following.run != run.id:
        session.following = Following(visit.door, run.id)
    session.put.clear()
    session.refusing = ""


def _named(visit: Visit, text: str) -> Run | None:
    for name in NAMED.findall(text):
        try:
            return visit.run(name, "view")
        except NightmillError:
            continue
    return None


def _said(visit: Visit, session: Session, text: str) -> str:
    """Words that name nothing: an answer to what was asked, or for the agent at work."""
    following = session.following
    if following is None or following.over() or not text:
        session.following = None
        return HELP
    if (question := _open_text(session, following)) is not None:
        visit.run(question.run, "operate")
        decide.end(visit.door, question, "answer", text, by=visit.who.by)
        return "Answered."
    visit.run(following.run, "operate")
    heard = steer.say(visit.door, following.run, text, by=visit.who.by)
    return f"Said to the agent of {heard.id}; it hears it before its next turn."


def _open_text(session: Session, following: Following) -> Question | None:
    asked = [each for each in following.asked() if each.kind == "answer" and not each.options]
    return next((each for each in asked if each.id in session.put), None)
