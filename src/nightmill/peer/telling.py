"""What an editor was shown, so that what is being written and what became of it are shown as one, and once.

What was said cannot be taken back there. So words go out as they come, and of a turn that has ended only what is missing; what was
thrown away is shown to be so as soon as other words come in its place, and the same words again are nothing new. A call stands there
from its first letter: when it begins it is the same one, and what never began has failed. As words come a little later than
the ledger tells, calls of a reply wait a moment for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import acp

from nightmill import event as e
from nightmill.desk.turn import Words
from nightmill.kept import Draft, Piece
from nightmill.peer.updates import Say, began, called, ended, kind_of, line, words
from nightmill.report.text import plain

__all__ = ["Telling", "Whole"]

Whole = Callable[[e.TurnFinished], Words]
"""All that was said in a turn. It blocks."""
Kind = Literal["thinking", "text"]

SETTLES = 1.2
"""Seconds for which what follows a reply waits for the words of it."""
AGAIN = "\n\n[what stands above was thrown away]\n\n"


@dataclass(slots=True)
class Call:
    """A call that is being written, as it is shown: *latest* is what it is known by; *taken*: it has begun."""

    id: str
    latest: Piece
    taken: bool = False


class Running(NamedTuple):
    """A call at work: the id under which it is shown, and its label."""

    id: str
    label: str


@dataclass(slots=True)
class Turn:
    """A turn that has not ended, as far as it was shown: what was *said* by kind, and in which attempt.

    Once it is *replied* to, all its calls are known, and begin.
    """

    said: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, str] = field(default_factory=dict)
    attempt: str = ""
    calls: list[Call] = field(default_factory=list)
    replied: bool = False


@dataclass(slots=True)
class Reply:
    """A reply that came at *since*, and what came after it and waits."""

    since: float
    held: list[e.Event] = field(default_factory=list)


class Telling:
    """For one conversation. *whole* is asked for the words of turns that end before the person's eyes."""

    def __init__(self, *, say: Say, whole: Whole) -> None:
        self.say, self.whole = say, whole
        self._turns: dict[tuple[str, str], dict[int, Turn]] = {}
        self._replies: dict[str, Reply] = {}
        self._running: dict[tuple[str, str], Running] = {}
        self._drafts: dict[str, Draft] = {}
        self._ended: dict[tuple[str, str], int] = {}

    def past(self, told: Sequence[e.Event]) -> Iterator[Any]:
        """The updates of what was before."""
        for each in told:
            if isinstance(each, e.TurnFinished):
                self._end(each)
                yield from words(each.said)
            else:
                yield from self._one(each)

    def fresh(self, told: Sequence[e.Event], drafts: Sequence[Draft], *, now: float) -> Iterator[Any]:
        """The updates of what was *told*, and of *drafts*, which were looked at after it."""
        self._drafts |= {each.run: each for each in drafts}
        yield from self._written(known=True)  # what they have of turns that end here, before the end
        for each in told:
            yield from self._told(each, now)
        for run, reply in list(self._replies.items()):
            if now - reply.since >= SETTLES:
                yield from self._release(run)
        yield from self._written(known=False)

    def _told(self, told: e.Event, now: float) -> Iterator[Any]:
        """Show *told*, or have it wait."""
        match told:
            case e.ReplyReceived():
                yield from self._release(told.run)
                self._replies[told.run] = Reply(now)
                yield from self._moved(told)
            case e.TurnFinished():
                yield from self._finished(told)
            case e.RunDone() | e.RunStopped():
                yield from self._release(told.run)
                yield from self._one(told)
            case _ if told.run in self._replies and not isinstance(told, e.TurnStarted):
                self._replies[told.run].held.append(told)
            case _:
                yield from self._one(told)

    def _release(self, run: str) -> Iterator[Any]:
        reply = self._replies.pop(run, None)
        for each in reply.held if reply else ():
            yield from self._one(each)

    def _one(self, told: e.Event) -> Iterator[Any]:
        match told:
            case e.ToolStarted():
                found = self._taken(told)
                self._running[told.run, told.call] = Running(found or called(told), told.label)
                yield began(told, found or called(told), again=bool(found))
            case e.ToolFinished():
                known = self._running.pop((told.run, told.call), None)
                found = known.id if known else self._taken(told)
                yield ended(told, found or called(told), again=bool(found))
            case _:
                yield from self._moved(told)
                yield from line(told, self.say)

    def _moved(self, told: e.Event) -> Iterator[Any]:
        """What *told* makes of turns that have not ended."""
        match told:
            case e.TurnStarted():
                self._turn(told.run, told.role, told.turn).replied = False
            case e.ModelRetried() | e.ReplyReceived():
                for each in self._of(told):
                    each.replied = isinstance(told, e.ReplyReceived)
            case e.RunDone() | e.RunStopped():
                for run, role in [key for key in self._turns if key[0] == told.run]:
                    yield from self._left(run, role, before=math.inf)

    def _taken(self, told: e.ToolStarted | e.ToolFinished) -> str:
        """The id under which the call of *told* stands there since it was written, "" if it does not."""
        calls = (call for turn in self._of(told) for call in turn.calls if not call.taken)
        found = next((call for call in calls if call.latest.name == told.tool), None)
        if found is None:
            return ""
        found.taken = True
        return found.id

    def _of(self, told: e.ReplyReceived | e.ModelRetried | e.ToolStarted | e.ToolFinished) -> list[Turn]:
        """The turn that *told* is about, if it was seen."""
        return [open_[told.turn] for (run, _), open_ in self._turns.items() if run == told.run and told.turn in open_]

    def _turn(self, run: str, role: str, number: int) -> Turn:
        """That turn; it has begun before or begins now, and the one before may have to end still."""
        return self._turns.setdefault((run, role), {}).setdefault(number, Turn())

    # A turn that ends

    def _finished(self, told: e.TurnFinished) -> Iterator[Any]:
        """What is missing of its words, its calls, and which of them never began."""
        yield from self._left(told.run, told.role, before=told.turn)
        turn, whole = self._turn(told.run, told.role, told.turn), self.whole(told)
        if before := turn.said.get("thinking"):
            yield from _rest("thinking", before, whole.thinking)
        if (before := turn.said.get("text", "")) or whole.text:
            apart = "" if turn.calls else "\n\n"
            yield from _rest("text", before, whole.text + apart)
        yield from self._release(told.run)
        self._end(told)
        yield from _failed(turn)

    def _end(self, told: e.TurnFinished) -> None:
        self._ended[told.run, told.role] = told.turn
        self._turns.get((told.run, told.role), {}).pop(told.turn, None)

    def _left(self, run: str, role: str, *, before: float) -> Iterator[Any]:
        """Turns with numbers *before* one, which do not end."""
        open_ = self._turns.get((run, role), {})
        for number in [each for each in open_ if each < before]:
            turn = open_.pop(number)
            self._ended[run, role] = number
            if turn.said.get("text"):
                yield _said("text", AGAIN)
            yield from _failed(turn)

    # What is being written

    def _written(self, *, known: bool) -> Iterator[Any]:
        """What the drafts have more; of turns that are *known* only, or also of others."""
        for draft in list(self._drafts.values()):
            key = draft.run, draft.role
            if draft.turn <= self._ended.get(key, 0):
                del self._drafts[draft.run]
                continue
            if not known and draft.pieces:
                self._turn(draft.run, draft.role, draft.turn)
            open_ = self._turns.get(key, {})
            if draft.turn == min(open_, default=0):  # what is written while the turn before ends waits for its end
                yield from self._draft(draft, open_[draft.turn])

    def _draft(self, draft: Draft, turn: Turn) -> Iterator[Any]:
        if draft.attempt != turn.attempt:
            turn.attempt = draft.attempt
            yield from _failed(turn)
        pieces = [each for each in draft.pieces if not each.by]  # an editor has no place for what explorers write
        for piece in pieces:
            if piece.kind in {"thinking", "text"}:
                yield from _more(turn, piece)
        newest = pieces[-1] if pieces else None
        if newest is not None and newest.kind == "call" and not turn.replied:
            yield from _call(draft, turn, newest)
        elif newest is not None and newest.kind == "output":
            running = [
                each for (run, _), each in self._running.items() if (run, each.label) == (draft.run, newest.name)
            ]
            for each in running[-1:]:
                yield acp.update_tool_call(each.id, content=_content(newest))


