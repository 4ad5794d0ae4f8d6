"""Which key means something now, and why another one does not: what one may not do and what there is not to do is said, not guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nightmill.access import Act, Person
from nightmill.cli.attach.scene import clean
from nightmill.desk.nouns import Asked
from nightmill.errors import SettingsError
from nightmill.kept import Run, must_be_allowed

__all__ = ["Now", "banner", "kind", "why_not"]

NEEDS: dict[str, Act] = {"approve": "approve", "refuse": "approve"}
"""What one has to be allowed; anything else of a run is operated."""
ROLE: dict[Act, str] = {"operate": "operator", "approve": "approver"}


class Now(NamedTuple):
    """Where a run is, as somebody looks at it: *me* is None until that is known, and then the answer is the server's to give."""

    run: Run
    state: str
    over: bool
    asked: Sequence[Asked]
    me: Person | None


def why_not(now: Now, action: str, verb: str = "") -> str:
    """Why *action* (of *verb*: "approve", "pause" …) cannot be done now, "" if it can."""
    if action not in {"say", "cancel", "want", "decide", "rewind"}:
        return ""
    if action != "rewind" and now.over:
        return f"{now.run.id} is over: nothing reaches it any more"
    why = _barred(now, NEEDS.get(verb, "operate"))
    if not why and action == "decide":
        why = _undecided(now, verb)
    return _unwanted(now, verb) if not why and action == "want" else why


def kind(verb: str) -> str:
    """Of the questions to which *verb* is said."""
    return "answer" if verb == "answer" else "approve"


def banner(asked: Sequence[Asked], *, typing: bool) -> str:
    """What is asked, and the keys by which something is said to it; in the line they are letters, until one has left it."""
    before = "escape, then " if typing else ""
    return "\n".join(f"? {clean(each.question.title)}  ({before}{_keys(each)})" for each in asked)


def _keys(asked: Asked) -> str:
    return "w: answer" if asked.question.kind == "answer" else "a: approve, x: refuse"


def _barred(now: Now, act: Act) -> str:
    if now.me is None or now.me.may(act, now.run.project):
        return ""
    if now.me.scopes is not None and act not in now.me.scopes:
        return f"your token may not {act}: nightmill token make, with --scope {act}"
    project = now.run.project or "this project"
    return f"you may not {act} in {project}: that takes the role {ROLE[act]}, which an admin gives"


def _undecided(now: Now, verb: str) -> str:
    fitting = [each.question for each in now.asked if each.question.kind == kind(verb)]
    if not fitting:
        wants = "that is answered in words" if kind(verb) == "answer" else "that takes a yes or a no"
        return f"{now.run.id} asks nothing now {wants}; it is shown here when it does"
    if now.me is None:
        return ""
    try:
        must_be_allowed(fitting[0], now.me.by)
    except SettingsError as error:
        return error.message
    return ""


def _unwanted(now: Now, wanted: str) -> str:
    waits = now.state in {"paused", "parked"} or now.run.wanted == "pause"
    if wanted == "run" and not waits:
        return f"{now.run.id} is {now.state or now.run.state}: it is not paused"
    if wanted == "pause" and waits:
        return (
            f"{now.run.id} is {now.state or now.run.state} as it is"
            if now.run.wanted != "pause"
            else f"{now.run.id} pauses already"
        )
    return ""
