"""A turn of a run as people read it: what was said, what was called, what came back."""

from __future__ import annotations

import json
from typing import NamedTuple

from pydantic import ValidationError

from nightmill.desk import readable
from nightmill.desk.door import Door
from nightmill.desk.nouns import Part
from nightmill.errors import EngineError, NightmillError, SettingsError
from nightmill.event import TurnFinished
from nightmill.kept import Run
from nightmill.line.record import read_record
from nightmill.model import ModelReply, Text, Thinking, ToolCall, ToolResult
from nightmill.model.history import read_object
from nightmill.tool.base import cut

__all__ = ["Words", "turn", "words"]

MOST = 40_000
"""Characters of one part; its middle is left out beyond."""


class Words(NamedTuple):
    """All that was thought and said in a turn."""

    thinking: str
    text: str


def turn(door: Door, run: Run, *, role: str, number: int) -> tuple[Part, ...]:
    """The parts of turn *number* of *role* in *run*, in order, each result behind its call.

    Raises:
        SettingsError: If there is no such turn, or it has not ended.
        EngineError: If it cannot be read.
    """
    told = [entry.event() for entry in door.ledger.read(run=run.id, names=(TurnFinished.name,))]
    found = [each for each in told if isinstance(each, TurnFinished) and (each.role, each.turn) == (role, number)]
    if not found:
        raise SettingsError(f"turn {number} of {role!r} in run {run.id} has not ended", hint="look again when it has")
    try:
        record = read_record(readable.body(door, found[-1].record))
    except ValidationError as error:
        raise EngineError(f"the record of turn {number} of {role!r} in run {run.id} cannot be read") from error
    results = {part.call: part for each in record.messages for part in each.parts if isinstance(part, ToolResult)}
    parts: list[Part] = []
    for part in record.reply.parts:
        match part:
            case Thinking() | Text() if part.text.strip():
                parts.append(Part(part.kind, "", "", cut(part.text, most=MOST), ok=True))
            case ToolCall():
                parts.append(Part("call", part.id, part.name, cut(_readable(part.arguments), most=MOST), ok=True))
                if (result := results.get(part.id)) is not None:
                    parts.append(Part("result", part.id, part.name, cut(result.text, most=MOST), ok=not result.error))
            case _:
                pass
    return tuple(parts)


def words(door: Door, told: TurnFinished) -> Words:
    """The words of the turn that *told* ended; if they cannot be read, those that it has itself."""
    try:
        reply = _reply(door, told)
    except (ValidationError, NightmillError):
        return Words("", told.said)
    thinking, text = ("".join(each.text for each in reply.parts if isinstance(each, kind)) for kind in (Thinking, Text))
    return Words(thinking, text)


def _reply(door: Door, told: TurnFinished) -> ModelReply:
    if told.record:
        return read_record(door.blobs.get(told.record)).reply
    from nightmill.line.architect import exchanges  # noqa: PLC0415 - only what has no conversation keeps its turns so

    return exchanges().validate_json(door.blobs.get(told.asked)).reply


def _readable(arguments: str) -> str:
    """*arguments* with each on lines of its own, its text as it is; as they came, if they are no object."""
    given = read_object(arguments or "{}")
    if given is None:
        return arguments
    texts = {
        name: each if isinstance(each, str) else json.dumps(each, ensure_ascii=False, indent=2)
        for name, each in given.items()
    }
    return "\n".join(f"{name}:\n{text}" if "\n" in text else f"{name}: {text}" for name, text in texts.items())
