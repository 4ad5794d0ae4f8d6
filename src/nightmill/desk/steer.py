"""Steering a run with all that it started: pause, resume, cancel; saying something to it; going on from an earlier moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightmill.desk.door import Door
from nightmill.errors import SettingsError
from nightmill.kept import Back
from nightmill.store.runs import Run, Wanted

if TYPE_CHECKING:
    from nightmill.line.rewind import Kept

__all__ = ["go_on", "kept_of", "rewind", "say", "want"]


def want(door: Door, name: str, wanted: Wanted, *, by: str) -> Run:
    """Note what *by* wants of the run *name* and of all that it started and that is not over.

    Raises:
        SettingsError: If there is no such run, it has ended, or it was cancelled before.
    """
    found = door.runs.want(name, wanted, by=by)
    for child in door.runs.list(parent=found.id):
        if not child.over:
            door.runs.want(child.id, wanted, by=by)
    return found


def say(door: Door, name: str, text: str, *, by: str) -> Run:
    """Say *text*, a word of *by*, to the run *name*, or to the task that is at work if it is that of a spec; gives who hears it.

    Raises:
        SettingsError: If there is no such run, it has ended, no task of it is at work, or nothing or too much is said.
    """
    found = door.runs.get(name)
    if found.kind == "spec" and not found.over:
        # Its tasks run one after the other, so there is one at most.
        working = [child for child in door.runs.list(parent=found.id) if not child.over]
        if not working:
            raise SettingsError(
                f"run {found.id} plans: no task of it is at work that could hear it",
                hint="say it again once one is: `nightmill show` lists them",
            )
        found = working[0]
    return door.runs.say(found.id, text, by=by)


def rewind(door: Door, name: str, back: Back, *, by: str, of: str = "") -> Run:
    """A new run that goes on from the moment of the run *name* that *back* says, as *by* edits it there; the old one stays.

    However often it is asked for *of* the same text, it is one run.

    Raises:
        SettingsError: If there is no such run, or it cannot be gone on from so.
    """
    from nightmill.line import rewind as line  # noqa: PLC0415 - a pause need not load what runs are made with
    from nightmill.line.submit import identifier  # noqa: PLC0415

    return line.again(kept_of(door), door.runs.get(name), back, name=identifier(of), by=by)


def kept_of(door: Door) -> Kept:
    """Where runs and what they left are, for what goes on from them."""
    from nightmill.line.rewind import Kept  # noqa: PLC0415 - as above

    return Kept(home=door.settings.home, runs=door.runs, ledger=door.ledger, blobs=door.blobs, questions=door.questions)


def go_on(door: Door, name: str, text: str, *, by: str) -> Run:
    """A new run that goes on from the newest moment of the run *name* that can be, and hears *text* first, a word of *by*.

    Raises:
        SettingsError: As `rewind`.
    """
    from nightmill.line import rewind as line  # noqa: PLC0415 - as above

    role, turn = line.newest(kept_of(door), door.runs.get(name))
    return rewind(door, name, Back(turn=turn, role=role, instruction=text), by=by)
