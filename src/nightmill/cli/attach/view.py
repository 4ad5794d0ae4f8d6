"""The live view of a run: what happens as it comes, and a line and keys to take part."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypeVar

from rich.text import Text
from textual.actions import ActionParseResult, parse
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.dom import DOMNode
from textual.events import Resize
from textual.widgets import Footer, Input, Static

from nightmill.access import Person
from nightmill.cli.attach import asks, board
from nightmill.cli.attach.aside import Follow, aside
from nightmill.cli.attach.keys import Now, banner, kind, why_not
from nightmill.cli.attach.pane import Pane, Talk
from nightmill.cli.attach.scene import Row, Scene, clean
from nightmill.cli.attach.style import CSS
from nightmill.cli.attach.typed import Typed
from nightmill.desk.nouns import Asked, Seat, Verb
from nightmill.errors import NightmillError
from nightmill.kept import Back, Draft, Entry, Run, Wanted

__all__ = ["Attached"]

T = TypeVar("T")

LOOK, MOST = 0.1, 2_000
"""Seconds between two looks at what has come, and how much of it is taken at once."""
BEAT, STAYS = 10.0, 30.0
"""Seconds between two signs that somebody is here, and for how long each counts."""
WIDE = 110
"""Columns from which the work stands beside the conversation."""

OPEN = 20
"""Rows that are open at once: what was opened longest ago is folded."""


class Attached(App[None]):
    """*run*, looked at through two desks: one that does what is asked, one that only listens."""

    TITLE = "nightmill"
    ENABLE_COMMAND_PALETTE = False
    CSS = CSS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "say", "Say"),
        Binding("a", "decide('approve')", "Approve"),
        Binding("x", "decide('refuse')", "Refuse"),
        Binding("w", "decide('answer')", "Answer"),
        Binding("p", "want('pause')", "Pause"),
        Binding("r", "want('run')", "Resume"),
        Binding("c", "cancel", "Cancel"),
        Binding("g", "rewind", "Go on from", show=False),
        Binding("1", "turn_to('')", "Talk"),
        Binding("2", "turn_to('work')", "Work"),
        Binding("3", "turn_to('diff')", "Diff"),
        Binding("escape", "leave_line", "Back to the keys"),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
    ]

    def __init__(
        self, run: Run, *, acting: Seat, watching: Seat, terminal: str, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__()
        self.about, self.acting, self.watching, self.terminal, self.clock = run, acting, watching, terminal, clock
        self.scene = Scene(run.id)
        self.others: Sequence[str] = ()
        self.asked: Sequence[Asked] = ()
        self.me: Person | None = None
        self.away = self.lost = self.side = ""
        self._sizes: dict[str, int] = {}
        self._opened: deque[Row] = deque()
        self._one = asyncio.Lock()
        self._comparing = self._unheard = False

    def compose(self) -> ComposeResult:
        """Draw it."""
        yield Pane(id="head")
        with Horizontal(id="middle"):
            yield Talk(id="talk")
            yield Pane(id="work")
            yield Pane(id="diff")
        yield Static(id="asks", markup=False)
        yield Typed(placeholder="s: say something to the agent", id="say", max_length=20_000)
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """Begin to follow, and say that somebody is here."""
        self.query_one("#head").can_focus = False
        self.follow = Follow(self.watching.live(self.about))
        self.set_interval(LOOK, self.look)
        self.set_interval(BEAT, self.beat)
        self.set_interval(1.0, self.draw_head)
        self.query_one(Talk).focus()
        self._fit(self.size.width)
        self.action_turn_to("work" if self.size.width >= WIDE else "")
        self.draw()
        self.beat()
        self._ask()

    def on_unmount(self) -> None:
        """Follow no more."""
        self.follow.end()

    def on_resize(self, resized: Resize) -> None:
        """Put the work beside the conversation; where there is room for one, what is being read stays, or the conversation."""
        if self._fit(resized.size.width):
            wide = resized.size.width >= WIDE
            if wide and not self.side:
                self._turn("work")
            elif not wide and (self.focused is None or self.focused.id != self.side):
                self._turn("")

    def _fit(self, width: int) -> bool:
        """Note whether there is room for one pane alone; whether that has changed."""
        screen, narrow = self.screen_stack[0], width < WIDE
        changed = screen.has_class("narrow") != narrow
        screen.set_class(narrow, "narrow")
        return changed

    # What comes

    def look(self) -> None:
        """Take in what has come."""
        found = self.follow.taken(MOST) if self.is_running else []
        if not found:
            return
        scene = self.scene
        before = (scene.asks, scene.turns)
        for each in found:
            if isinstance(each, Entry):
                scene.take(each)
            elif isinstance(each, Draft):
                scene.write(each)
            else:
                self.lost = f"this view has ended, attach again: {each.message}"
        self.draw()
        if scene.asks != before[0] or scene.over:
            self._ask()
        if scene.turns != before[1] and self.side == "diff":
            self._compare()
        if scene.model and scene.model not in self._sizes:
            self._sizes[scene.model] = 0
            self.run_worker(self._measure(scene.model))

    def beat(self) -> None:
        """Say that somebody is here, and hear who else is."""
        self.run_worker(self._beat())

    async def _beat(self) -> None:
        try:
            self.others = await self._aside(lambda: self.acting.attend(self.about.id, self.terminal, seconds=STAYS))
            self.about = await self._aside(lambda: self.acting.run(self.about.id))
            self.me = await self._aside(self.acting.me)
            idle = not self.scene.over and await self._aside(self.acting.idle)
            self.away = "no worker is alive; start one with: nightmill worker" if idle else ""
            if self._unheard:
                self._ask()
        except NightmillError as error:
            self.away = error.message
        self.draw()

    async def _measure(self, model: str) -> None:
        self._sizes[model] = await aside(lambda: board.window(model))
        self.draw_head()

    def _ask(self) -> None:
        self.run_worker(self._asks(), group="asks", exclusive=True)

    async def _asks(self) -> None:
        try:
            self.asked = await self._aside(lambda: self.acting.asked(self.about.id))
            self._unheard = False
        except NightmillError as error:
            self._unheard, self.away = True, error.message
        self._banner()

    def _banner(self) -> None:
        found, lines = self.query_one("#asks", Static), banner(self.asked, typing=isinstance(self.focused, Input))
        found.update(Text(lines))
        found.display = bool(lines)
        self.refresh_bindings()

    def _compare(self) -> None:
        if not self._comparing:
            self._comparing = True
            self.run_worker(self._compares())

    async def _compares(self) -> None:
        try:
            diff = await self._aside(lambda: self.acting.diff(self.scene.working or self.about.id))
            rows = board.changed(diff)
        except NightmillError as error:
            rows = [Row(clean(error.message), "!", most=4)]
        finally:
            self._comparing = False
        self.query_one("#diff", Pane).show(rows)

    # What is drawn

    def draw(self) -> None:
        """All but the diff."""
        self.draw_head()
        self._talk()
        self.query_one("#work", Pane).show(board.beside(self.scene))
        self.query_one("#say").display = not self._why_not("say", ())
        self.refresh_bindings()

    def draw_head(self) -> None:
        """The lines that tell the time."""
        if not self.is_running:
            return
        size = self._sizes.get(self.scene.model, 0)
        rows = board.head(
            self.scene,
            title=self.scene.sight.title or self.about.title,
            size=size,
            others=self.others,
            away=self.lost or self.away,
            now=self.clock(),
        )
        self.query_one("#head", Pane).show(rows)

    # What is done

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key means something now."""
        typing = isinstance(self.focused, Input)
        if action == "leave_line":
            return typing
        if typing and action in {"say", "cancel", "want", "decide", "turn_to", "rewind"}:
            return False
        return not self._why_not(action, parameters)

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Do it, or say why a key that means something at other times, or to others, means nothing now."""
        _, name, parameters = parse(action) if isinstance(action, str) else action
        if not isinstance(self.focused, Input) and (why := self._why_not(name, parameters)):
            self.notify(clean(why), severity="warning", markup=False)
            return True
        return await super().run_action(action, default_namespace, namespaces)

    def _why_not(self, action: str, parameters: tuple[object, ...]) -> str:
        now = Now(self.about, self.scene.sight.state, self.scene.over, self.asked, self.me)
        return why_not(now, action, str(parameters[0]) if parameters else "")

    def on_descendant_focus(self) -> None:
        """Other keys mean something now."""
        self._banner()

    def action_turn_to(self, side: str) -> None:
        """Show the work or the diff beside the conversation, or in its place where it is narrow."""
        self._turn(side)
        narrow = self.screen_stack[0].has_class("narrow")
        self.query_one(f"#{side}" if side and narrow else "#talk").focus()
        if side == "diff":
            self._compare()

    def _turn(self, side: str) -> None:
        self.side = side
        for each in ("work", "diff"):
            self.screen_stack[0].set_class(each == side, each)

    def action_say(self) -> None:
        """Go to the line."""
        self.query_one("#say", Input).focus()

    def action_leave_line(self) -> None:
        """Go back from it."""
        self.query_one(Talk).focus()

    def on_input_submitted(self, said: Input.Submitted) -> None:
        """Say what is in the line."""
        said.stop()
        line = self.query_one("#say", Typed)
        if line.words and not line.disabled:
            line.disabled = True  # so that it is said once
            self.run_worker(self._say(line, line.words))

    async def _say(self, line: Typed, words: str) -> None:
        done = await self._do(lambda: self.acting.say(self.about.id, words), board.heard)
        line.disabled = False
        if done:
            line.clear()
        line.focus()

    def action_want(self, wanted: Wanted) -> None:
        """Pause it, or go on with it."""
        self.run_worker(self._want(wanted))

    async def _want(self, wanted: Wanted) -> None:
        await self._do(lambda: self.acting.want(self.about.id, wanted), lambda run: f"{run.id} {board.THEN[wanted]}")
        await self._beat()

    def action_cancel(self) -> None:
        """Stop it for good, once that is said twice."""
        sentence = f"Cancel {self.about.id}, with all that it started? It stops for good. Its work is kept on a branch."
        self.push_screen(asks.Sure(sentence), lambda sure: self.action_want("cancel") if sure else None)

    def action_decide(self, verb: Verb) -> None:
        """Show the oldest question of that kind whole, and then say what is said to it."""
        asked = next((each for each in self.asked if each.question.kind == kind(verb)), None)
        if asked is not None:
            self.push_screen(asks.decide(asked, verb), lambda words: self._decide(asked, verb, words))

    def _decide(self, asked: Asked, verb: Verb, words: str | None) -> None:
        if words is None:
            return
        question, acting = asked.question, self.acting
        self.run_worker(
            self._do(
                lambda: acting.decide(question.run, verb, words, question=question.id, tree=question.tree),
                lambda ended: f"{ended.title}: {ended.state} by {ended.by}",
            )
        )

    def action_rewind(self) -> None:
        """Begin a new run from the turn that the row is of, once that was looked at."""
        talk = self.query_one(Talk)
        row = talk.rows[talk.at] if talk.rows else Row("")
        if row.turn:
            self.push_screen(
                asks.rewind(row.run, row.role, row.turn),
                lambda words: self._rewind(row, words) if words is not None else None,
            )
        else:
            self.notify("go to a turn or a call of one first: it goes on from there", markup=False)

    def _rewind(self, row: Row, words: str) -> None:
        back = Back(turn=row.turn, role=row.role, instruction=words)
        started = "goes on from there: nightmill attach"
        self.run_worker(self._do(lambda: self.acting.rewind(row.run, back), lambda run: f"{run.id} {started} {run.id}"))

    def on_talk_opened(self, opened: Talk.Opened) -> None:
        """Open a row, or fold it."""
        row = opened.row
        if row.body is not None:
            self._show(row, None)
        elif row.more:
            self._show(row, row.more)
        elif row.turn:
            self._show(row, ("…",))
            self.run_worker(self._open(row))

    async def _open(self, row: Row) -> None:
        try:
            parts = await self._aside(lambda: self.acting.turn(row.run, role=row.role, number=row.turn))
            body = board.opened(parts, row.call)
        except NightmillError as error:
            body = (clean(error.message),)
        if row.body is not None:
            self._show(row, body)

    def _show(self, row: Row, body: tuple[str, ...] | None) -> None:
        if row in self._opened:
            self._opened.remove(row)
        if body is not None:
            self._opened.append(row)
        while len(self._opened) > OPEN:
            oldest = self._opened.popleft()
            oldest.body = oldest.laid = None
        row.body, row.laid = body, None
        self._talk()

    def _talk(self) -> None:
        self.query_one(Talk).show([*self.scene.rows, *self.scene.live()])

    async def _do(self, do: Callable[[], T], then: Callable[[T], str]) -> bool:
        """Do it, and say what came of it."""
        try:
            done = await self._aside(do)
        except NightmillError as error:
            hint = f"; {error.hint}" if error.hint else ""
            self.notify(clean(f"{error.message}{hint}"), severity="error", timeout=12, markup=False)
            return False
        self.notify(clean(then(done)), markup=False)
        return True

    async def _aside(self, do: Callable[[], T]) -> T:
        """What *do* gives, one thing after another: a desk is for one thread at a time."""
        try:
            async with self._one:
                return await aside(do)
        finally:
            if not self.is_running:  # it is closing, and there is nothing left to draw on
                raise asyncio.CancelledError
