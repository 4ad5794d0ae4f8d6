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
from nightmill.kept import Entry
from nightmill.report.words import duration

__all__ = ["MOST", "Row", "Scene", "clean", "paragraphs"]

MOST = 5_000
"""Rows that are kept; the log has what was before."""
SLACK = 500
"""Rows that may be kept beyond, so that not each new one moves all others."""
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
        self._stand(told)
        self._tell(entry, told)

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
