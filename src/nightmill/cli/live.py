"""The live view of a run: a header that stays, one line per step, the newest details below."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nightmill import event as e
from nightmill.cli.lines import Line, line
from nightmill.cli.screen import safe
from nightmill.report.words import duration, money, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType

    from nightmill.store.ledger import Entry

__all__ = ["watch"]

RECENT = 6
"""Folded lines (tools, turns) that stay in sight while a step is at work."""


@dataclass(slots=True)
class Sight:
    """What the header says: only what the ledger told."""

    title: str = ""
    run: str = ""
    model: str = ""
    state: str = "queued"
    phase: str = ""
    doing: str = ""
    turn: int = 0
    tokens: int = 0
    cost: float = 0.0
    priced: bool = True
    started: float = 0.0
    recent: list[str] = field(default_factory=list)
    needs: str = ""
    """Who must act while it waits: "time" or "person"."""

    def take(self, entry: Entry, told: e.Event) -> None:
        """Bring the header up to *told*."""
        if isinstance(told, e.RunQueued) and not self.run:
            self.title, self.run, self.model, self.started = told.title, told.run, told.model, entry.at
        elif isinstance(told, e.PhaseStarted | e.TurnStarted | e.ToolStarted | e.ReplyReceived):
            self._work(told)
        elif isinstance(told, e.TurnFinished):
            self.tokens += told.usage.get("input", 0) + told.usage.get("output", 0)
            self.cost += told.cost or 0.0
            self.priced = self.priced and told.cost is not None
        else:
            self._rest(told)

    def _work(self, told: e.PhaseStarted | e.TurnStarted | e.ToolStarted | e.ReplyReceived) -> None:
        self.state, self.doing, self.needs = "at work", "", ""
        if isinstance(told, e.PhaseStarted):
            self.phase = told.phase
        elif isinstance(told, e.TurnStarted):
            self.turn, self.doing = told.turn, "asks the model"
        elif isinstance(told, e.ToolStarted):
            self.doing = f"{told.tool} {told.label}"

    def _rest(self, told: e.Event) -> None:
        if isinstance(told, e.RunParked):
            self.state, self.doing, self.needs = "parked", told.reason, told.needs
        elif isinstance(told, e.RunPaused):
            self.state, self.doing, self.needs = "paused", "", "person"
        elif isinstance(told, e.RunDone | e.RunStopped) and told.run == self.run:
            self.state = "done" if isinstance(told, e.RunDone) else f"stopped ({told.why})"

    def line(self, told: e.Event) -> Line | None:
        """How *told* reads here; that a task's run begins and ends is said by the run that started it."""
        frame = isinstance(told, e.RunQueued | e.RunStarted | e.RunDone | e.RunStopped)
        return None if frame and told.run != self.run else line(told)

    def header(self, now: float) -> str:
        """One line: state, phase, turn, tokens, cost, time."""
        cost = money(self.cost) if self.priced else "price unknown"
        parts = [self.state, self.phase, f"turn {self.turn}" if self.turn else "", f"{tokens(self.tokens)} tokens"]
        return " · ".join([*filter(None, parts), cost, duration(now - self.started)])


def watch(entries: Iterator[Entry | None], *, console: Console) -> Sight:
    """Show *entries* as they come and return the last sight; plain lines when the console is no terminal."""
    return _watch_live(entries, console) if console.is_terminal else _watch_plain(entries)


def _watch_plain(entries: Iterator[Entry | None]) -> Sight:
    sight = Sight()
    for entry in entries:
        if entry is None:
            continue
        told = entry.event()
        sight.take(entry, told)
        if (said := sight.line(told)) is not None:
            sys.stdout.write(f"{said.mark} {safe(said.text)}\n")
            sys.stdout.flush()
        if sight.needs == "person":
            break
    return sight


def _watch_live(entries: Iterator[Entry | None], console: Console) -> Sight:
    from rich.live import Live
    from rich.text import Text

    sight, drawn = Sight(), 0.0
    with Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop") as live:
        for entry in entries:
            now = time.time()
            if entry is None:
                if now - drawn > 0.2:  # five pictures a second are enough
                    live.update(_frame(sight, now, console.width), refresh=True)
                    drawn = now
                continue
            told = entry.event()
            sight.take(entry, told)
            said = sight.line(told)
            if sight.needs == "person":
                break
            if said is None:
                continue
            text = Text(f"{said.mark} {safe(said.text)}", style=said.style, no_wrap=True, overflow="ellipsis")
            if said.fold:
                sight.recent = [*sight.recent, text.plain][-RECENT:]
            else:
                sight.recent = []
                live.console.print(Text(f"{said.mark} {safe(said.text)}", style=said.style))
    return sight


def _frame(sight: Sight, now: float, width: int) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    doing = [f"… {sight.doing}"] if sight.doing else []
    lines = [f"  {safe(' '.join(each.split()))}"[: width - 1] for each in (*sight.recent, *doing)]
    title = safe(" ".join(f"{sight.run}  {sight.title}".split()))[: width - 1]
    return Group(
        *(Text(each, style="dim") for each in lines),
        Text(title, style="bold"),
        Text(safe(sight.header(now))[: width - 1], style="blue"),
    )
