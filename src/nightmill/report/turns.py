"""The turns of a run, each from its record and from what the ledger told while it ran."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from nightmill import event as e
from nightmill.agent.nouns import TurnRecord
from nightmill.errors import NightmillError
from nightmill.model import Text, Thinking, ToolCall, ToolResult, Usage
from nightmill.report.calls import CallView, sizes, view
from nightmill.report.charts import Spent
from nightmill.report.nouns import Blob, turn_id
from nightmill.report.summary import read
from nightmill.report.text import Shown, fair, one_line, shown
from nightmill.report.words import Tone

__all__ = ["WHOLE", "TurnView", "Turns", "Window", "turns"]

MOST_OF_ONE = 24_000
"""Characters that are shown of one text, if there is room for it."""


OF_A_TURN = (e.TurnStarted, e.TurnFinished, e.ModelRetried, e.AgentNudged, e.ToolStarted, e.ToolFinished)


class Window(NamedTuple):
    """Which of many turns are shown: the block number *page*, from 1, of *block* turns each.

    0 as the page is the newest block with the one before it; 0 as the block shows all.
    """

    block: int = 0
    page: int = 0

    def bounds(self, count: int) -> tuple[int, int]:
        """The first of *count* turns that is shown, from 0, and the one after the last."""
        if not self.block:
            return 0, count
        if self.page:
            return (self.page - 1) * self.block, self.page * self.block
        return max((count - 1) // self.block - 1, 0) * self.block, count


WHOLE = Window()


class Said(NamedTuple):
    """A part of a reply: *thinking*, *text* or a *call*."""

    kind: str
    text: Shown | None = None
    call: CallView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnView:
    """One turn, ready for the page.

    Attributes:
        id: Its place on the page.
        headline: What it did, one line.
        spoken: The agent's first words, one line.
        faults: What is to be seen without opening it: failed calls, retries, nudges, lost attempts.
        unread: Why its record could not be shown, if it could not.
        seconds: By part, as the record has them.
    """

    id: str
    number: int
    role: str
    headline: str
    spoken: str = ""
    said: tuple[Said, ...] = ()
    usage: Usage = Usage()
    cost: float | None = None
    seconds: float = 0.0
    model_seconds: float | None = None
    snapshot: str = ""
    retries: tuple[e.ModelRetried, ...] = ()
    nudges: tuple[e.AgentNudged, ...] = ()
    attempts: int = 1
    faults: tuple[tuple[Tone, str], ...] = ()
    stop: str = ""
    unread: str = ""
    open: bool = False


class Turns(NamedTuple):
    """The turns that are shown, what each of all took, which turns wrote which path (ids and numbers), and all ids."""

    views: tuple[TurnView, ...]
    spent: tuple[Spent, ...]
    edited: dict[str, tuple[tuple[str, int], ...]]
    places: tuple[str, ...]


@dataclass(slots=True)
class _Heard:
    """What the ledger told of one turn."""

    role: str
    number: int
    started: int = 0
    finished: e.TurnFinished | None = None
    retries: list[e.ModelRetried] = field(default_factory=list)
    nudges: list[e.AgentNudged] = field(default_factory=list)
    tools: dict[str, e.ToolFinished] = field(default_factory=dict)
    begun: list[e.ToolStarted] = field(default_factory=list)
    record: TurnRecord | None = None
    unread: str = ""


def turns(
    told: Sequence[e.Event],
    *,
    blob: Blob,
    anchor: str,
    lanes: Sequence[str],
    room: int,
    window: Window = WHOLE,
) -> Turns:
    """The turns that *told* speaks of, in order; all their texts together in at most about *room* characters.

    Only those in *window* are opened and become views.
    """
    heard = _listen(told)
    first, last = window.bounds(len(heard))
    for each in heard[first:last]:
        _open(each, blob)
    lengths = [size for each in heard if each.record for size in _sizes(each.record)]
    cap = fair(lengths, room, most=MOST_OF_ONE)
    edited: dict[str, dict[str, int]] = defaultdict(dict)
    order = {name: lane for lane, name in enumerate(lanes)}
    lane_of = [order.get(each.role, len(lanes)) for each in heard]
    places = [turn_id(anchor, lane, each.number) for lane, each in zip(lane_of, heard, strict=True)]
    spent = [
        Spent(lane, each.number, read(Usage, each.finished.usage) or Usage(), each.finished.cost)
        for lane, each in zip(lane_of, heard, strict=True)
        if each.finished
    ]
    views = [_view(each, place, cap) for each, place in zip(heard[first:last], places[first:last], strict=True)]
    for each, place in zip(heard, places, strict=True):
        for path in each.record.edited if each.record else ():
            edited[path][place] = each.number
    wrote = {path: tuple(ids.items()) for path, ids in edited.items()}
    return Turns(tuple(views), tuple(spent), wrote, tuple(places))


def _listen(told: Iterable[e.Event]) -> list[_Heard]:
    heard: dict[tuple[str, int], _Heard] = {}
    role = "developer"
    for event in told:
        if isinstance(event, OF_A_TURN):
            role = event.role if isinstance(event, e.TurnStarted | e.TurnFinished) else role
            _hear(heard.setdefault((role, event.turn), _Heard(role, event.turn)), event)
    return list(heard.values())


def _hear(turn: _Heard, event: e.Event) -> None:
    match event:
        case e.TurnStarted():
            turn.started += 1
            turn.begun.clear()
        case e.TurnFinished():
            turn.finished = event
        case e.ModelRetried():
            turn.retries.append(event)
        case e.AgentNudged():
            turn.nudges.append(event)
        case e.ToolStarted():
            turn.begun.append(event)
        case e.ToolFinished():
            turn.tools[event.call] = event
        case _:
            pass


def _open(heard: _Heard, blob: Blob) -> None:
    if heard.finished is None:
        return
    try:
        heard.record = _adapter().validate_json(blob(heard.finished.record))
    except (NightmillError, KeyError, OSError) as error:
        heard.unread = f"its record {heard.finished.record[:16]} is not in the store: {error}"
    except ValidationError as error:
        heard.unread = f"its record {heard.finished.record[:16]} cannot be read: {error.error_count()} faults"


@cache
def _adapter() -> TypeAdapter[TurnRecord]:
    return TypeAdapter(TurnRecord)


def _sizes(record: TurnRecord) -> list[int]:
    results = [part for message in record.messages for part in message.parts if isinstance(part, ToolResult)]
    return sizes([*record.reply.parts, *results])


def _view(heard: _Heard, place: str, cap: int) -> TurnView:
    finished, record = heard.finished, heard.record
    said = _said(heard, record, cap) if record else ()
    labels = [f"{each.tool} {one_line(each.label, most=80)}".strip() for each in heard.tools.values()]
    busy = [
        f"{each.tool} {one_line(each.label, most=80)}".strip() for each in heard.begun if each.call not in heard.tools
    ]
    spoken = one_line(record.reply.text, most=200) if record else ""
    return TurnView(
        id=place,
        number=heard.number,
        role=heard.role,
        headline=", ".join(labels + busy)
        or spoken
        or ("the model is asked" if finished is None else "no tool was called"),
        spoken=spoken if labels or busy else "",
        said=said,
        usage=(finished and read(Usage, finished.usage)) or Usage(),
        cost=finished.cost if finished else None,
        seconds=finished.seconds if finished else 0.0,
        model_seconds=record.reply.seconds if record else None,
        snapshot=finished.snapshot if finished else "",
        retries=tuple(heard.retries),
        nudges=tuple(heard.nudges),
        attempts=max(heard.started, 1),
        faults=_faults(heard, said),
        stop=record.reply.stop if record and record.reply.stop not in {"tools", "end"} else "",
        unread=heard.unread,
        open=finished is None,
    )


def _said(heard: _Heard, record: TurnRecord, cap: int) -> tuple[Said, ...]:
    results = {part.call: part for message in record.messages for part in message.parts if isinstance(part, ToolResult)}
    said: list[Said] = []
    for part in record.reply.parts:
        match part:
            case Thinking() if part.text.strip():
                said.append(Said("thinking", shown(part.text, cap)))
            case Text() if part.text.strip():
                said.append(Said("text", shown(part.text, cap)))
            case ToolCall():
                told = heard.tools.get(part.id)
                call = view(part, results.get(part.id), seconds=told.seconds if told else None, room=cap)
                said.append(Said("call", call=call))
            case _:
                pass
    return tuple(said)


def _faults(heard: _Heard, said: Sequence[Said]) -> tuple[tuple[Tone, str], ...]:
    wrong = sum(each.call is not None and each.call.error for each in said)
    ended = [each.call.ended for each in said if each.call and each.call.ended and not each.call.ok]
    faults: list[tuple[Tone, str]] = [("failed", end) for end in ended]
    if wrong:
        faults.append(("failed", "wrong call" if wrong == 1 else f"{wrong} wrong calls"))
    if heard.retries:
        faults.append(("past", "retried" if len(heard.retries) == 1 else f"retried {len(heard.retries)} times"))
    if any(each.measure != "note" for each in heard.nudges):
        faults.append(("past", "nudged"))
    if heard.started > 1:
        faults.append(("past", "began twice" if heard.started == 2 else f"began {heard.started} times"))
    return tuple(faults)
