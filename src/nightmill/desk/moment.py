"""A moment of a run as people edit it: what the calls of its turn gave and what the checkout held, as texts in place.

Nothing is run for it, no link is followed, and what is no text, too long or protected is said to be, and not shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nightmill.agent import TurnRecord
from nightmill.desk import readable
from nightmill.desk.door import Door
from nightmill.desk.offered import Given, Held, Moment
from nightmill.desk.sofar import MADE, TOP
from nightmill.desk.steer import kept_of
from nightmill.errors import NightmillError, SettingsError
from nightmill.kept import Run
from nightmill.line import rewind
from nightmill.line.moments import base_of, moments
from nightmill.line.record import read_record
from nightmill.model import ToolResult
from nightmill.sandbox.disk.shelf import Shelf
from nightmill.sandbox.disk.view import View, differences, file, opened

if TYPE_CHECKING:
    from nightmill.line.assignment import Assignment, Origin

__all__ = ["edits", "moment"]

MOST_SHOWN = 1_000_000
"""Characters of all files together; those after them are named, and shown when they are asked for."""
MOST_LINE = 200
NO_FILE = ("is no file", "is behind a link")


def moment(door: Door, run: Run, *, role: str, turn: int, paths: Sequence[str] = ()) -> Moment:
    """The moment of *run* after *turn* of *role* (0: before the first), with the files *paths* beside those that had changed.

    Raises:
        SettingsError: If it cannot be gone on from there, or its snapshot is not on this machine (any more).
    """
    assignment, origin = rewind.at(kept_of(door), run, role=role, turn=turn)
    record = read_record(readable.body(door, origin.record)) if origin.record else None
    closed = rewind.closed(assignment, origin)
    files, more = ((), 0) if closed else _files(door, run, assignment, origin, paths)
    return Moment(
        run=run.id,
        role=origin.role,
        turn=origin.turn,
        said=record.reply.text.strip()[: rewind.MOST_TEXT] if record else "",
        results=tuple(_results(record)) if record else (),
        files=files,
        more=more,
        closed=closed,
    )


def edits(found: Sequence[Given | Held], wanted: Mapping[str, str]) -> dict[str, str]:
    """What of *wanted*, texts by call or path, is other than what was *found*, with the line ends that it had.

    A form sends every field, and each line of it ends as forms have it: what was not touched is no edit.

    Raises:
        SettingsError: If something of it was not offered to be edited.
    """
    known = {each.call if isinstance(each, Given) else each.path: each for each in found}
    changed: dict[str, str] = {}
    for name, text in wanted.items():
        if (before := known.get(name)) is None:
            raise SettingsError(f"{name[:MOST_LINE]!r} is not there to be edited", hint="look at the moment again")
        plain = text.replace("\r\n", "\n")
        if plain == before.text.replace("\r\n", "\n"):
            continue
        if before.amiss:
            raise SettingsError(f"{name[:MOST_LINE]!r} cannot be edited: {before.amiss}", hint="leave it as it is")
        changed[name] = plain.replace("\n", "\r\n") if "\r\n" in before.text else plain
    return changed


# What calls gave


def _about(arguments: str) -> str:
    """The first words that a call was given: its command, its path; all of it, where it has none."""
    try:
        given = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    words = [each for each in given.values() if isinstance(each, str)] if isinstance(given, dict) else []
    return words[0] if words else arguments


def _results(record: TurnRecord) -> Iterator[Given]:
    texts = {part.call: part.text for each in record.messages for part in each.parts if isinstance(part, ToolResult)}
    for call in record.reply.calls:
        text = texts.get(call.id)
        why = "it gave nothing" if text is None else _not_text(text)
        about = " ".join(_about(call.arguments).split())[:MOST_LINE]
        yield Given(call=call.id, name=call.name, about=about, text="" if why else text or "", amiss=why)


# What the checkout held


def _files(
    door: Door, run: Run, assignment: Assignment, origin: Origin, paths: Sequence[str]
) -> tuple[tuple[Held, ...], int]:
    home, first = door.settings.home, moments(door.ledger, run.id)[0].snapshot
    directory = home / "runs" / run.id / "sandbox"
    base = base_of(door.ledger, run.id, home=home, project=run.project)
    try:
        with ExitStack() as stack:
            look = partial(opened, directory, layers=base.layers, shelf=Shelf(Path(home / "layers")))
            old, new = stack.enter_context(look(first)), stack.enter_context(look(origin.snapshot))
            changed = {each.path.removeprefix(TOP): each.what for each in differences(old, new) if _is_read(each.path)}
            asked = dict.fromkeys((*paths, *changed))
            held = list(_held(door, new, assignment, list(asked)[: rewind.MOST_FILES], changed))
    except (NightmillError, OSError) as error:
        raise SettingsError(
            f"the snapshot of {run.id} at {origin.moment} is not on this machine",
            hint="edit nothing, or start a new run",
        ) from error
    return tuple(held), len(asked) - len(held)


def _is_read(path: str) -> bool:
    return path.startswith(TOP) and not set(path.split("/")) & {*MADE}


def _held(
    door: Door, view: View, assignment: Assignment, paths: Sequence[str], changed: Mapping[str, str]
) -> Iterator[Held]:
    shown = 0
    for path in paths:
        barred = rewind.amiss(assignment, path)
        text, why, there = ("", barred, False) if barred else _text(view, path)
        if not why and door.blobs.hidden.text(text) != text:
            text, why = "", "it holds a secret"
        if not why and shown + len(text) > MOST_SHOWN:
            text, why = "", "it is not shown beside so many: ask for it alone"
        shown += len(text)
        yield Held(path=path, what=changed.get(path, ""), text=text, amiss=why, there=there)


def _text(view: View, path: str) -> tuple[str, str, bool]:
    """What is in the file *path*, or why it cannot be edited as text; and whether there is something to be deleted."""
    try:
        body = file(view, f"{TOP}{path}", most=4 * rewind.MOST_TEXT)
    except ValueError as error:
        return "", f"it {error}", str(error) not in NO_FILE
    try:
        text = (body or b"").decode()
    except UnicodeDecodeError:
        return "", "it is no text", True
    why = _not_text(text)
    return "" if why else text, why, body is not None


def _not_text(text: str) -> str:
    """Why *text* cannot be edited in a form, "" if it can be."""
    if "\0" in text:
        return "it is no text"
    if len(text) > rewind.MOST_TEXT:
        return f"it has {len(text):,} characters, and {rewind.MOST_TEXT:,} can be edited here"
    ends = text.count("\r\n")
    if text.count("\r") != ends or (ends and text.count("\n") != ends):
        return "its lines end in several ways"
    return ""