def _more(turn: Turn, piece: Piece) -> Iterator[Any]:
    """What *piece* has more than was said before; if it is something else, that what was said is gone."""
    before = turn.said.get(piece.kind, "")
    if piece.cut > len(before):  # what lies between was never seen: it is said when the turn has ended
        return
    seen = before[piece.cut :]
    if seen.startswith(piece.text):  # said again up to here
        return
    if not piece.text.startswith(seen):
        if piece.cut or turn.attempts.get(piece.kind) == turn.attempt:
            return
        yield _said(piece.kind, AGAIN)
        before = seen = ""
    yield _said(piece.kind, piece.text[len(seen) :])
    turn.said[piece.kind] = before[: piece.cut] + piece.text
    turn.attempts[piece.kind] = turn.attempt


def _rest(kind: Kind, before: str, whole: str) -> Iterator[Any]:
    if whole.startswith(before):
        before, whole = "", whole[len(before) :]
    if before:
        yield _said(kind, AGAIN)
    if whole:
        yield _said(kind, whole)


def _call(draft: Draft, turn: Turn, piece: Piece) -> Iterator[Any]:
    """The call that is written now: the one from before as far as it goes on, or another."""
    latest = turn.calls[-1] if turn.calls else None
    if latest is not None and _goes_on(latest.latest, piece):
        if piece != latest.latest:
            latest.latest = piece
            yield acp.update_tool_call(latest.id, content=_content(piece))
        return
    name = f"{draft.run}/{draft.attempt}/{len(turn.calls)}"
    turn.calls.append(Call(name, piece))
    kind, content = kind_of(piece.name), _content(piece)
    yield acp.start_tool_call(name, plain(piece.name), kind=kind, status="pending", content=content)


def _goes_on(before: Piece, piece: Piece) -> bool:
    """Whether *piece* is the call *before* with more of it."""
    if piece.name != before.name or piece.cut < before.cut:
        return False
    return piece.text.startswith(before.text[piece.cut - before.cut :])


def _failed(turn: Turn) -> Iterator[Any]:
    """Calls that were written and never began."""
    for each in turn.calls:
        if not each.taken:
            yield acp.update_tool_call(each.id, status="failed", content=[])
    turn.calls.clear()


def _content(piece: Piece) -> list[Any]:
    text = ("…" if piece.cut else "") + piece.text
    return [acp.tool_content(acp.text_block(plain(text)))]


def _said(kind: str, text: str) -> Any:
    return (acp.update_agent_thought_text if kind == "thinking" else acp.update_agent_message_text)(plain(text))
