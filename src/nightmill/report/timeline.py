"""What happened when: events → phases, lanes of segments, gaps and marks. Nothing here knows how it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from nightmill.event import Event
from nightmill.report.nouns import Entry

__all__ = [
    "ENGINE",
    "Gap",
    "GapKind",
    "Lane",
    "Mark",
    "MarkKind",
    "Phase",
    "Segment",
    "SegmentKind",
    "Timeline",
    "split",
    "stack",
    "steady",
]

ENGINE = "engine"
"""The lane of what the engine does itself: workspace, checks, change."""

SegmentKind = Literal["ask", "stream", "failed", "backoff", "tool", "check", "prepare", "restore"]
GapKind = Literal["queued", "parked", "paused", "lost", "silent"]
MarkKind = Literal[
    "snapshot", "recovered", "sent_back", "nudge", "said_done", "preserved", "commit", "change", "merged"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Work of one kind, from *start* to *end*.

    Attributes:
        kind: "ask" until the reply's first byte, "stream" until its last; "failed" an attempt that gave no reply,
            "backoff" the wait after it.
        turn: 0 where there is none.
        round: Of a check.
        ok: False: a failed tool call, attempt or check.
        row: Below the lane's first row where things ran side by side.
        open: Not ended when the ledger was read.
        lost: Ended with its worker; its work was done again.
    """

    kind: SegmentKind
    start: float
    end: float
    label: str
    turn: int = 0
    round: int = 0
    ok: bool = True
    row: int = 0
    open: bool = False
    lost: bool = False

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened at one moment."""

    kind: MarkKind
    at: float
    label: str
    turn: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """What one agent did, or the engine. *rows* counts the rows that its tools need."""

    name: str
    segments: tuple[Segment, ...]
    marks: tuple[Mark, ...]
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A phase of the run; *round* counts how often work was sent back before it."""

    name: str
    round: int
    step: str = ""
    start: float
    end: float
    open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch in which nothing worked: "lost" without a worker, "silent" without news of a run that has not ended."""

    kind: GapKind
    start: float
    end: float
    label: str
    needs: str = ""
    open: bool = False

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A run in time. Times are Unix seconds of a clock that never went back.

    Attributes:
        open: The run had not ended.
        set_back: Seconds by which the real clock was set back during the run, put right here.
    """

    start: float
    end: float
    phases: tuple[Phase, ...] = ()
    lanes: tuple[Lane, ...] = ()
    gaps: tuple[Gap, ...] = ()
    marks: tuple[Mark, ...] = ()
    open: bool = False
    set_back: float = 0.0
    work: dict[str, float] = field(default_factory=dict)
    """Seconds by what they went to: model, tools, checks, workspace, waiting, other; their sum is the whole."""


def steady(events: Sequence[Entry], *, now: float) -> tuple[list[tuple[float, Event]], float, float]:
    """Events in the ledger's order with times that never go back, *now* on that clock, and how far it was set back.

    Where the clock was set back, everything after it is moved on by as much: lengths stay true.
    """
    moved, last = 0.0, events[0].at if events else now
    steadied: list[tuple[float, Event]] = []
    for entry in sorted(events, key=lambda each: each.seq):
        moved += max(0.0, last - (entry.at + moved))
        last = entry.at + moved
        steadied.append((last, entry.event))
    return steadied, max(now + moved, last), moved


def split(lanes: Sequence[Lane], gaps: Sequence[Gap], *, total: float) -> dict[str, float]:
    """Where *total* seconds went. Side by side counts once; a moment belongs to the first kind that claims it."""
    kinds = {
        "waiting": [(gap.start, gap.end) for gap in gaps],
        "model": _spans(lanes, {"ask", "stream"}),
        "tools": _spans(lanes, {"tool"}),
        "checks": _spans(lanes, {"check"}),
        "workspace": _spans(lanes, {"prepare", "restore"}),
    }
    kinds["waiting"] += _spans(lanes, {"failed", "backoff"})
    covered: list[tuple[float, float]] = []
    work: dict[str, float] = {}
    before = 0.0
    for kind, spans in kinds.items():
        covered = _union([*covered, *spans])
        length = sum(end - start for start, end in covered)
        work[kind], before = length - before, length
    work["other"] = max(0.0, total - before)
    return work


def stack(segments: Sequence[Segment]) -> tuple[tuple[Segment, ...], int]:
    """*segments* by time, tools that overlap in rows of their own, at most four; and how many rows that took."""
    ends: list[float] = []
    placed: list[Segment] = []
    for segment in sorted(segments, key=lambda each: (each.start, each.end)):
        if segment.kind != "tool":
            placed.append(segment)
            continue
        free = next((row for row, end in enumerate(ends) if end <= segment.start), None)
        if free is None:
            free = min(len(ends), 3)
            ends.extend([0.0] * (free + 1 - len(ends)))
        ends[free] = max(ends[free], segment.end)
        placed.append(replace(segment, row=free))
    return tuple(placed), max(len(ends), 1)


def _spans(lanes: Sequence[Lane], kinds: set[str]) -> list[tuple[float, float]]:
    return [(each.start, each.end) for lane in lanes for each in lane.segments if each.kind in kinds]


def _union(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
