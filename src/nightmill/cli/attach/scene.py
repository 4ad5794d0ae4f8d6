"""What the ledger told of a run so far, as rows to read and as where it is. Nothing here draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nightmill import event as e
from nightmill.cli.lines import Line, line
from nightmill.cli.live import Sight
from nightmill.cli.screen import safe
from nightmill.errors import EngineError
from nightmill.kept import Draft, Entry
from nightmill.report.words import duration

__all__ = ["MOST", "Row", "Scene", "clean", "paragraphs"]

MOST = 5_000
"""Rows that are kept; the log has what was before."""
SLACK = 500
"""Rows that may be kept beyond, so that not each new one moves all others."""
TAIL, BEFORE = 24, 6
"""Lines that are shown of the thing that is being written, and of each before it in its turn: the newest."""
LEFT = (e.TurnFinished, e.RunRecovered, e.RunParked, e.RunPaused, e.RunDone, e.RunStopped)
"""After which what a run was writing has gone."""
SAYS = {"thinking": "thinks", "text": "writes", "output": "runs", "call": "calls"}
SHORT, LONG = 1, 8
"""Lines that a row takes up to, until it is opened."""


@dataclass(slots=True, eq=False)
class Row:
    """One thing that happened, in one line or a few.

    Attributes:
        most: Lines that it takes up to.
        turn: What shows more of it, with *role* and *run*; *call* is the one call that it is about; 0: nothing.
        more: What is shown below it once it is opened, if it is here already.
        body: What is shown below it now; None: it is folded.
        laid: Its lines as they were made for a width, by what draws them.
    """

    text: str
    mark: str = ""
    style: str = ""
    at: float = 0.0
    most: int = SHORT
    run: str = ""
    role: str = ""
    turn: int = 0
    call: str = ""
    more: tuple[str, ...] = ()
    body: tuple[str, ...] | None = None
    laid: tuple[int, list[str]] | None = None

    @property
    def opens(self) -> bool:
        """Whether there is more of it."""
        return bool(self.turn or self.more)

    def say(self, said: Line) -> None:
        """Let it read as *said*."""
        self.mark, self.text, self.style, self.laid = said.mark, clean(said.text), said.style, None


def clean(text: str) -> str:
    """*text*, which strangers wrote, on one line, and nothing in it acts."""
    return safe(" ".join(text.split())).encode("utf-8", "backslashreplace").decode()


def paragraphs(text: str) -> tuple[str, ...]:
    """*text*, which strangers wrote, line by line, and nothing in it acts."""
    lines = text.expandtabs(4).rstrip("\n").split("\n")
    return tuple(safe(each).encode("utf-8", "backslashreplace").decode() for each in lines)


def _live(draft: Draft) -> list[Row]:
    rows = []
    for piece in draft.pieces:
        what = f"{piece.by or f'{draft.role} {draft.turn}'} {SAYS.get(piece.kind, 'writes')} {piece.name}"
        lines = [line for line in paragraphs(piece.text.lstrip("\n")) if line or piece.kind != "call"]
        most = TAIL if piece is draft.pieces[-1] else BEFORE
        body = ("…", *lines[-most:]) if len(lines) > most or piece.cut else tuple(lines)
        style = "dim" if piece.kind == "thinking" else ""
        rows.append(Row(clean(what), "▸", style or "bold", run=draft.run, body=body))
    return rows


@dataclass(slots=True)
class Scene:
    """A run and what it started. *dropped* rows were there before the first of *rows*."""

    run: str
    rows: list[Row] = field(default_factory=list)
    dropped: int = 0
    sight: Sight = field(default_factory=Sight)
    working: str = ""
    """The run that took the latest turn: a task of it, or itself."""
    step: str = ""
    role: str = ""
    model: str = ""
    request: int = 0
    """Tokens of the latest request."""
    todo: Sequence[dict[str, str]] = ()
    services: dict[str, str] = field(default_factory=dict)
    compactions: int = 0
    checks: dict[str, Line] = field(default_factory=dict)
    verdict: Line | None = None
    tasks: dict[str, str] = field(default_factory=dict)
    """Of a plan: by id, the title; *started* has their runs, *ended* how those ended."""
    started: dict[str, str] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    turns: int = 0
    asks: int = 0
    """How often what people are asked has changed."""
    over: bool = False
    drafts: dict[str, Draft] = field(default_factory=dict)
    """What is being written, by run: of turns that have not ended."""
    _finished: dict[tuple[str, str], int] = field(default_factory=dict)
    """The latest turn of each role of a run that has ended: what is still told of it comes too late."""
    _begun: dict[tuple[str, str], Row] = field(default_factory=dict)
    _roles: dict[str, str] = field(default_factory=dict)

    def take(self, entry: Entry) -> None:
        """Take in *entry*, the next one."""
        try:
            told = entry.event()
        except EngineError:
            self._add(Row(f"{clean(entry.name)}: what a newer version tells", "·", "dim", entry.at))
            return
        self.sight.take(entry, told)
        if isinstance(told, e.TurnFinished):
            self._finished[told.run, told.role] = told.turn
        if isinstance(told, LEFT):
            self._drop(told)
        self._stand(told)
        self._tell(entry, told)

    def write(self, draft: Draft) -> None:
        """Take in what a run writes now, in place of what it wrote before."""
        self.drafts.pop(draft.run, None)
        if draft.pieces and draft.turn > self._finished.get((draft.run, draft.role), 0):
            self.drafts[draft.run] = draft

    def _drop(self, told: e.Event) -> None:
        """Drop what its run was writing; not what it writes in the next turn, which may begin before one has ended."""
        draft = self.drafts.get(told.run)
        if draft and not (isinstance(told, e.TurnFinished) and draft.role == told.role and draft.turn > told.turn):
            del self.drafts[told.run]

    def live(self) -> list[Row]:
        """What is being written, as rows behind all others."""
        return [row for draft in self.drafts.values() for row in _live(draft)]

    def _tell(self, entry: Entry, told: e.Event) -> None:
        """The row of *told*, if it has one."""
        row = Row("", at=entry.at, run=told.run)
        match told:
            case e.TurnStarted():
                self._roles[told.run] = told.role
                self._forget(told.run)
                return
            case e.ToolStarted():
                row.say(Line("…", f"{told.tool} {told.label}", "dim"))
                self._begun[told.run, told.call] = row
            case e.ToolFinished():
                self._called(row, told)
                return
            case e.ReplyReceived():
                self.sight.doing = ""
                return
            case e.TurnFinished():
                self.sight.doing = ""
                row.turn, row.role, row.most = told.turn, told.role, LONG
                figures = f"{told.role} {told.turn}, {duration(told.seconds)}"
                row.say(Line("▪", f"{told.said or '(no words)'}  ({figures})"))
            case e.WordSaid():
                row.most, row.more = LONG, paragraphs(told.text)
                row.say(Line("»", f"{told.by}: {told.text[:2000]}", "bold"))
            case _:
                said = self.sight.line(told)
                if said is None:
                    return
                row.say(said)
                row.most = SHORT if said.fold else LONG
        self._add(row)

    def _called(self, row: Row, told: e.ToolFinished) -> None:
        """The row of a call, which may stand there since it began."""
        found = self._begun.pop((told.run, told.call), None)
        self.sight.doing = ""
        if found is None:
            self._add(row)
        row = found or row
        row.turn, row.role, row.call = told.turn, self._roles.get(told.run, "developer"), told.call
        said = line(told)
        assert said is not None  # noqa: S101 - each call has a line
        row.say(said)

    def _forget(self, run: str) -> None:
        """Calls of *run* that had not ended when its turn began again: their worker died."""
        for key in [key for key in self._begun if key[0] == run]:
            self._begun.pop(key).say(Line("✗", "a call that was cut off", "dim"))

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        if len(self.rows) > MOST + SLACK:
            gone = len(self.rows) - MOST
            del self.rows[:gone]
            self.dropped += gone

    def _stand(self, told: e.Event) -> None:
        """Note where it is since *told*."""
        match told:
            case e.TurnStarted() | e.TurnFinished():
                self.working, self.role, self.model = told.run, told.role, told.model
                if isinstance(told, e.TurnFinished):
                    self.request, self.turns = int(told.usage.get("input", 0)), self.turns + 1
            case e.PhaseStarted():
                self.step = told.step or told.phase
            case e.QuestionAsked() | e.QuestionDecided():
                self.asks += 1
            case e.CheckFinished():
                self.checks[told.check] = self._line(told)
            case e.VerdictGiven():
                self.verdict = self._line(told)
            case e.RunDone() | e.RunStopped():
                self._end(told)
            case _:
                self._work(told)

    def _work(self, told: e.Event) -> None:
        match told:
            case e.TodoChanged():
                self.todo = told.items
            case e.ServiceStarted():
                self.services[told.service] = "ready" if told.ready else told.reason or "not ready"
            case e.ServiceEnded():
                self.services[told.service] = f"ended: {told.reason}" if told.reason else "ended"
            case e.ContextCompacted():
                self.compactions += 1
            case e.PlanMade():
                self.tasks = {str(each.get("id", "")): str(each.get("title", "")) for each in told.tasks}
            case e.TaskQueued():
                self.started[told.task] = told.child
            case _:
                pass

    def _end(self, told: e.RunDone | e.RunStopped) -> None:
        self.ended[told.run] = "done" if isinstance(told, e.RunDone) else f"stopped ({told.why})"
        if told.run == self.run:
            self.over = True

    @staticmethod
    def _line(told: Any) -> Line:
        said = line(told)
        assert said is not None  # noqa: S101 - each of these has a line
        return said
