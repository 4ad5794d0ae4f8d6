"""The ledger read into a timeline, event by event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import singledispatchmethod
from typing import NamedTuple

from nightmill import event as e
from nightmill.report.nouns import Entry
from nightmill.report.timeline import (
    ENGINE,
    Gap,
    GapKind,
    Lane,
    Mark,
    MarkKind,
    Phase,
    Segment,
    SegmentKind,
    Timeline,
    split,
    stack,
    steady,
)

__all__ = ["timeline"]

SILENT = 120.0
"""Seconds without news after which a run that has not ended is said to be silent."""


def timeline(events: Sequence[Entry], *, now: float) -> Timeline:
    """What happened when. A run that has not ended reaches to *now* (Unix seconds)."""
    steadied, present, set_back = steady(events, now=now)
    if not steadied:
        return Timeline(start=now, end=now)
    loom = _Loom(steadied[0][0])
    for at, happened in steadied:
        loom.at = at
        loom.tell(happened)
        loom.last = at
        if loom.ended:
            break  # What happens to the change later is not the run's time.
    if not loom.ended:
        loom.reach(present)
    return loom.finish(set_back)


@dataclass(slots=True)
class _Turn:
    """A turn under way: asked at *since*, and not again before *backoff*."""

    number: int
    lane: str
    since: float
    backoff: float = 0.0
    replied: bool = False


class _Call(NamedTuple):
    """A tool call under way."""

    start: float
    turn: int
    lane: str
    label: str


class _Loom:
    """What is known so far. Events that contradict each other end what was open; none is fatal."""

    def __init__(self, start: float) -> None:
        self.start = self.at = self.last = start
        self.ended = False
        self.role = "developer"
        self.turn: _Turn | None = None
        self.calls: dict[str, _Call] = {}
        self.gap: Gap | None = None
        self.snapshot = ""
        self.engine_free = start
        self.lanes: dict[str, tuple[list[Segment], list[Mark]]] = {}
        self.phases: list[Phase] = []
        self.gaps: list[Gap] = []
        self.marks: list[Mark] = []

    @singledispatchmethod
    def tell(self, _: e.Event) -> None:
        """Take an event in; most kinds only end a wait."""
        self.end_gap()

    @tell.register
    def _(self, _: e.RunQueued) -> None:
        self.begin_gap("queued", "waits for a worker")

    @tell.register
    def _(self, event: e.RunRecovered) -> None:
        waited = self.gap
        self.drop(self.last, lost=True)
        if waited is None and self.at > self.last:
            self.gaps.append(Gap(kind="lost", start=self.last, end=self.at, label="no worker: the one before died"))
        self.mark("recovered", f"taken up by {event.worker}")

    @tell.register
    def _(self, event: e.RunParked) -> None:
        self.drop(self.at, lost=False)
        self.begin_gap("parked", event.reason, needs=event.needs)

    @tell.register
    def _(self, event: e.RunPaused) -> None:
        self.begin_gap("paused", f"paused by {event.by}", needs="person")

    @tell.register
    def _(self, _: e.RunDone) -> None:
        self.close()

    @tell.register
    def _(self, _: e.RunStopped) -> None:
        self.close()

    @tell.register
    def _(self, event: e.Forgotten) -> None:
        if event.was in {e.RunDone.name, e.RunStopped.name}:
            self.close()

    @tell.register
    def _(self, event: e.PhaseStarted) -> None:
        if any((event.phase, event.round, event.step) == (told.name, told.round, told.step) for told in self.phases):
            return  # A recovered run tells its way again up to where it was, and may still be parked there.
        self.end_gap()
        self.end_phase()
        self.phases.append(
            Phase(name=event.phase, round=event.round, step=event.step, start=self.at, end=self.at, open=True)
        )

    @tell.register
    def _(self, event: e.WorkspacePrepared) -> None:
        self.engine(Segment(kind="prepare", start=0, end=0, label="workspace prepared"), event.seconds)
        self.snapshot = event.snapshot

    @tell.register
    def _(self, event: e.WorkspaceRestored) -> None:
        label = f"workspace restored from snapshot {event.snapshot[:12]}"
        self.engine(Segment(kind="restore", start=0, end=0, label=label), event.seconds)

    @tell.register
    def _(self, event: e.CheckFinished) -> None:
        label = f"check {event.check} {'passed' if event.passed else 'failed'}"
        check = Segment(kind="check", start=0, end=0, label=label, ok=event.passed, round=event.round)
        seconds = event.result.get("seconds", 0.0)
        self.engine(check, seconds if isinstance(seconds, int | float) else 0.0)

    @tell.register
    def _(self, event: e.TurnStarted) -> None:
        self.drop(self.at, lost=True)
        self.end_gap()
        self.role = event.role
        self.turn = _Turn(event.turn, event.role, self.at)

    @tell.register
    def _(self, event: e.ModelRetried) -> None:
        self.end_gap()
        turn = self.asked(event.turn)
        start = self.asked_since(turn)
        self.add(
            turn.lane, Segment(kind="failed", start=start, end=self.at, label=event.reason, turn=turn.number, ok=False)
        )
        turn.since, turn.backoff = self.at, self.at + max(event.wait, 0.0)

    @tell.register
    def _(self, event: e.ReplyReceived) -> None:
        self.end_gap()
        turn = self.asked(event.turn)
        start = self.asked_since(turn)
        first = min(max(start, self.at - max(event.seconds - event.first_seconds, 0.0)), self.at)
        self.add(turn.lane, Segment(kind="ask", start=start, end=first, label="first byte awaited", turn=turn.number))
        label = f"{event.output_tokens:,} tokens streamed"
        self.add(turn.lane, Segment(kind="stream", start=first, end=self.at, label=label, turn=turn.number))
        turn.replied = True

    @tell.register
    def _(self, event: e.ToolStarted) -> None:
        self.end_gap()
        self.calls[event.call] = _Call(self.at, event.turn, self.role, f"{event.tool} {event.label}")

    @tell.register
    def _(self, event: e.ToolFinished) -> None:
        self.end_gap()
        label = f"{event.tool} {event.label}"
        call = self.calls.pop(event.call, None)
        if call is None:
            call = _Call(max(self.at - max(event.seconds, 0.0), self.start), event.turn, self.role, label)
        self.add(
            call.lane,
            Segment(kind="tool", start=call.start, end=self.at, label=label, turn=call.turn, ok=event.ok),
        )

    @tell.register
    def _(self, event: e.TurnFinished) -> None:
        self.end_gap()
        # The next one may have begun: its model is asked while the snapshot of this one is made.
        if self.turn is not None and (self.turn.lane, self.turn.number) == (event.role, event.turn):
            self.turn = None
        if event.snapshot and event.snapshot != self.snapshot:
            self.mark_lane(
                event.role, "snapshot", f"snapshot {event.snapshot[:12]} after turn {event.turn}", event.turn
            )
        self.snapshot = event.snapshot or self.snapshot
        self.lane(event.role)

    @tell.register
    def _(self, event: e.AgentNudged) -> None:
        self.mark_lane(self.role, "nudge", f"guard {event.guard}: {event.measure}", event.turn)

    @tell.register
    def _(self, event: e.PermissionTaken) -> None:
        named = [*event.takes, *(f"{name} (asked)" for name in event.asked)]
        self.mark_lane(event.role, "nudge", f"it works without {', '.join(named)}")

    @tell.register
    def _(self, event: e.AgentFinished) -> None:
        if not any((mark.kind, mark.turn) == ("said_done", event.turn) for mark in self.lane(self.role)[1]):
            self.mark_lane(self.role, "said_done", "the agent says that it is done", event.turn)

    @tell.register
    def _(self, event: e.SentBack) -> None:
        self.mark("sent_back", f"sent back, {event.count} of at most {event.limit}")

    @tell.register
    def _(self, event: e.WorkPreserved) -> None:
        self.mark_lane(ENGINE, "preserved", f"work kept on {event.branch}")

    @tell.register
    def _(self, event: e.CommitMade) -> None:
        self.mark_lane(ENGINE, "commit", f"commit {event.commit[:12]}")

    @tell.register
    def _(self, event: e.PullRequestOpened) -> None:
        self.mark_lane(ENGINE, "change", f"pull request {event.number} opened")

    @tell.register
    def _(self, event: e.PullRequestMerged) -> None:
        self.mark("merged", f"merged by {event.by}")

    def asked(self, number: int) -> _Turn:
        """The turn under way, or one that begins now if its start was never told."""
        if self.turn is None or self.turn.number != number:
            self.turn = _Turn(number, self.role, self.last)
        return self.turn

    def asked_since(self, turn: _Turn) -> float:
        """When the present attempt of *turn* began; the wait before it becomes a segment."""
        if turn.backoff <= turn.since:
            return turn.since
        end = min(turn.backoff, self.at)
        wait = Segment(kind="backoff", start=turn.since, end=end, label="waits to ask again", turn=turn.number)
        self.add(turn.lane, wait)
        turn.since, turn.backoff = end, 0.0
        return end

    def lane(self, name: str) -> tuple[list[Segment], list[Mark]]:
        """The lane *name*, made if this is the first that is heard of it."""
        return self.lanes.setdefault(name, ([], []))

    def add(self, name: str, segment: Segment) -> None:
        """Put *segment* on the lane *name*."""
        self.lane(name)[0].append(segment)

    def engine(self, segment: Segment, seconds: float) -> None:
        """Put what the engine just ended after *seconds* on its lane, never over what it did before."""
        start = max(self.at - max(seconds, 0.0), self.engine_free)
        self.end_gap()
        self.add(ENGINE, replace(segment, start=min(start, self.at), end=self.at))
        self.engine_free = self.at

    def mark(self, kind: MarkKind, label: str) -> None:
        """Mark this moment across all lanes."""
        self.marks.append(Mark(kind=kind, at=self.at, label=label))

    def mark_lane(self, name: str, kind: MarkKind, label: str, turn: int = 0) -> None:
        """Mark this moment on one lane."""
        self.end_gap()
        self.lane(name)[1].append(Mark(kind=kind, at=self.at, label=label, turn=turn))

    def begin_gap(self, kind: GapKind, label: str, *, needs: str = "") -> None:
        """Nothing works from here on."""
        self.end_gap()
        self.gap = Gap(kind=kind, start=self.at, end=self.at, label=label, needs=needs, open=True)

    def end_gap(self) -> None:
        """Something works again."""
        if self.gap is not None:
            self.gaps.append(replace(self.gap, end=self.at, open=False))
            self.gap = None

    def end_phase(self) -> None:
        """The phase under way ends here."""
        if self.phases and self.phases[-1].open:
            self.phases[-1] = replace(self.phases[-1], end=self.at, open=False)

    def drop(self, end: float, *, lost: bool, still: bool = False) -> None:
        """End the turn and the calls under way at *end*: lost, given up, or *still* going on."""
        if self.turn is not None and not self.turn.replied:
            start = self.asked_since(self.turn)
            kind: SegmentKind = "ask" if lost or still else "failed"
            label = "lost with its worker" if lost else "the reply is awaited" if still else "no reply"
            ask = Segment(
                kind=kind, start=min(start, end), end=end, label=label, turn=self.turn.number, ok=kind == "ask",
                open=still, lost=lost,
            )  # fmt: skip
            self.add(self.turn.lane, ask)
        for call in self.calls.values():
            start = min(call.start, end)
            tool = Segment(kind="tool", start=start, end=end, label=call.label, turn=call.turn, open=still, lost=lost)
            self.add(call.lane, tool)
        self.turn = None
        self.calls.clear()

    def close(self) -> None:
        """The run ended."""
        self.drop(self.at, lost=False)
        self.end_gap()
        self.end_phase()
        self.ended = True

    def reach(self, now: float) -> None:
        """Draw what is under way up to *now*, or only to the last news if that is long ago."""
        silent = self.gap is None and now - self.last > SILENT
        self.at = self.last if silent else now
        self.drop(self.at, lost=False, still=True)
        if self.gap is not None:
            self.gaps.append(replace(self.gap, end=now))
        if silent:
            self.gaps.append(Gap(kind="silent", start=self.last, end=now, label="no news", open=True))
        if self.phases:
            self.phases[-1] = replace(self.phases[-1], end=now)
        self.at = now

    def finish(self, set_back: float) -> Timeline:
        """All of it, frozen."""
        lanes = []
        for name in sorted(self.lanes, key=lambda each: each == ENGINE):
            segments, marks = self.lanes[name]
            placed, rows = stack(segments)
            lanes.append(Lane(name=name, segments=placed, marks=tuple(marks), rows=rows))
        gaps = tuple(sorted((gap for gap in self.gaps if gap.seconds > 0), key=lambda gap: gap.start))
        return Timeline(
            start=self.start,
            end=self.at,
            phases=tuple(self.phases),
            lanes=tuple(lanes),
            gaps=gaps,
            marks=tuple(self.marks),
            open=not self.ended,
            set_back=set_back,
            work=split(lanes, gaps, total=self.at - self.start),
        )
